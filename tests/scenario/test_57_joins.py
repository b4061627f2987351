"""Join-requests and their Join Servers: the real exchange asks scripted ones by HomeNSReq."""
import itertools

import pytest
from harness.certs import ForeignCA
from harness.exchange import Exchange, wait_until
from harness.frames import data_frame, join_request, uplink
from harness.join_server import JoinServer, changed, found, raw, refused, verify_token
from harness.members import Admin, Member

numbers = itertools.count(0x100)
NS_ID = "EC656E0000000001"


@pytest.fixture(scope="module")
def lookups(build, pb, tmp_path_factory):
    """An exchange of one loop, so that its memory of answers is one."""
    exchange = Exchange(build, pb, tmp_path_factory.mktemp("lookups"), **{
        "server.loops": 1, "router.sender-net-id": "C00099", "router.sender-ns-id": NS_ID, "router.lookup-timeout": "1s",
        "router.lookup-keep-unknown": "10s", "log.level": "debug"})
    exchange.start()
    yield exchange
    exchange.stop()


class World:
    """A forwarder, a home network, a Join Server with a block of JoinEUIs."""

    def __init__(self, exchange, folder, **server):
        self.exchange, self.pb, self.admin, self.folder = exchange, exchange.pb, Admin(exchange), folder
        self.servers = self.pb.iam2.JoinServerRegistryStub(self.admin.channel)
        number = next(numbers)
        self.forwarder_id, self.home_id = 0xC05000 + number, 0x610000 + number
        self.base = 0xE0000000 | (self.home_id & 0x7FF) << 17
        self.admin.create_network(self.forwarder_id)
        self.admin.create_network(self.home_id, blocks=[(self.base, 15)])
        self.forwarder, self.home = self.admin.member(self.forwarder_id), self.admin.member(self.home_id)
        self.stream = self.home.subscribe_home("g")
        self.join_eui = number << 32
        self.dev_euis = itertools.count(number << 40)
        self.js = JoinServer(folder / f"js-{number}", **server)
        self.nonce = itertools.count(1)
        self.ids = []

    def close(self):
        self.stream.close()
        for id in self.ids:
            self.servers.DeleteJoinServer(self.pb.iam2.JoinServerRequest(id=id), metadata=self.admin.metadata)
        self.js.close()

    def target(self, js=None, **fields):
        js = js or self.js
        return self.pb.v3.Target(**{"protocol": "TS002_V1_0", "address": js.address, "root_cas": js.ca, **fields})

    def create(self, prefix=None, length=32, **resolver):
        """Register a Join Server and wait until the router has it."""
        if not resolver:
            resolver = {"lookup": self.target()}
        server = self.pb.v3.JoinServer(
            name="scripted", join_eui_prefixes=[{"value": self.join_eui if prefix is None else prefix, "length": length}],
            **resolver)
        before = self.loads()
        made = self.servers.CreateJoinServer(self.pb.iam2.CreateJoinServerRequest(join_server=server),
                                             metadata=self.admin.metadata).join_server
        self.ids.append(made.id)
        self.wait_for_load(before)
        return made.id

    def update(self, id, **fields):
        before = self.loads()
        self.servers.UpdateJoinServer(self.pb.iam2.UpdateJoinServerRequest(id=id, **fields), metadata=self.admin.metadata)
        self.wait_for_load(before)

    def delete(self, id):
        before = self.loads()
        self.servers.DeleteJoinServer(self.pb.iam2.JoinServerRequest(id=id), metadata=self.admin.metadata)
        self.ids.remove(id)
        self.wait_for_load(before)

    def loads(self):
        return self.exchange.metrics()["lpx_router_tables_loaded_total"]

    def wait_for_load(self, before):
        wait_until(lambda: self.loads() > before, what="the router's new tables")

    def send(self, dev_eui=None, join_eui=None, forwarder=None):
        """Publish a join-request. @return (id, PHYPayload)"""
        dev_eui = next(self.dev_euis) if dev_eui is None else dev_eui
        phy = join_request(self.join_eui if join_eui is None else join_eui, dev_eui, next(self.nonce) & 0xFFFF)
        return (forwarder or self.forwarder).publish_uplink(uplink(self.pb, phy)), phy

    def arrives(self, **fields):
        """Publish a join-request and take it from the home network's stream."""
        id, phy = self.send(**fields)
        got = self.stream.next()
        assert got.id == id and got.message.phy_payload.plain == phy and got.home_network_net_id == self.home_id
        return got

    def dropped(self, reason="lookup"):
        return self.exchange.metrics()[f'lpx_router_dropped_messages_total{{direction="uplink",reason="{reason}"}}']

    def is_dropped(self, **fields):
        """Publish a join-request that nobody gets."""
        before = self.dropped()
        self.send(**fields)
        wait_until(lambda: self.dropped() == before + 1, what="the drop")
        assert self.stream.messages.qsize() == 0

    def lookups(self, id, outcome):
        return self.exchange.metrics().get(f'lpx_ts002_lookups_total{{target="{id}",outcome="{outcome}"}}', 0)

    def left_alone(self, id):
        return self.exchange.metrics().get(f'lpx_ts002_targets_left_alone_loops{{target="{id}"}}', 0)


@pytest.fixture
def world(lookups, tmp_path):
    world = World(lookups, tmp_path)
    yield world
    world.close()


def test_a_join_request_goes_where_the_join_server_says(world):
    world.js.answer = found(world.home_id, "", "EU1.example.com:8884")
    world.create()
    got = world.arrives(dev_eui=0x1122334455667788)
    assert got.home_network_cluster_id == "eu1.example.com" and got.home_network_tenant_id == ""
    question, = world.js.questions
    body = dict(question.body)
    assert 0 < body.pop("TransactionID") < 1 << 31
    assert body == {"ProtocolVersion": "1.0", "MessageType": "HomeNSReq", "SenderID": "C00099",
                    "ReceiverID": f"{world.join_eui:016X}", "DevEUI": "1122334455667788"}
    assert "Authorization" not in question.headers


def test_a_tenant_and_backend_interfaces_1_1(world):
    world.admin.create_tenant(world.home_id, "some-tenant")
    tenant = world.admin.member(world.home_id, "some-tenant").subscribe_home("t")
    world.js.answer = found(world.home_id, "some-tenant")
    world.create(lookup=world.target(protocol="TS002_V1_1"))
    got = world.arrives()
    assert got.home_network_tenant_id == "some-tenant" and tenant.next().id == got.id
    body = world.js.questions[0].body
    assert body["ProtocolVersion"] == "1.1" and body["SenderNSID"] == NS_ID
    tenant.close()


def test_one_request_for_many_joins(world):
    world.js.answer = found(world.home_id)
    id = world.create()
    for _ in range(20):
        world.arrives(dev_eui=7)
    assert len(world.js.asked(7)) == 1 and world.lookups(id, "remembered") == 19
    world.js.answer = refused("UnknownDevEUI")
    for _ in range(5):
        world.is_dropped(dev_eui=8)
    assert len(world.js.asked(8)) == 1 and world.lookups(id, "unknown_device") == 1


def test_joins_that_wait_share_one_request(world):
    world.js.silence()
    id = world.create()
    sent = [world.send(dev_eui=9)[0] for _ in range(10)]  # all answered while the Join Server thinks
    assert world.exchange.metrics()["lpx_router_waiting_joins"] == 10
    world.js.speak(found(world.home_id))  # the first request ends with 503, which a new one must not remember
    wait_until(lambda: world.exchange.metrics()["lpx_router_waiting_joins"] == 0, what="the end of waiting")
    assert len(world.js.asked(9)) == 1 and world.lookups(id, "shared") == 9 and len(set(sent)) == 10
    world.arrives(dev_eui=10)


def test_basic_custom_and_override_by_forwarder(world):
    world.js.answer = found(world.home_id)
    target = world.target(basic_auth={"username": "Aladdin", "password": "open sesame"})
    target.origin_net_id_authentication[world.forwarder_id].custom_auth.value = "Key of the forwarder"
    id = world.create(lookup=target)
    other_id = 0xC06000 + next(numbers)
    world.admin.create_network(other_id)
    world.arrives(dev_eui=1, forwarder=world.admin.member(other_id))
    assert world.js.questions[-1].headers["Authorization"] == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert world.js.questions[-1].body["SenderID"] == "C00099"
    world.arrives(dev_eui=1)  # in its own name: what others learnt is not its answer
    assert world.js.questions[-1].headers["Authorization"] == "Key of the forwarder"
    assert world.js.questions[-1].body["SenderID"] == f"{world.forwarder_id:06X}"
    assert len(world.js.asked(1)) == 2
    world.update(id, lookup=world.target(custom_auth={"value": "Secret of all"}))
    world.arrives(dev_eui=1)  # a changed target is asked anew
    assert world.js.questions[-1].headers["Authorization"] == "Secret of all" and len(world.js.asked(1)) == 3
    assert "open sesame" not in world.exchange.log() and "Secret of all" not in world.exchange.log()


def test_a_token_of_the_exchange(world):
    world.js.answer = found(world.home_id)
    world.create(lookup=world.target(pb_token_auth={}))
    world.arrives()
    question, = world.js.questions
    scheme, token = question.headers["Authorization"].split(" ")
    claims = verify_token(world.exchange, token, world.folder)
    assert scheme == "Bearer" and question.body["SenderID"] == "000000"
    assert claims["iss"] == "https://localhost:1901" and claims["sub"] == "localhost"
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    assert audience == ["localhost"] and claims["exp"] - claims["iat"] == 3600
    assert claims["https://iam.packetbroker.net/claims"]["c"] is True


def test_a_tls_client_certificate(lookups, tmp_path):
    ca = ForeignCA(tmp_path / "ca")
    pair = ca.issue("exchange")
    world = World(lookups, tmp_path, client_ca=ca.cert_file)
    world.js.answer = found(world.home_id)
    id = world.create(lookup=world.target(tls_client_auth={"cert": pair.cert, "key": pair.key}))
    world.arrives()
    assert world.js.questions[0].client == "exchange"
    world.update(id, lookup=world.target())
    world.is_dropped()
    assert world.lookups(id, "unreachable") == 1 and len(world.js.questions) == 1
    world.close()


def test_wrong_answers(world):
    """Each drops the join-request with a reason; none is taken for an answer."""
    good = found(world.home_id)
    id = world.create()
    page = b"<!DOCTYPE html><html><body>Welcome</body></html>"
    bad = [changed(good, TransactionID=1), changed(good, MessageType="JoinAns"), changed(good, ReceiverID="C00098"), raw(200, page),
           raw(500, b""), raw(200, b" " * 40000), raw(200, b"\x00\xff" * 100), raw(200, b"[" * 30000),
           changed(good, HNetID="13"), changed(good, Result={})]
    for number, answer in enumerate(bad):
        world.js.answer = answer
        world.is_dropped()
        assert world.lookups(id, "bad_answer") == number + 1, number
        world.js.answer = good  # in between, so that the target is not left alone
        world.arrives()
    for answer, outcome in ((refused("UnknownDevEUI"), "unknown_device"), (refused("UnknownDevEUI", 400), "unknown_device"),
                            (refused("NoRoamingAgreement"), "refused"), (refused("Surprise"), "refused")):
        before = world.lookups(id, outcome)
        world.js.answer = answer
        world.is_dropped()
        assert world.lookups(id, outcome) == before + 1


def test_a_network_that_is_not_registered(world):
    world.js.answer = found(0x6FFFF0)
    world.create()
    before = world.exchange.metrics()["lpx_router_unregistered_homes_total"]
    world.is_dropped()
    assert world.exchange.metrics()["lpx_router_unregistered_homes_total"] == before + 1
    said, = [line for line in world.exchange.log().splitlines() if "join_lookup_unusable" in line]
    assert "network_not_registered" in said and "6ffff0" in said.lower()


def test_a_dead_join_server_is_left_alone_and_found_again(world):
    world.js.silence()
    id = world.create()
    before = world.dropped()
    sent = [world.send()[0] for _ in range(5)]
    wait_until(lambda: world.dropped() == before + 5, what="the timeouts")
    assert len(set(sent)) == 5 and world.lookups(id, "timed_out") == 5 and world.left_alone(id) == 1
    asked = len(world.js.questions)
    world.js.speak(found(world.home_id))

    def joins():
        world.send()
        return not world.left_alone(id)
    wait_until(joins, what="the end of the pause")
    assert world.lookups(id, "left_alone") > 0
    assert len(world.js.questions) >= asked + 1
    last, _ = world.send()
    while world.stream.next().id != last:
        pass


def test_floods_do_not_reach_the_join_server_nor_other_traffic(world):
    """A thousand made-up devices toward a Join Server that does not answer, data uplinks between them."""
    world.js.silence()
    id = world.create()
    published = 1000
    for number in range(published):
        world.send()
        if number % 10 == 0:
            phy = data_frame(world.base + 1, f_cnt=number)
            world.forwarder.publish_uplink(uplink(world.pb, phy))
            assert world.stream.next().message.phy_payload.plain == phy  # at once, though others wait
    wait_until(lambda: world.exchange.metrics()["lpx_router_waiting_joins"] == 0, what="the end of waiting")
    # 32 at a time; each takes a second to fail, and after five failures nothing is asked but single probes.
    assert len(world.js.questions) <= 32 + 60
    outcomes = {o: world.lookups(id, o) for o in ("timed_out", "unreachable", "busy", "left_alone")}
    assert sum(outcomes.values()) == published and outcomes["busy"] + outcomes["left_alone"] > published - 100
    assert world.lookups(id, "found") == 0
    world.js.speak(found(world.home_id))


def test_join_servers_come_change_and_go(world, tmp_path):
    no_route = world.dropped("no_route")
    world.send()
    wait_until(lambda: world.dropped("no_route") == no_route + 1, what="no route")
    world.js.answer = found(world.home_id)
    id = world.create()
    world.arrives(dev_eui=5)
    second = JoinServer(tmp_path / "second")
    second.answer = found(world.home_id)
    world.update(id, lookup=world.target(second))
    world.arrives(dev_eui=5)
    assert len(world.js.questions) == 1 and len(second.questions) == 1
    world.delete(id)
    world.send(dev_eui=5)
    wait_until(lambda: world.dropped("no_route") == no_route + 2, what="no route")
    second.close()


def test_fixed_endpoints_and_the_longest_prefix(world, tmp_path):
    world.create(length=32, fixed={"net_id": world.home_id, "cluster_id": "eu1"})
    assert world.arrives().home_network_cluster_id == "eu1"
    longer = world.join_eui | 0xAB000000
    world.create(prefix=longer, length=40)
    world.js.answer = refused("UnknownDevEUI")
    world.is_dropped(join_eui=longer | 5)
    assert len(world.js.questions) == 1
    assert world.arrives(join_eui=world.join_eui | 5).home_network_cluster_id == "eu1"
    second = JoinServer(tmp_path / "equal", tls=False)  # as long: both are asked
    second.answer = found(world.home_id, "", "eu2")
    world.create(prefix=longer, length=40, lookup=world.target(second, root_cas=b""))
    before = world.dropped()
    assert world.arrives(join_eui=longer | 6).home_network_cluster_id == "eu2"
    assert world.dropped() == before + 1  # the other one did not know
    second.close()


def test_policies_and_filters_decide_about_answers_too(world):
    world.js.answer = found(world.home_id)
    world.create()
    world.arrives(dev_eui=3)
    world.forwarder.set_policy(world.home_id, uplink="MASL", downlink="JMA")

    def refused_by_policy():
        before = world.dropped("policy")
        world.send(dev_eui=3)
        return world.dropped("policy") == before + 1
    wait_until(refused_by_policy, what="the policy")
    world.stream.close()
    mac = world.pb.v3.RoutingFilter(mac=world.pb.v3.RoutingFilter.MACPayload())
    world.forwarder.set_policy(world.home_id, uplink="JMASL", downlink="JMA")
    world.stream = world.home.subscribe_home("g", [mac])

    def refused_by_filter():
        before = world.dropped("filter")
        world.send(dev_eui=3)
        return world.dropped("filter") == before + 1
    wait_until(refused_by_filter, what="the filter")


def test_a_subscription_that_names_the_device_is_served_beside(world):
    named_id = 0x620000 + next(numbers)
    world.admin.create_network(named_id)
    names = world.pb.v3.RoutingFilter(join_request={"eui_prefixes": [{"join_eui": world.join_eui, "join_eui_length": 64}]})
    beside = world.admin.member(named_id).subscribe_home("n", [names])
    world.js.silence()
    world.create()
    before = world.dropped()
    id, _ = world.send()
    assert beside.next().id == id  # when the lookup has failed
    wait_until(lambda: world.dropped() == before + 1, what="the drop of the lookup")
    world.js.speak(found(world.home_id))
    got = world.arrives()
    assert beside.next().id == got.id
    beside.close()


def test_each_loop_asks_for_itself(exchange, tmp_path):
    """Publishers on several connections, hence loops: every join-request arrives, and each loop asks once at most."""
    loops = 3
    exchange.settings.update({"server.loops": loops})
    exchange.start()
    world = World(exchange, tmp_path)
    world.js.answer = found(world.home_id)
    id = world.create()
    publishers = [world.forwarder] + [world.admin.member(world.forwarder_id) for _ in range(7)]
    sent = {world.send(dev_eui=dev_eui, forwarder=publisher)[0] for dev_eui in range(5) for publisher in publishers * 3}
    assert {world.stream.next().id for _ in sent} == sent and len(sent) == 120
    for dev_eui in range(5):
        assert 1 <= len(world.js.asked(dev_eui)) <= loops
    total = sum(world.lookups(id, outcome) for outcome in ("found", "remembered", "shared"))
    assert total == 120 and world.lookups(id, "found") == len(world.js.questions)
    world.close()
    exchange.stop()


def test_a_join_server_made_on_one_node_is_asked_by_the_other(nodes, tmp_path):
    first, second = nodes
    world = World(first, tmp_path)
    home = Member(second, world.home.key, world.home_id, "", "").subscribe_home("h")
    forwarder = Member(second, world.forwarder.key, world.forwarder_id, "", "")
    world.js.answer = found(world.home_id)
    high = 0xFEDC000000000000  # JoinEUIs that are negative numbers in the database
    world.create(prefix=high, length=16)

    def arrives():
        world.send(join_eui=high | 1, forwarder=forwarder)
        return home.messages.qsize() > 0
    wait_until(arrives, what="the Join Server on the second node")
    assert home.next().home_network_net_id == world.home_id and world.js.questions
    home.close()
    world.close()


def test_without_an_ns_id_1_1_is_not_spoken(exchange, tmp_path):
    exchange.settings.update({"server.loops": 1, "log.level": "debug"})
    exchange.start()
    world = World(exchange, tmp_path)
    id = world.create(lookup=world.target(protocol="TS002_V1_1"))
    world.is_dropped()
    assert world.lookups(id, "unprepared") == 1 and "router.sender-ns-id" in exchange.log()
    world.close()
    exchange.stop()
