"""The change feed: another component of the exchange follows its state."""
import itertools
import queue
import threading

import grpc
import pytest
from harness.exchange import wait_until
from harness.members import Admin

numbers = itertools.count(0x600)
Code = grpc.StatusCode
READ_NETWORK, READ_CONTACT, READ_POLICY, READ_ROUTES, READ_AUTH = 0, 1, 4, 5, 6
READ_VISIBILITY, READ_JOIN_SERVER = 8, 12
ALL = [READ_NETWORK, READ_CONTACT, READ_POLICY, READ_ROUTES, READ_AUTH, READ_VISIBILITY, READ_JOIN_SERVER, 13]


class Cluster:
    """A component with a cluster key."""

    def __init__(self, exchange, rights=ALL, cluster_id="eu1"):
        self.exchange, self.pb = exchange, exchange.pb
        admin = Admin(exchange)
        keys = self.pb.iam2.ClusterAPIKeyVaultStub(admin.channel)
        self.key = keys.CreateAPIKey(self.pb.iam2.CreateClusterAPIKeyRequest(cluster_id=cluster_id, rights=rights),
                                     metadata=admin.metadata).key
        self.channel = exchange.channel()
        token = exchange.token(self.key.key_id, self.key.key)
        self.metadata = (("authorization", f"Bearer {token}"),)

    def follow(self, *topics, group=""):
        return Feed(self, topics, group)


class Feed:
    """One stream, read by a thread unless it is to be slow."""
    BODIES = {"networks": "Network", "tenants": "Tenant", "policies": "RoutingPolicy", "routes": "DevAddrPrefixRoute",
              "join-routes": "JoinEUIPrefixRoute", "join-servers": "JoinServer", "network-keys": "NetworkAPIKey",
              "cluster-keys": "ClusterAPIKey", "visibilities": "GatewayVisibility"}

    def __init__(self, cluster, topics, group="", read=True):
        self.pb = cluster.pb
        self.requests, self.messages, self.error = queue.Queue(), queue.Queue(), None
        self.call = self.pb.routing2.PublisherStub(cluster.channel).Subscribe(
            iter(self.requests.get, None), metadata=cluster.metadata)
        self.subscribe(*topics, group=group)
        if read:
            self.thread = threading.Thread(target=self._read, daemon=True)
            self.thread.start()

    def _list(self, topics, group):
        return self.pb.routing2.TopicSubscriptions(
            subscriptions=[self.pb.routing2.TopicSubscription(topic_name=t, group=group) for t in topics])

    def subscribe(self, *topics, group=""):
        self.requests.put(self.pb.routing2.TopicSubscriptionsChange(subscribes=self._list(topics, group)))

    def unsubscribe(self, *topics):
        self.requests.put(self.pb.routing2.TopicSubscriptionsChange(unsubscribes=self._list(topics, "")))

    def _read(self):
        try:
            for message in self.call:
                self.messages.put(message)
        except grpc.RpcError as error:
            self.error = error
        self.messages.put(None)

    def body(self, message):
        name = self.BODIES.get(message.topic_name)
        made = getattr(self.pb.v3, name)() if name else self.pb.lpx_routing.HomeNetworkSettings()
        made.ParseFromString(message.body)
        assert message.metadata["type"] == made.DESCRIPTOR.full_name
        return made

    def next(self, seconds=20):
        message = self.messages.get(timeout=seconds)
        assert message is not None, self.error
        return message

    def state(self, topic):
        """The messages up to the end of a topic's state."""
        found = []
        while True:
            message = self.next()
            assert message.topic_name == topic
            if message.metadata["kind"] == "end":
                assert int(message.metadata["count"]) == len(found) and message.body == b""
                return found
            assert message.metadata["kind"] == "snapshot"
            found.append(self.body(message))

    def until(self, wanted):
        """Changes until one is wanted, which is given back."""
        while True:
            message = self.next()
            if wanted(message.metadata["kind"], self.body(message)):
                return message

    def ended(self):
        while self.messages.get(timeout=20) is not None:
            pass
        return self.error

    def close(self):
        self.call.cancel()
        self.requests.put(None)


@pytest.fixture
def world(shared_exchange):
    exchange = shared_exchange

    class World:
        pb, admin = exchange.pb, Admin(exchange)
        net_id, other_id = 0x600000 + next(numbers), 0xC02000 + next(numbers)
        base = 0xE0000000 | (net_id & 0x7FF) << 17
    World.exchange = exchange
    World.admin.create_network(World.net_id, blocks=[(World.base, 16, "eu1")])
    return World


def test_state_first_and_changes_afterwards(world):
    pb, admin = world.pb, world.admin
    feed = Cluster(world.exchange).follow("networks")
    state = feed.state("networks")
    assert [n.net_id for n in state].count(world.net_id) == 1
    mine = next(n for n in state if n.net_id == world.net_id)
    assert mine.dev_addr_blocks[0].prefix.value == world.base and mine.dev_addr_blocks[0].home_network_cluster_id == "eu1"
    admin.create_network(world.other_id, name="new")
    change = feed.until(lambda kind, body: body.net_id == world.other_id)
    assert change.metadata["kind"] == "update" and feed.body(change).name == "new"
    admin.networks.UpdateNetworkListed(pb.iam1.UpdateNetworkListedRequest(net_id=world.other_id, listed=True),
                                       metadata=admin.metadata)
    later = feed.until(lambda kind, body: body.net_id == world.other_id)
    assert feed.body(later).listed and int(later.metadata["sequence"]) > int(change.metadata["sequence"])
    admin.networks.DeleteNetwork(pb.iam1.NetworkRequest(net_id=world.other_id), metadata=admin.metadata)
    gone = feed.until(lambda kind, body: body.net_id == world.other_id)
    assert gone.metadata["kind"] == "delete" and feed.body(gone) == pb.v3.Network(net_id=world.other_id)
    feed.close()


def test_every_topic_tells(world):
    pb, admin = world.pb, world.admin
    cluster = Cluster(world.exchange)
    topics = list(Feed.BODIES) + ["settings"]
    feeds = {topic: cluster.follow(topic) for topic in topics}
    for topic, feed in feeds.items():
        feed.state(topic)
    admin.create_tenant(world.net_id, "tenant-a", blocks=[(world.base, 20)])
    member = admin.member(world.net_id, rights=[0, 4, 7, 8, 9, 10, 11])
    member.set_default_policy(uplink="J")
    pb.mapping2.GatewayVisibilityManagerStub(member.channel).SetDefaultVisibility(pb.mapping2.SetGatewayVisibilityRequest(
        visibility=pb.v3.GatewayVisibility(forwarder_net_id=world.net_id, status=True)), metadata=member.metadata)
    pb.lpx_routing.HomeNetworkSettingsManagerStub(member.channel).SetSettings(pb.lpx_routing.SetHomeNetworkSettingsRequest(
        settings=pb.lpx_routing.HomeNetworkSettings(home_network_net_id=world.net_id, max_copies=3)),
        metadata=member.metadata)
    servers = pb.iam2.JoinServerRegistryStub(admin.channel)
    eui = 0x1122000000000000 | next(numbers) << 16
    server = servers.CreateJoinServer(pb.iam2.CreateJoinServerRequest(join_server=pb.v3.JoinServer(
        name="js", join_eui_prefixes=[pb.v3.JoinEUIPrefix(value=eui, length=48)],
        fixed=pb.v3.JoinServerFixedEndpoint(net_id=world.net_id))), metadata=admin.metadata).join_server
    second = Cluster(world.exchange, cluster_id="eu2")
    told = {topic: feed.until(lambda kind, body, topic=topic: kind == "update" and {
        "networks": lambda: True, "tenants": lambda: body.net_id == world.net_id,
        "policies": lambda: body.forwarder_net_id == world.net_id, "routes": lambda: body.net_id == world.net_id,
        "join-routes": lambda: body.id == server.id, "join-servers": lambda: body.id == server.id,
        "network-keys": lambda: body.net_id == world.net_id, "cluster-keys": lambda: body.cluster_id == "eu2",
        "visibilities": lambda: body.forwarder_net_id == world.net_id,
        "settings": lambda: body.home_network_net_id == world.net_id}[topic]()) if topic != "networks" else None
        for topic, feed in feeds.items()}
    body = {topic: feeds[topic].body(message) for topic, message in told.items() if message is not None}
    assert body["tenants"].tenant_id == "tenant-a" and len(body["tenants"].dev_addr_blocks) == 1
    assert body["policies"].uplink.join_request and not body["policies"].uplink.mac_data
    assert body["routes"].prefix.length == 20 and body["routes"].tenant_id == "tenant-a"
    assert body["join-routes"].fixed.net_id == world.net_id and body["join-routes"].prefix.value == eui
    assert len(body["join-servers"].join_eui_prefixes) == 1
    assert body["network-keys"].key_id == member.key.key_id and body["network-keys"].key == ""
    assert body["cluster-keys"].key_id == second.key.key_id and body["cluster-keys"].key == ""
    assert body["settings"].max_copies == 3 and body["settings"].copies_window.seconds == 5
    assert body["visibilities"].status and not body["visibilities"].location
    servers.DeleteJoinServer(pb.iam2.JoinServerRequest(id=server.id), metadata=admin.metadata)
    gone = feeds["join-routes"].until(lambda kind, b: kind == "delete")
    assert feeds["join-routes"].body(gone).prefix.value == eui
    for feed in feeds.values():
        feed.close()


def test_rights_decide_what_is_seen(world):
    pb, admin = world.pb, world.admin
    admin.create_network(world.other_id, administrative_contact=pb.v3.ContactInfo(email="a@example.com"),
                         target=pb.v3.Target(protocol=pb.v3.Protocol.Value("TS002_V1_0"), address="https://ns.example.com",
                                             basic_auth=pb.v3.Target.BasicAuth(username="u", password="secret")))

    def look(rights):
        feed = Cluster(world.exchange, rights).follow("networks")
        found = next(n for n in feed.state("networks") if n.net_id == world.other_id)
        feed.close()
        return found
    bare, full = look([READ_NETWORK]), look([READ_NETWORK, READ_CONTACT, READ_AUTH])
    assert bare.target.address == "https://ns.example.com" and not bare.target.HasField("basic_auth")
    assert not bare.HasField("administrative_contact")
    assert full.target.basic_auth.password == "secret" and full.administrative_contact.email == "a@example.com"
    for topic, code, words in [("policies", Code.PERMISSION_DENIED, "READ_ROUTING_POLICY"),
                               ("nonsense", Code.INVALID_ARGUMENT, "join-servers")]:
        error = Cluster(world.exchange, [READ_NETWORK]).follow(topic).ended()
        assert error.code() == code and words in error.details()
    twice = Cluster(world.exchange).follow("networks", "networks").ended()
    assert twice.code() == Code.INVALID_ARGUMENT and "unsubscribe" in twice.details()
    member = admin.member(world.net_id)
    refused = Feed(member, ["networks"]).ended()
    assert refused.code() == Code.PERMISSION_DENIED


def test_unsubscribed_topics_are_silent(world):
    feed = Cluster(world.exchange).follow("tenants")
    feed.state("tenants")
    feed.unsubscribe("tenants")
    feed.subscribe("networks")
    feed.state("networks")
    world.admin.create_tenant(world.net_id, "tenant-q")
    world.admin.create_network(world.other_id)
    message = feed.until(lambda kind, body: body.net_id == world.other_id)
    assert message.topic_name == "networks"
    feed.subscribe("tenants")
    seen = []
    while not seen or seen[-1].metadata["kind"] != "end":
        seen.append(feed.next())
    assert any(m.topic_name == "tenants" and feed.body(m).tenant_id == "tenant-q" for m in seen[:-1])
    feed.close()


def test_a_group_shares(world):
    cluster = Cluster(world.exchange)
    first = cluster.follow("tenants", group="readers")
    first.state("tenants")
    others = [cluster.follow("tenants", group="readers") for _ in range(2)]
    for feed in others:
        assert feed.state("tenants") == []
    alone = cluster.follow("tenants")
    alone.state("tenants")
    names = {f"tenant-{i}" for i in range(12)}
    for name in sorted(names):
        world.admin.create_tenant(world.net_id, name)
    for _ in names:
        alone.until(lambda kind, body: body.tenant_id in names)
    got = []

    def complete():
        for feed in [first, *others]:
            while not feed.messages.empty():
                got.append((feed, feed.body(feed.next()).tenant_id))
        return len(got) >= len(names)
    wait_until(complete, what="the group's messages")
    assert sorted(name for _, name in got) == sorted(names)  # each to exactly one
    assert len({id(feed) for feed, _ in got}) > 1
    # One of them goes: another gets the whole state, so that nothing is missing.
    first.close()
    heir = others[0]
    state = heir.state("tenants")
    assert names <= {t.tenant_id for t in state if t.net_id == world.net_id}
    for feed in [*others, alone]:
        feed.close()


def test_a_slow_reader_is_let_go(exchange):
    """Its memory is bounded: when too many changes wait it ends, and may come again for the whole state."""
    exchange.start(server__loops=2)
    admin, cluster = Admin(exchange), Cluster(exchange)
    net_ids = [0xC02000 + i for i in range(200)]
    for net_id in net_ids:
        admin.create_network(net_id, name="n" * 256, target=exchange.pb.v3.Target(
            protocol=exchange.pb.v3.Protocol.Value("TS002_V1_0"), address="https://ns.example.com", root_cas=b"c" * 60000))
    lazy = Feed(cluster, ["networks"], read=False)
    busy = cluster.follow("networks")
    assert len(busy.state("networks")) == len(net_ids)
    wait_until(lambda: exchange.metrics()["lpx_feed_streams"] == 2, what="both streams")

    def overtaken():
        for net_id in net_ids[:20]:
            listed = not listed_now.get(net_id, False)
            listed_now[net_id] = listed
            admin.networks.UpdateNetworkListed(exchange.pb.iam1.UpdateNetworkListedRequest(net_id=net_id, listed=listed),
                                               metadata=admin.metadata)
        return exchange.metrics()["lpx_feed_slow_streams_total"] == 1
    listed_now = {}
    wait_until(overtaken, seconds=60, what="the end of the slow reader")
    with pytest.raises(grpc.RpcError) as ended:
        for _ in lazy.call:
            pass
    assert ended.value.code() == Code.RESOURCE_EXHAUSTED and "again" in ended.value.details()
    busy.until(lambda kind, body: body.net_id == net_ids[19])
    again = cluster.follow("networks")
    seen = {n.net_id: n.listed for n in again.state("networks") if n.net_id in listed_now}
    while seen != listed_now:  # what was under way when the state was read follows
        body = again.body(again.next())
        seen[body.net_id] = body.listed
    busy.close()
    exchange.stop()
