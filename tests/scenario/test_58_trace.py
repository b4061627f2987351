"""What became of a message, and why, as its parties may ask: on the real exchange, with the real reasons."""
import itertools

import grpc
import pytest
from harness.exchange import wait_until
from harness.frames import UNCONFIRMED_DOWN, data_frame, join_request, uplink
from harness.members import Admin, Stream
from test_53_peers import Peered

numbers = itertools.count(0x380)
Code = grpc.StatusCode


class World:
    """A forwarder with a tenant, a home network with a tenant, and a stranger."""

    def __init__(self, exchange):
        self.exchange, self.pb, self.admin = exchange, exchange.pb, Admin(exchange)
        number = next(numbers)
        self.forwarder_id, self.home_id, self.stranger_id = 0xC04000 + number, 0x602000 + number, 0xC05000 + number
        self.base = 0xE0000000 | (self.home_id & 0x7FF) << 17
        self.admin.create_network(self.forwarder_id)
        self.admin.create_tenant(self.forwarder_id, "acme")
        self.admin.create_network(self.home_id, blocks=[(self.base, 15)])
        self.admin.create_network(self.stranger_id)
        self.network, self.home = self.admin.member(self.forwarder_id), self.admin.member(self.home_id)
        self.forwarder = self.admin.member(self.forwarder_id, "acme")
        self.stranger = self.admin.member(self.stranger_id)
        self.tracer = self.pb.lpx_trace.TracerStub(self.admin.channel)
        self.counter = itertools.count(1)

    def frame(self, **fields):
        return data_frame(self.base + 7, f_cnt=next(self.counter), **fields)

    def send(self, phy=None, **fields):
        return self.forwarder.publish_uplink(uplink(self.pb, phy or self.frame(), **fields))

    def trace(self, member, message_id):
        request = self.pb.lpx_trace.GetTraceRequest(id=message_id)
        return self.tracer.GetTrace(request, metadata=member.metadata).trace

    def last_step(self, member, event, reason="", **fields):
        """Send until the last step is the one wanted: settings act a moment after they were made."""
        found = []

        def came():
            found[:] = [self.trace(member, self.send(**fields))]
            return found[0].steps and found[0].steps[-1].event == event and found[0].steps[-1].reason == reason
        wait_until(came, what=f"{event} {reason}")
        return found[0]

    def subscribe(self, filters=()):
        """A stream of the home network, once what the forwarder sends reaches it."""
        stream = self.home.subscribe_home("g", filters)

        def arrives():
            self.send(self.frame(f_port=None))
            return stream.messages.qsize() > 0
        wait_until(arrives, what="the routes")
        return stream


@pytest.fixture
def world(shared_exchange):
    return World(shared_exchange)


def events(trace):
    return [(step.event, step.reason) for step in trace.steps]


def code_of(call, *arguments, **named):
    with pytest.raises(grpc.RpcError) as error:
        call(*arguments, **named)
    assert error.value.details(), "an error without a sentence"
    return error.value.code(), error.value.details()


def test_a_delivered_uplink_from_its_way_to_its_report(world):
    pb, stream = world.pb, world.subscribe()
    world.forwarder.set_policy(world.home_id, uplink="JMAS", downlink="JMA")
    trace = wait_until(lambda: next((t for t in [world.trace(world.forwarder, world.send())]
                                     if t.steps[0].stripped_localization), None), what="the policy")
    step = trace.steps[0]
    assert (step.event, step.route, step.policy, step.copies) == ("routed", "devaddr_block", "toward_tenant", 1)
    assert step.stripped_localization and not step.stripped_signal_quality
    assert step.home_network.net_id == world.home_id
    assert trace.forwarder.tenant_id == "acme" and trace.dev_addr == world.base + 7 and trace.f_port == 1
    while (got := stream.next()).id != trace.id:
        pass
    wait_until(lambda: events(world.trace(world.home, trace.id)) == [("routed", ""), ("sent", "")], what="sent")
    change = pb.v3.UplinkMessageDeliveryStateChange(
        id=got.id, home_network_net_id=got.home_network_net_id, forwarder_net_id=got.forwarder_net_id,
        forwarder_tenant_id=got.forwarder_tenant_id, state="PROCESSED", error=pb.v3.UplinkMessageProcessingErrorValue(
            value="NO_HOME_NETWORK_ENDPOINTS"))
    request = pb.routing1.UplinkMessageDeliveryStateChangeRequest(state_change=change)
    world.home.home.ReportUplinkMessageDeliveryState(request, metadata=world.home.metadata)
    wait_until(lambda: events(world.trace(world.forwarder, trace.id))[2:] == [("reported", "NO_HOME_NETWORK_ENDPOINTS")],
               what="the report")
    texts = [s.text for s in world.trace(world.forwarder, trace.id).steps]
    assert "localization" in texts[0] and "Sent to home network" in texts[1] and "it failed" in texts[2]
    stream.close()


def test_who_may_ask(world):
    message_id = world.last_step(world.forwarder, "dropped", "no_endpoint").id
    for member in (world.forwarder, world.network, world.home):
        assert events(world.trace(member, message_id)) == [("dropped", "no_endpoint")]
    # A stranger's answer is the one of an id that never was.
    unknown = code_of(world.trace, world.stranger, "01J9Z3V5M8K2N4P6R8T0V2X4Z6-UD-0123456789ABCDEF")
    assert unknown[0] == Code.NOT_FOUND
    assert code_of(world.trace, world.stranger, message_id) == unknown
    world.admin.create_tenant(world.forwarder_id, "other")
    assert code_of(world.trace, world.admin.member(world.forwarder_id, "other"), message_id) == unknown
    assert code_of(world.trace, world.admin.member(world.forwarder_id, rights=[0]), message_id)[0] == Code.PERMISSION_DENIED


def test_nobody_is_subscribed_and_all_filters_refuse(world):
    trace = world.last_step(world.forwarder, "dropped", "no_endpoint")
    assert "Nobody is subscribed" in trace.steps[0].text and trace.steps[0].home_network.net_id == world.home_id
    filters = [world.pb.v3.RoutingFilter(join_request=world.pb.v3.RoutingFilter.JoinRequest())]
    stream = world.home.subscribe_home("g", filters)
    trace = world.last_step(world.home, "dropped", "filter")
    assert "filters" in trace.steps[0].text
    stream.close()


def test_a_policy_refuses(world):
    world.forwarder.set_default_policy("M", "")
    trace = world.last_step(world.forwarder, "dropped", "policy")
    step = trace.steps[0]
    assert step.policy == "forwarder_default" and trace.dev_addr == world.base + 7
    assert f"{world.forwarder_id:06X}/acme does not allow application data" in step.text
    assert f"lpx policy set --forwarder-net-id {world.forwarder_id:06X} --forwarder-tenant-id acme" in step.text
    seen = world.trace(world.home, trace.id)
    assert events(seen) == [("dropped", "policy")] and seen.dev_addr == 0


def test_settings_of_the_home_network_refuse(world):
    settings = world.pb.lpx_routing.HomeNetworkSettings(home_network_net_id=world.home_id)
    settings.deny_forwarders.add(net_id=world.forwarder_id)
    manager = world.pb.lpx_routing.HomeNetworkSettingsManagerStub(world.home.channel)
    manager.SetSettings(world.pb.lpx_routing.SetHomeNetworkSettingsRequest(settings=settings), metadata=world.home.metadata)
    trace = world.last_step(world.forwarder, "dropped", "settings")
    assert "its settings say so" in trace.steps[0].text


def test_no_route_and_joins(world):
    join_eui, dev_eui = 0x70B3D57ED0000000 | world.home_id, 0x0102030405060708
    trace = world.trace(world.forwarder, world.send(join_request(join_eui, dev_eui)))
    assert events(trace) == [("dropped", "no_route")] and not trace.steps[0].HasField("home_network")
    assert trace.kind == world.pb.lpx_trace.JOIN and (trace.join_eui, trace.dev_eui) == (join_eui, dev_eui)
    assert f"{join_eui:016X}" in trace.steps[0].text
    assert code_of(world.trace, world.home, trace.id)[0] == Code.NOT_FOUND
    names = world.pb.v3.RoutingFilter.JoinRequest.EUIPrefixes(join_eui=join_eui, join_eui_length=64)
    filters = [world.pb.v3.RoutingFilter(join_request=world.pb.v3.RoutingFilter.JoinRequest(eui_prefixes=[names]))]
    stream = world.home.subscribe_home("joins", filters)

    def routed():
        found = world.trace(world.forwarder, world.send(join_request(join_eui, dev_eui)))
        return found.steps[0].event == "routed" and found
    step = wait_until(routed, what="the subscription").steps[0]
    assert (step.route, step.filter, step.home_network.net_id) == ("subscription_filter", 1, world.home_id)
    stream.close()


def test_a_join_server_names_the_home_network(world):
    join_eui = 0x70B3D57ED1000000 | world.home_id
    server = world.pb.v3.JoinServer(join_eui_prefixes=[{"value": join_eui, "length": 64}], fixed={"net_id": world.home_id})
    registry = world.pb.iam2.JoinServerRegistryStub(world.admin.channel)
    made = registry.CreateJoinServer(world.pb.iam2.CreateJoinServerRequest(join_server=server),
                                     metadata=world.admin.metadata).join_server
    stream = world.home.subscribe_home("joins")

    def routed():
        found = world.trace(world.forwarder, world.send(join_request(join_eui, 1)))
        return found.steps[0].event == "routed" and found
    step = wait_until(routed, what="the Join Server").steps[0]
    assert (step.route, step.home_network.net_id) == ("join_server_fixed", world.home_id)
    assert "fixed endpoint" in step.text
    registry.DeleteJoinServer(world.pb.iam2.JoinServerRequest(id=made.id), metadata=world.admin.metadata)
    stream.close()


def test_a_downlink(world):
    stream, back = world.subscribe(), world.forwarder.subscribe_forwarder("g")
    message = world.pb.v3.DownlinkMessage(phy_payload=data_frame(world.base + 7, mtype=UNCONFIRMED_DOWN, f_port=2))
    message_id = world.home.publish_downlink(stream.next(), message)
    assert back.next().id == message_id
    for member in (world.forwarder, world.home):
        wait_until(lambda m=member: events(world.trace(m, message_id)) == [("routed", ""), ("sent", "")], what="sent")
        trace = world.trace(member, message_id)
        assert trace.direction == world.pb.lpx_trace.DOWNLINK and trace.steps[0].route == "named"
        assert trace.steps[0].home_network.net_id == world.home_id and trace.forwarder.tenant_id == "acme"
    assert code_of(world.trace, world.stranger, message_id)[0] == Code.NOT_FOUND
    stream.close()
    back.close()


def recent(world, member, **fields):
    request = world.pb.lpx_trace.ListRecentRequest(net_id=member.net_id, tenant_id=member.tenant_id, **fields)
    return list(world.tracer.ListRecent(request, metadata=member.metadata).traces)


def test_the_newest_first(world):
    stream = world.subscribe()
    ids = [world.send() for _ in range(5)]
    world.forwarder.set_default_policy("M", "")
    lost = world.last_step(world.forwarder, "dropped", "policy").id
    for member in (world.forwarder, world.network, world.home):
        found = [t.id for t in recent(world, member)]
        assert found[0] == lost and [i for i in found if i in ids] == ids[::-1]
        assert [t.id for t in recent(world, member, drops_only=True)][0] == lost
        assert all(any(s.event == "dropped" for s in t.steps) for t in recent(world, member, drops_only=True))
        assert [t.id for t in recent(world, member, limit=2)] == found[:2]
    assert recent(world, world.stranger) == []
    request = world.pb.lpx_trace.ListRecentRequest(net_id=world.home_id)
    assert code_of(world.tracer.ListRecent, request, metadata=world.stranger.metadata)[0] == Code.PERMISSION_DENIED
    stream.close()


def watch(world, member, **fields):
    request = world.pb.lpx_trace.WatchRequest(net_id=member.net_id, tenant_id=member.tenant_id, **fields)
    return Stream(world.tracer.Watch(request, metadata=member.metadata))


def test_live(world):
    stream = world.subscribe()
    watchers = [watch(world, m) for m in (world.network, world.home)]
    drops, stranger = watch(world, world.home, drops_only=True), watch(world, world.stranger)
    sent = world.send()
    for watcher in watchers:
        shown = []
        while not shown or shown[-1].trace.id != sent or events(shown[-1].trace) != [("routed", ""), ("sent", "")]:
            shown.append(watcher.next())
        assert all(answer.missed == 0 for answer in shown)
    stream.close()
    lost = world.last_step(world.home, "dropped", "no_endpoint").id
    while (first := drops.next()).trace.id != lost:
        assert any(step.event == "dropped" for step in first.trace.steps)
    own = world.stranger.publish_uplink(uplink(world.pb, data_frame(0x00000001)))
    assert stranger.next().trace.id == own  # and nothing of the others before it
    assert code_of(next, world.tracer.Watch(world.pb.lpx_trace.WatchRequest(net_id=world.home_id),
                                            metadata=world.stranger.metadata))[0] == Code.PERMISSION_DENIED
    for watcher in [*watchers, drops, stranger]:
        watcher.close()


def test_only_so_many_may_watch(world):
    # Each loop has places of its own, and connections are spread over the loops.
    watchers = [watch(world, world.home) for _ in range(4)]
    refused = code_of(next, world.tracer.Watch(world.pb.lpx_trace.WatchRequest(net_id=world.home_id),
                                               metadata=world.home.metadata))
    assert refused[0] == Code.RESOURCE_EXHAUSTED
    watchers.pop().close()

    def accepted():
        watchers.append(watch(world, world.home))
        world.send()
        return watchers[-1].next() is not None
    wait_until(accepted, what="a place")
    for watcher in watchers:
        watcher.close()


def test_memory_is_bounded_and_counted(exchange):
    exchange.settings.update(trace__messages=50, server__loops=1)
    exchange.start()
    world = World(exchange)
    first = world.send()
    assert world.trace(world.forwarder, first).id == first
    for _ in range(100):
        last = world.send()
    assert code_of(world.trace, world.forwarder, first)[0] == Code.NOT_FOUND
    assert world.trace(world.forwarder, last).id == last
    metrics = exchange.metrics()
    assert 0 < metrics["lpx_trace_messages_kept"] <= 52
    assert metrics["lpx_trace_messages_kept"] + metrics["lpx_trace_messages_overwritten_total"] == 101
    watcher = watch(world, world.home)
    exchange.stop()  # while somebody watches
    assert watcher.next() is None


def test_a_slow_subscriber_loses_the_oldest(exchange):
    exchange.settings.update(router__queue_messages=2, server__loops=1)
    exchange.start()
    world = World(exchange)
    world.subscribe().close()
    request = world.pb.routing1.SubscribeHomeNetworkRequest(home_network_net_id=world.home_id, group="slow")
    call = world.home.home.Subscribe(request, metadata=world.home.metadata)
    call.initial_metadata()  # in place, and never read

    def lost():
        world.send(token=b"x" * 200000)
        return [t for t in recent(world, world.home, drops_only=True) if t.steps[-1].reason == "queue_full"]
    trace = wait_until(lost, what="a full queue")[0]
    assert events(trace) == [("routed", ""), ("dropped", "queue_full")]
    assert "slow subscriber" in trace.steps[1].text
    call.cancel()
    wait_until(lambda: any(("dropped", "gone") in events(t) for t in recent(world, world.forwarder)), what="who left")
    exchange.stop()


def test_through_another_exchange(build, pb, tmp_path):
    group = Peered(build, pb, tmp_path, ("west", "east"))
    forwarder_id, home_id, base = 0xC00058, 0x600058, 0xE0000000 | 0x58 << 17
    group.admins["west"].create_network(forwarder_id)
    group.admins["east"].create_network(home_id, blocks=[(base, 15)])
    group.peer_with(west={"east": {"uplinks": [f"{home_id:06X}"]}}, east={"west": {}})
    forwarder, home = group.admins["west"].member(forwarder_id), group.admins["east"].member(home_id)
    stream = home.subscribe_home("g")
    message_id = forwarder.publish_uplink(uplink(pb, data_frame(base + 1)))
    assert stream.next().id == message_id

    def trace(member):
        tracer = pb.lpx_trace.TracerStub(member.channel)
        return tracer.GetTrace(pb.lpx_trace.GetTraceRequest(id=message_id), metadata=member.metadata).trace
    wait_until(lambda: events(trace(forwarder)) == [("routed", ""), ("sent", "")], what="the answer of the other exchange")
    assert trace(forwarder).steps[0].route == "peer" and "another exchange" in trace(forwarder).steps[0].text
    assert trace(home).hops == [f"{forwarder_id:06X}", "west"] and trace(home).forwarder.net_id == forwarder_id
    assert trace(home).steps[0].home_network.net_id == home_id
    stream.close()
    group.stop()


def test_off(exchange):
    exchange.settings.update(trace__messages=0)
    exchange.start()
    world = World(exchange)
    code, details = code_of(world.trace, world.forwarder, world.send())
    assert code == Code.FAILED_PRECONDITION and "trace.messages" in details
    exchange.stop()
