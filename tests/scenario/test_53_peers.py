"""Exchanges that hand messages over to each other: up, down, around, and to one that is dead."""
import concurrent.futures
import contextlib

import grpc
import pytest
from harness.exchange import Exchange, wait_until
from harness.frames import JOIN_ACCEPT, UNCONFIRMED_DOWN, data_frame, join_request, uplink
from harness.members import Admin

FORWARDER, HOME, BASE = 0xC00053, 0x600053, 0xE0000000 | 0x53 << 17
JOIN_EUI = 0xEC656E0000530000
WRITE_TRAFFIC = 11
Code = grpc.StatusCode


def start_all(exchanges):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(lambda exchange: exchange.start(), exchanges))


class Peered:
    """Exchanges of one federation; each has a cluster key for each of the others."""

    def __init__(self, build, pb, folder, names, **settings):
        self.pb, self.folder = pb, folder
        self.exchanges = {name: Exchange(build, pb, folder / name, router__name=name, **settings) for name in names}
        self.keys = {}  # (at, of): key by which "of" calls at "at"
        self.admins = {}
        for exchange in self.exchanges.values():
            exchange.folder.mkdir()
        start_all(self.exchanges.values())
        for name, exchange in self.exchanges.items():
            self.admins[name] = Admin(exchange)
            vault = pb.iam2.ClusterAPIKeyVaultStub(self.admins[name].channel)
            for other in names:
                if other != name:
                    request = pb.iam2.CreateClusterAPIKeyRequest(cluster_id=other, rights=[WRITE_TRAFFIC])
                    self.keys[name, other] = vault.CreateAPIKey(request, metadata=self.admins[name].metadata).key

    def __getitem__(self, name):
        return self.exchanges[name]

    def peer_with(self, **routes):
        """Write the files of peers and start again. routes: name -> other -> settings of that peer."""
        for name, others in routes.items():
            exchange, lines = self[name], ["peers:"]
            for other, settings in others.items():
                key, secret = self.keys[other, name], exchange.folder / f"{other}.secret"
                secret.write_text(key.key + "\n")
                lines += [f"  - name: {other}", f"    address: {self[other].grpc_address}",
                          f"    ca-file: {self[other].ca_file}", f"    token-url: {self[other].token_url}",
                          f"    client-id: {key.key_id}", f"    client-secret-file: {secret}",
                          f"    key-id: {self.keys[name, other].key_id}"]
                lines += [f"    {field}: [{', '.join(values)}]" for field, values in settings.items()]
            (exchange.folder / "peers.yaml").write_text("\n".join(lines) + "\n")
            exchange.settings["router.peers-file"] = exchange.folder / "peers.yaml"
            exchange.stop()
        start_all(self[name] for name in routes)
        for name in routes:
            self.admins[name] = Admin(self[name])

    def stop(self, check=True):
        for exchange in self.exchanges.values():
            exchange.stop(check)


@pytest.fixture
def peered(build, pb, tmp_path):
    with contextlib.ExitStack() as stack:
        def make(*names, **settings):
            group = Peered(build, pb, tmp_path, names, **settings)
            stack.callback(group.stop, check=False)
            return group
        yield make


def counter(exchange, name):
    return exchange.metrics().get(name, 0)


def test_an_uplink_crosses_and_the_downlink_returns(peered):
    group = peered("west", "east")
    group.admins["west"].create_network(FORWARDER)
    group.admins["east"].create_network(HOME, blocks=[(BASE, 15)])
    group.peer_with(west={"east": {"uplinks": [f"{HOME:06X}"], "join-requests": [f"{JOIN_EUI:016X}/40"]}},
                    east={"west": {}})
    forwarder, home = group.admins["west"].member(FORWARDER), group.admins["east"].member(HOME)
    eui = group.pb.v3.RoutingFilter.JoinRequest.EUIPrefixes(join_eui=JOIN_EUI, join_eui_length=40)
    up = home.subscribe_home("g", [group.pb.v3.RoutingFilter(mac=group.pb.v3.RoutingFilter.MACPayload()),
                                   group.pb.v3.RoutingFilter(join_request=group.pb.v3.RoutingFilter.JoinRequest(eui_prefixes=[eui]))])
    down = forwarder.subscribe_forwarder("g")
    sent = forwarder.publish_uplink(uplink(group.pb, data_frame(BASE + 1)))
    got = up.next()
    assert got.id == sent  # the same from end to end
    assert (got.forwarder_net_id, got.home_network_net_id) == (FORWARDER, HOME)
    assert got.message.gateway_uplink_token == b"\x0a\x0btoken"
    assert [(hop.sender_name, hop.receiver_name) for hop in got.hops] == [(f"{FORWARDER:06X}", "west"), ("west", "east")]
    # The forwarder is no member of east: it was heard through west.
    message = group.pb.v3.DownlinkMessage(phy_payload=data_frame(BASE + 1, mtype=UNCONFIRMED_DOWN, f_port=2),
                                          gateway_uplink_token=got.message.gateway_uplink_token, region="EU_863_870")
    answer = home.publish_downlink(got, message)
    back = down.next()
    assert back.id == answer and back.home_network_net_id == HOME
    assert back.message.gateway_uplink_token == b"\x0a\x0btoken"
    assert [hop.receiver_name for hop in back.hops] == ["east", "west"]
    # A join goes the same way by its JoinEUI.
    joined = forwarder.publish_uplink(uplink(group.pb, join_request(JOIN_EUI + 1, 1, 1)))
    assert up.next().id == joined
    # Reports count where the message was given out, once, and no made-up one does.
    for message_id, times in ((sent, 2), ("01J9Z3V5M8K2N4P6R8T0V2X4Z6-UD-0123456789ABCDEF", 1)):
        for _ in range(times):
            change = group.pb.v3.UplinkMessageDeliveryStateChange(
                id=message_id, home_network_net_id=HOME, forwarder_net_id=FORWARDER, state="PROCESSED")
            home.home.ReportUplinkMessageDeliveryState(
                group.pb.routing1.UplinkMessageDeliveryStateChangeRequest(state_change=change), metadata=home.metadata)
    report = 'lpx_router_delivery_reports_total{direction="uplink",outcome="%s"}'
    wait_until(lambda: counter(group["east"], report % "unknown") == 1, what="the unknown report")
    assert counter(group["east"], report % "success") == 1 and counter(group["east"], report % "repeated") == 1
    taken = 'lpx_router_peer_messages_total{peer="%s",outcome="taken"}'
    wait_until(lambda: counter(group["west"], taken % "east") == 2, what="both uplinks' answers")
    wait_until(lambda: counter(group["east"], taken % "west") == 1, what="the downlink's answer")
    up.close()
    down.close()
    group.stop()


def test_a_loop_of_three_does_not_circulate(peered):
    group = peered("one", "two", "three")
    group.admins["one"].create_network(FORWARDER)
    home = {"uplinks": [f"{BASE:08X}/15"]}
    group.peer_with(one={"two": home, "three": {}}, two={"three": home, "one": {}}, three={"one": home, "two": {}})
    forwarder = group.admins["one"].member(FORWARDER)
    for i in range(5):
        forwarder.publish_uplink(uplink(group.pb, data_frame(BASE + 1, f_cnt=i)))
    hops = 'lpx_router_dropped_messages_total{direction="uplink",reason="%s"}'
    wait_until(lambda: counter(group["three"], 'lpx_router_peer_messages_total{peer="one",outcome="refused"}') == 5,
               what="the refusals")
    # "one" may not be spoken for by "three": it is refused before its hops are looked at; either way it ends there.
    assert counter(group["one"], hops % "hops") == 0
    published = 'lpx_router_published_messages_total{direction="uplink",kind="data"}'
    assert [counter(group[name], published) for name in ("one", "two", "three")] == [5, 5, 5]
    group.stop()


def test_a_message_that_was_here_goes_no_further(peered):
    """Three may speak for the forwarder, so the hops decide."""
    group = peered("one", "two")
    group.admins["one"].create_network(FORWARDER)
    spoken = {"uplinks": [f"{BASE:08X}/15"], "speaks-for": [f"{FORWARDER:06X}"]}
    group.peer_with(one={"two": spoken}, two={"one": {}})
    key = group.keys["one", "two"]
    stub = group.pb.routing1.RouterDataStub(group["one"].channel())
    metadata = (("authorization", f"Bearer {group['one'].token(key.key_id, key.key)}"),)

    def route(net_id=FORWARDER, hops=(), **fields):
        message = group.pb.v3.RoutedUplinkMessage(
            id="some-id", forwarder_net_id=net_id, message=uplink(group.pb, data_frame(BASE + 1)),
            hops=[group.pb.v3.RouteHop(sender_name=s, receiver_name=r) for s, r in hops])
        return stub.RouteUplink(group.pb.routing1.RouteUplinkMessageRequest(message=message, **fields), metadata=metadata)

    def refusal(**fields):
        with pytest.raises(grpc.RpcError) as error:
            route(**fields)
        return error.value.code()

    assert route(hops=[("x", "two")]).state == group.pb.v3.ACCEPTED  # nobody here has it, and it goes not back
    assert refusal(hops=[("x", "one"), ("one", "two")]) == Code.FAILED_PRECONDITION
    assert refusal(hops=[("x", f"far{i}") for i in range(9)]) == Code.FAILED_PRECONDITION
    assert counter(group["one"], 'lpx_router_dropped_messages_total{direction="uplink",reason="hops"}') == 2
    group.admins["one"].create_network(FORWARDER + 1)
    wait_until(lambda: refused_spoof(route), what="the new member")
    member = group.admins["one"].member(FORWARDER)
    with pytest.raises(grpc.RpcError) as error:  # a member is no peer
        stub.RouteUplink(group.pb.routing1.RouteUplinkMessageRequest(), metadata=member.metadata)
    assert error.value.code() == Code.PERMISSION_DENIED
    vault = group.pb.iam2.ClusterAPIKeyVaultStub(group.admins["one"].channel)
    stranger = vault.CreateAPIKey(group.pb.iam2.CreateClusterAPIKeyRequest(cluster_id="x", rights=[WRITE_TRAFFIC]),
                                  metadata=group.admins["one"].metadata).key
    with pytest.raises(grpc.RpcError) as error:  # nor is every cluster
        stub.RouteUplink(group.pb.routing1.RouteUplinkMessageRequest(),
                         metadata=(("authorization", f"Bearer {group['one'].token(stranger.key_id, stranger.key)}"),))
    assert error.value.code() == Code.PERMISSION_DENIED and stranger.key_id in error.value.details()
    group.stop()


def refused_spoof(route):
    """A peer may not speak for a member that its entry does not name."""
    try:
        route(net_id=FORWARDER + 1)
    except grpc.RpcError as error:
        assert error.code() == Code.PERMISSION_DENIED, error
        return True
    return False


def test_a_dead_peer_slows_nobody(peered):
    group = peered("west", "east", "dead")
    group.admins["west"].create_network(FORWARDER)
    group.admins["east"].create_network(HOME, blocks=[(BASE, 15)])
    group.peer_with(west={"east": {"uplinks": [f"{HOME:06X}"]}, "dead": {"uplinks": ["26000000/8"]}}, east={"west": {}})
    group["dead"].kill()
    forwarder, home = group.admins["west"].member(FORWARDER), group.admins["east"].member(HOME)
    stream = home.subscribe_home("g")
    for i in range(50):
        forwarder.publish_uplink(uplink(group.pb, data_frame(0x26000001, f_cnt=i)))
        forwarder.publish_uplink(uplink(group.pb, data_frame(BASE + 1, f_cnt=i)))
    assert sorted(stream.next().message.phy_payload.plain[6] for _ in range(50)) == list(range(50))
    lost = 'lpx_router_dropped_messages_total{direction="uplink",reason="peer"}'
    wait_until(lambda: counter(group["west"], lost) == 50, what="the losses")
    group["dead"].start()  # and when it is back it is found again
    dead = 'lpx_router_peer_messages_total{peer="dead",outcome="%s"}'

    def arrives():
        forwarder.publish_uplink(uplink(group.pb, data_frame(0x26000001)))
        return counter(group["west"], dead % "taken") + counter(group["west"], dead % "refused") > 0
    wait_until(arrives, 30, what="the peer's return")
    stream.close()
    group.stop()
