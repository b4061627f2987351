"""Uplinks, join-requests and downlinks through the exchange: routes, policies, filters, groups, endpoints."""
import itertools

import grpc
import pytest
from harness.exchange import wait_until
from harness.frames import (CONFIRMED_UP, JOIN_ACCEPT, UNCONFIRMED_DOWN, data_frame, join_request, uplink)
from harness.members import Admin

numbers = itertools.count(0x100)


class World:
    """A forwarder and a home network of the test's own, on the shared exchange."""

    def __init__(self, exchange):
        self.exchange, self.pb, self.admin = exchange, exchange.pb, Admin(exchange)
        self.forwarder_id = 0xC01000 + next(numbers)
        # Type 3 NetIDs have 17 bits of NwkAddr under a 15-bit prefix: room for tenants' blocks.
        self.home_id = 0x600000 + next(numbers)
        self.base = 0xE0000000 | (self.home_id & 0x7FF) << 17
        self.admin.create_network(self.forwarder_id)
        self.admin.create_network(self.home_id, blocks=[(self.base, 15)])
        self.forwarder = self.admin.member(self.forwarder_id)
        self.home = self.admin.member(self.home_id)

    def frame(self, offset=1, **fields):
        return data_frame(self.base + offset, **fields)

    def send(self, phy, **fields):
        return self.forwarder.publish_uplink(uplink(self.pb, phy, **fields))


@pytest.fixture
def world(shared_exchange):
    return World(shared_exchange)


def policy_acts(world, stream):
    """Send a message that the policy refuses, then one that passes; the policy acts when only the second comes."""
    refused, passing = world.frame(f_port=77), world.frame(f_port=None)
    world.send(refused)
    world.send(passing)
    first = stream.next().message.phy_payload.plain
    if first == refused:
        assert stream.next().message.phy_payload.plain == passing
    return first == passing


def test_uplink_reaches_the_home_network_and_a_downlink_returns(world):
    home, forwarder = world.home.subscribe_home("g"), world.forwarder.subscribe_forwarder("g")
    phy = world.frame(mtype=CONFIRMED_UP)
    uplink_id = world.send(phy)
    got = home.next()
    assert got.id == uplink_id and 0 < len(got.id) <= 80 and got.id.isascii() and got.id.isprintable()
    assert got.forwarder_net_id == world.forwarder_id and got.home_network_net_id == world.home_id
    assert got.message.phy_payload.plain == phy and got.time.seconds > 0
    assert got.message.gateway_uplink_token == b"\x0a\x0btoken"
    assert got.message.data_rate.lora.spreading_factor == 7
    down = world.pb.v3.DownlinkMessage(phy_payload=data_frame(world.base + 1, mtype=UNCONFIRMED_DOWN, f_port=2),
                                       gateway_uplink_token=got.message.gateway_uplink_token, region="EU_863_870")
    down.rx1.frequency, down.rx1.data_rate_index = 868100000, 5
    down.rx1_delay.seconds = 5
    down_id = world.home.publish_downlink(got, down)
    back = forwarder.next()
    assert back.id == down_id and back.home_network_net_id == world.home_id
    assert back.forwarder_net_id == world.forwarder_id
    assert back.message.gateway_uplink_token == b"\x0a\x0btoken"
    assert back.message.rx1.data_rate.lora.spreading_factor == 7  # filled from region and index
    for state in ({"error": {"value": "NOT_FOUND"}}, {}):
        change = world.pb.v3.UplinkMessageDeliveryStateChange(
            id=uplink_id, home_network_net_id=world.home_id, forwarder_net_id=world.forwarder_id, state="PROCESSED", **state)
        world.home.home.ReportUplinkMessageDeliveryState(
            world.pb.routing1.UplinkMessageDeliveryStateChangeRequest(state_change=change), metadata=world.home.metadata)
    change = world.pb.v3.DownlinkMessageDeliveryStateChange(
        id=down_id, home_network_net_id=world.home_id, forwarder_net_id=world.forwarder_id, state="PROCESSED",
        success=world.pb.v3.DownlinkMessageDeliveryStateChange.TransmissionResult(rx1=True))
    world.forwarder.forwarder.ReportDownlinkMessageDeliveryState(
        world.pb.routing1.DownlinkMessageDeliveryStateChangeRequest(state_change=change), metadata=world.forwarder.metadata)
    home.close()
    forwarder.close()


def test_groups_get_one_copy_each(world):
    grouped = [world.home.subscribe_home("one") for _ in range(4)]
    second, alone = world.home.subscribe_home("two"), [world.home.subscribe_home() for _ in range(2)]
    for i in range(40):
        world.send(world.frame(f_cnt=i))
    wait_until(lambda: sum(s.messages.qsize() for s in grouped) >= 40, what="delivery to the group")
    per_stream = [len(s.drain()) for s in grouped]
    assert sum(per_stream) == 40 and min(per_stream) > 0, per_stream
    for stream in [second, *alone]:
        assert [stream.next().message.phy_payload.plain[6] for _ in range(40)] == list(range(40))
    for stream in [*grouped, second, *alone]:
        assert stream.messages.qsize() == 0
        stream.close()


def test_policies_refuse_and_strip_at_once(world):
    stream = world.home.subscribe_home("g")
    world.send(world.frame(f_cnt=1))
    assert stream.next().message.phy_payload.plain[6] == 1  # no policy: open
    world.forwarder.set_policy(world.home_id, uplink="JM", downlink="")
    # The change reaches the router by the feed, soon after the answer.
    wait_until(lambda: policy_acts(world, stream), what="the policy")
    world.send(world.frame(f_cnt=4, f_port=None))
    got = stream.next()
    assert got.message.phy_payload.plain[6] == 4
    antennas = got.message.gateway_metadata.plain_signal_quality.terrestrial.antennas
    assert len(antennas) == 1 and not antennas[0].HasField("value")
    assert not got.message.gateway_metadata.HasField("plain_localization")
    assert got.message.gateway_uplink_token == b"\x0a\x0btoken"
    stream.close()


def test_filters_choose(world):
    mac = world.pb.v3.RoutingFilter.MACPayload
    port_range = mac.FPortRange(low=10, high=20)
    narrow = world.home.subscribe_home("narrow", [world.pb.v3.RoutingFilter(mac=mac(f_port_ranges=[port_range]))])
    either = world.home.subscribe_home("either", [
        world.pb.v3.RoutingFilter(mac=mac(f_port_ranges=[port_range])),
        world.pb.v3.RoutingFilter(mac=mac(confirmed=world.pb.v3.RoutingFilter(gateway_metadata={"value": True}).gateway_metadata))])
    everything = world.home.subscribe_home("all", [world.pb.v3.RoutingFilter(
        mac=mac(dev_addr_prefixes=[world.pb.v3.DevAddrPrefix(value=0, length=0)]))])
    for f_cnt, (port, mtype) in enumerate(((9, 2), (10, 2), (20, 2), (21, 2), (1, CONFIRMED_UP))):
        world.send(world.frame(f_cnt=f_cnt, f_port=port, mtype=mtype))
    assert [everything.next().message.phy_payload.plain[6] for _ in range(5)] == [0, 1, 2, 3, 4]
    assert [either.next().message.phy_payload.plain[6] for _ in range(3)] == [1, 2, 4]
    assert [narrow.next().message.phy_payload.plain[6] for _ in range(2)] == [1, 2]
    for stream in (narrow, either, everything):
        assert stream.messages.qsize() == 0
        stream.close()


def test_join_requests_go_to_filters_that_name_them(world):
    prefixes = world.pb.v3.RoutingFilter.JoinRequest.EUIPrefixes
    join_eui, dev_eui = 0x70B3D57ED0000000 + world.home_id, 0x0004A30B00000000 + world.home_id
    named = world.home.subscribe_home("named", [world.pb.v3.RoutingFilter(join_request=world.pb.v3.RoutingFilter.JoinRequest(
        eui_prefixes=[prefixes(join_eui=join_eui, join_eui_length=64, dev_eui=dev_eui, dev_eui_length=32)]))])
    everything = world.home.subscribe_home("all", [world.pb.v3.RoutingFilter(
        join_request=world.pb.v3.RoutingFilter.JoinRequest(eui_prefixes=[prefixes()]))])
    first, other = join_request(join_eui, dev_eui), join_request(join_eui ^ 1, dev_eui)
    world.send(other)
    world.send(first)
    assert named.next().message.phy_payload.plain == first
    assert named.messages.qsize() == 0
    everything.close()
    named.close()


def test_tenants_and_clusters(world):
    tenant_base = world.base | 1 << 16
    world.admin.create_tenant(world.home_id, "tenant-a", blocks=[(tenant_base, 16, "eu1")])
    tenant_eu = world.admin.member(world.home_id, "tenant-a", "eu1")
    tenant_us = world.admin.member(world.home_id, "tenant-a", "us1")
    streams = {"eu": tenant_eu.subscribe_home("t"), "us": tenant_us.subscribe_home("t"),
               "net": world.home.subscribe_home("n")}
    phy = data_frame(tenant_base + 5)

    def arrived():
        world.send(phy)
        return streams["eu"].messages.qsize() > 0
    wait_until(arrived, what="the tenant's block")
    got = streams["eu"].next()
    assert (got.home_network_tenant_id, got.home_network_cluster_id) == ("tenant-a", "eu1")
    world.send(world.frame(7))
    while streams["net"].next().message.phy_payload.plain != world.frame(7):
        pass  # the network's stream, without a tenant, sees its tenants' messages too
    assert streams["us"].drain() == []
    for stream in streams.values():
        stream.close()


def test_nobody_there_is_no_error_but_counted(world):
    before = world.exchange.metrics()
    assert world.send(world.frame())  # no subscription
    assert world.send(data_frame(0xFDFFFFFF))  # no network
    after = world.exchange.metrics()
    for reason in ("no_endpoint", "no_route"):
        name = f'lpx_router_dropped_messages_total{{direction="uplink",reason="{reason}"}}'
        assert after[name] == before[name] + 1


def test_bad_messages_are_named(world):
    pb = world.pb
    for message, field in ((None, "message"), (pb.v3.UplinkMessage(), "phy_payload"),
                           (uplink(pb, world.frame(), token=b""), None)):
        request = pb.routing1.PublishUplinkMessageRequest(forwarder_net_id=world.forwarder_id, message=message)
        if field is None:
            assert world.forwarder.forwarder.Publish(request, metadata=world.forwarder.metadata).id
            continue
        with pytest.raises(grpc.RpcError) as error:
            world.forwarder.forwarder.Publish(request, metadata=world.forwarder.metadata)
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT and field in error.value.details()
    short = uplink(pb, world.frame())
    short.phy_payload.plain = b"\x40\x01\x02"
    with pytest.raises(grpc.RpcError) as error:
        world.forwarder.publish_uplink(short)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT and "phy_payload" in error.value.details()
    with pytest.raises(grpc.RpcError) as error:
        world.forwarder.forwarder.Publish(pb.routing1.PublishUplinkMessageRequest(
            forwarder_net_id=world.home_id, message=uplink(pb, world.frame())), metadata=world.forwarder.metadata)
    assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED and "forwarder_net_id" in error.value.details()


def test_a_revoked_key_ends_its_streams(world):
    member = world.admin.member(world.home_id)
    stream = member.subscribe_home("revoked")
    world.admin.delete_key(member.key.key_id)
    assert stream.next() is None
    assert stream.error.code() == grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.RpcError) as error:
        member.policies.ListDefaultPolicies(world.pb.routing1.ListDefaultPoliciesRequest(), metadata=member.metadata)
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_downlink_policy_and_join_accept(world):
    stream = world.forwarder.subscribe_forwarder("g")
    up = world.home.subscribe_home("g")
    world.send(world.frame())
    got = up.next()
    accept = bytes([JOIN_ACCEPT << 5]) + bytes(16)
    world.home.publish_downlink(got, world.pb.v3.DownlinkMessage(phy_payload=accept))
    assert stream.next().message.phy_payload == accept
    world.forwarder.set_policy(world.home_id, uplink="JMASL", downlink="M")

    def refused():
        """After the change only frames without FPort pass."""
        world.home.publish_downlink(got, world.pb.v3.DownlinkMessage(phy_payload=accept))
        world.home.publish_downlink(got, world.pb.v3.DownlinkMessage(
            phy_payload=data_frame(world.base, mtype=UNCONFIRMED_DOWN, f_port=None)))
        first = stream.next().message.phy_payload
        if first == accept:
            stream.next()
            return False
        return stream.messages.qsize() == 0
    wait_until(refused, what="the downlink policy")
    stream.close()
    up.close()
