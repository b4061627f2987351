"""Rules that existing clients rely on, one test each, where no other scenario would notice that a rule broke."""
import itertools

import grpc
import pytest
from harness.exchange import wait_until
from harness.frames import CONFIRMED_UP, UNCONFIRMED_DOWN, data_frame, join_request, uplink
from harness.members import ALL_RIGHTS, Admin

numbers = itertools.count(0x400)
Code = grpc.StatusCode


class World:
    """A forwarder and a home network with a block and tenants, of the test's own."""

    def __init__(self, exchange):
        self.exchange, self.pb, self.admin = exchange, exchange.pb, Admin(exchange)
        number = next(numbers)
        self.forwarder_id, self.home_id = 0xC02000 + number, 0x600000 + number
        self.base = 0xE0000000 | (self.home_id & 0x7FF) << 17
        self.admin.create_network(self.forwarder_id)
        self.admin.create_network(self.home_id, blocks=[(self.base, 15)])
        self.admin.create_tenant(self.forwarder_id, "acme")
        self.admin.create_tenant(self.home_id, "tenant-a", blocks=[(self.base | 1 << 16, 17)])
        self.admin.create_tenant(self.home_id, "tenant-b", blocks=[(self.base | 3 << 15, 17)])
        self.forwarder, self.home = self.admin.member(self.forwarder_id), self.admin.member(self.home_id)
        self.acme = self.admin.member(self.forwarder_id, "acme")
        self.tenant_a = self.admin.member(self.home_id, "tenant-a")
        self.counter = itertools.count(1)

    def frame(self, tenant="", **fields):
        """A data uplink of the network, or of one of its tenants."""
        offset = {"": 0, "tenant-a": 1 << 16, "tenant-b": 3 << 15}[tenant]
        return data_frame((self.base | offset) + 1, f_cnt=next(self.counter), **fields)

    def send(self, phy, by=None, **fields):
        return (by or self.forwarder).publish_uplink(uplink(self.pb, phy, **fields))

    def settled(self, stream, tenant="", by=None):
        """Wait until the routes of this world act where this publisher's calls are handled."""
        sent = []

        def arrives():
            sent.append(self.frame(tenant))
            self.send(sent[-1], by)
            return stream.messages.qsize() > 0
        wait_until(arrives, what="the routes")
        while stream.next().message.phy_payload.plain != sent[-1]:
            pass  # all in order: what was sent first may have met no route
        return stream

    def downlink(self, **fields):
        return self.pb.v3.DownlinkMessage(phy_payload=data_frame(self.base + 1, mtype=UNCONFIRMED_DOWN), **fields)


@pytest.fixture
def world(shared_exchange):
    return World(shared_exchange)


def code_of(call, *arguments, **named):
    with pytest.raises(grpc.RpcError) as error:
        call(*arguments, **named)
    assert error.value.details(), "an error without a sentence"
    return error.value.code()


# ---- tokens and keys ----

def test_one_token_for_several_audiences_opens_every_service(world):
    key, pb = world.forwarder.key, world.pb
    token = world.exchange.token(key.key_id, key.key, "localhost unknown.example 127.0.0.1")
    metadata = (("authorization", f"Bearer {token}"),)
    networks = pb.iam1.NetworkRegistryStub(world.forwarder.channel)
    networks.GetNetwork(pb.iam1.NetworkRequest(net_id=world.forwarder_id), metadata=metadata)
    world.forwarder.policies.ListDefaultPolicies(pb.routing1.ListDefaultPoliciesRequest(), metadata=metadata)
    world.forwarder.metadata = metadata
    assert world.send(world.frame())


def test_a_key_without_rights_can_do_nothing(world):
    member = world.admin.member(world.forwarder_id, rights=[])
    assert code_of(member.publish_uplink, uplink(world.pb, world.frame())) == Code.PERMISSION_DENIED
    assert code_of(member.set_default_policy, "J", "J") == Code.PERMISSION_DENIED


def test_a_chosen_secret_works_and_is_never_listed(world):
    pb, admin = world.pb, world.admin
    request = pb.iam2.CreateNetworkAPIKeyRequest(net_id=world.home_id, cluster_id="eu1", rights=ALL_RIGHTS,
                                                 key="chosen+secret&=%")
    key = admin.keys.CreateAPIKey(request, metadata=admin.metadata).key
    assert key.key == "chosen+secret&=%" and world.exchange.token(key.key_id, key.key)
    listed = pb.iam2.ListNetworkAPIKeysRequest()
    listed.net_id.value, listed.cluster_id.value = world.home_id, "eu1"
    assert [(k.key_id, k.key) for k in admin.keys.ListAPIKeys(listed, metadata=admin.metadata).keys] == [(key.key_id, "")]
    listed.tenant_id.value = ""
    assert code_of(admin.keys.ListAPIKeys, listed, metadata=admin.metadata) == Code.INVALID_ARGUMENT
    unknown = pb.iam2.APIKeyRequest(key_id="AAAAAAAAAAAAAAAA")
    assert code_of(admin.keys.DeleteAPIKey, unknown, metadata=admin.metadata) == Code.NOT_FOUND


def test_a_key_of_a_cluster_speaks_for_that_cluster(world):
    pb = world.pb
    member = world.admin.member(world.home_id, cluster_id="eu1")
    stream = world.settled(member.subscribe_home("g"))
    other = pb.routing1.SubscribeHomeNetworkRequest(home_network_net_id=world.home_id, home_network_cluster_id="us1")
    assert code_of(next, member.home.Subscribe(other, metadata=member.metadata)) == Code.PERMISSION_DENIED
    world.send(world.frame())
    got = stream.next()
    # The block has no cluster. Clients copy the endpoints of the message into the report.
    assert got.home_network_cluster_id == ""
    change = pb.v3.UplinkMessageDeliveryStateChange(
        id=got.id, home_network_net_id=got.home_network_net_id, home_network_cluster_id=got.home_network_cluster_id,
        forwarder_net_id=got.forwarder_net_id, state="PROCESSED")
    request = pb.routing1.UplinkMessageDeliveryStateChangeRequest(state_change=change)
    member.home.ReportUplinkMessageDeliveryState(request, metadata=member.metadata)
    change.home_network_cluster_id = "us1"
    request = pb.routing1.UplinkMessageDeliveryStateChangeRequest(state_change=change)
    assert code_of(member.home.ReportUplinkMessageDeliveryState, request, metadata=member.metadata) == Code.PERMISSION_DENIED
    stream.close()


# ---- registries ----

def list_tenants(world, **fields):
    request = world.pb.iam1.ListTenantsRequest(net_id=world.home_id, **fields)
    page = world.admin.tenants.ListTenants(request, metadata=world.admin.metadata)
    return [t.tenant_id for t in page.tenants], page.total


def test_pages_and_filters_of_tenants(world):
    for tenant in ("north", "south"):
        world.admin.create_tenant(world.home_id, tenant)
    update = world.pb.iam1.UpdateTenantRequest(net_id=world.home_id, tenant_id="south")
    update.name.value = "Österreich Nord-Ost"
    world.admin.tenants.UpdateTenant(update, metadata=world.admin.metadata)
    everyone = ["north", "south", "tenant-a", "tenant-b"]
    assert list_tenants(world) == (everyone, 4)
    assert list_tenants(world, limit=1000000) == (everyone, 4)
    assert list_tenants(world, offset=3, limit=2) == (everyone[3:], 4)
    assert list_tenants(world, offset=4) == ([], 4)
    assert list_tenants(world, offset=4294967295) == ([], 4)
    assert list_tenants(world, tenant_id_contains="TENANT", limit=1) == (["tenant-a"], 2)
    assert list_tenants(world, tenant_id_contains="nor", name_contains="NORD") == (["north", "south"], 2)  # either
    assert list_tenants(world, name_contains="Öst") == (["south"], 1)
    assert list_tenants(world, name_contains="%") == ([], 0) and list_tenants(world, name_contains="_") == ([], 0)


def test_a_tenant_manages_itself_without_its_addresses(world):
    pb, tenant = world.pb, world.tenant_a
    tenants = pb.iam1.TenantRegistryStub(tenant.channel)
    update = pb.iam1.UpdateTenantRequest(net_id=world.home_id, tenant_id="tenant-a")
    update.listed.value, update.name.value = True, "Tenant A"
    update.technical_contact.value.email = "noc@example.org"
    tenants.UpdateTenant(update, metadata=tenant.metadata)
    clear = pb.iam1.UpdateTenantRequest(net_id=world.home_id, tenant_id="tenant-a", technical_contact={})
    tenants.UpdateTenant(clear, metadata=tenant.metadata)
    request = pb.iam1.TenantRequest(net_id=world.home_id, tenant_id="tenant-a")
    got = tenants.GetTenant(request, metadata=tenant.metadata).tenant
    assert (got.name, got.listed, got.technical_contact.email) == ("Tenant A", True, "")
    update.dev_addr_blocks.value.add().prefix.length = 15
    assert code_of(tenants.UpdateTenant, update, metadata=tenant.metadata) == Code.PERMISSION_DENIED
    create = pb.iam1.CreateTenantRequest(tenant=pb.v3.Tenant(net_id=world.home_id, tenant_id="another"))
    assert code_of(tenants.CreateTenant, create, metadata=tenant.metadata) == Code.PERMISSION_DENIED


def test_a_deleted_tenant_loses_its_streams_and_policies_alone(world):
    """Its own streams end, policies from and toward it vanish, its addresses fall back to the network."""
    pb, forwarder = world.pb, world.forwarder
    own, network = world.tenant_a.subscribe_home("g"), world.home.subscribe_home("g")
    forwarder.set_policy(world.home_id, "tenant-a", uplink="JMASL", downlink="JMA")
    request = pb.iam1.TenantRequest(net_id=world.home_id, tenant_id="tenant-a")
    world.admin.tenants.DeleteTenant(request, metadata=world.admin.metadata)
    while own.next() is not None:
        pass
    assert own.error.code() == Code.UNAUTHENTICATED
    get = pb.routing1.GetHomeNetworkPolicyRequest(forwarder_net_id=world.forwarder_id, home_network_net_id=world.home_id,
                                                  home_network_tenant_id="tenant-a")
    assert code_of(forwarder.policies.GetHomeNetworkPolicy, get, metadata=forwarder.metadata) == Code.NOT_FOUND

    def falls_back():
        world.send(world.frame("tenant-a"))
        return network.next().home_network_tenant_id == ""
    wait_until(falls_back, what="the network's route")
    network.close()


# ---- policies ----

def test_presence_decides_what_a_policy_is(world):
    """Both halves absent: delete. Present and empty: all off. One half absent: that half is off."""
    pb, forwarder = world.pb, world.forwarder
    get = pb.routing1.GetDefaultPolicyRequest(forwarder_net_id=world.forwarder_id)

    def got():
        return forwarder.policies.GetDefaultPolicy(get, metadata=forwarder.metadata).policy
    forwarder.set_default_policy("", "")
    assert got().HasField("uplink") and got().HasField("downlink") and not got().uplink.join_request
    forwarder.set_default_policy(uplink="J")
    assert got().uplink.join_request and not got().downlink.join_accept
    forwarder.set_default_policy(downlink="M")
    assert got().downlink.mac_data and not got().uplink.join_request
    forwarder.set_default_policy()
    assert code_of(got) == Code.NOT_FOUND
    forwarder.set_default_policy()
    page = forwarder.policies.ListDefaultPolicies(pb.routing1.ListDefaultPoliciesRequest(limit=1000), metadata=forwarder.metadata)
    assert world.forwarder_id not in [p.forwarder_net_id for p in page.policies]


def test_updated_since_is_strict_and_limits_are_capped(world):
    pb, forwarder = world.pb, world.forwarder
    for other in range(12):
        forwarder.set_policy(0xC00100 + other, uplink="J", downlink="J")

    def page(**fields):
        request = pb.routing1.ListHomeNetworkPoliciesRequest(forwarder_net_id=world.forwarder_id, **fields)
        return forwarder.policies.ListHomeNetworkPolicies(request, metadata=forwarder.metadata)
    everything = page(limit=4294967295).policies
    assert len(everything) == 12 and len(page().policies) == 10
    for index in (0, 5, 11):
        rest = page(updated_since=everything[index].updated_at, limit=1000)
        assert list(rest.policies) == list(everything[index + 1:]) and rest.total == 12
    forwarder.set_policy(0xC00100, uplink="M", downlink="J")  # touched: last now
    rest = page(updated_since=everything[11].updated_at)
    assert [p.home_network_net_id for p in rest.policies] == [0xC00100] and rest.total == 12
    bad = pb.routing1.ListHomeNetworkPoliciesRequest(forwarder_net_id=world.forwarder_id)
    bad.updated_since.nanos = -1
    assert code_of(forwarder.policies.ListHomeNetworkPolicies, bad, metadata=forwarder.metadata) == Code.INVALID_ARGUMENT


def test_partners_are_always_named(world):
    """Networks and tenants in either direction, registered or not, each with its kind."""
    pb, forwarder = world.pb, world.forwarder
    forwarder.set_policy(world.home_id, "tenant-b", uplink="J", downlink="J")
    forwarder.set_policy(0xC00111, uplink="J", downlink="J")
    forwarder.set_policy(0xC00111, "nobody", uplink="J", downlink="J")

    def partners(**fields):
        request = pb.routing1.ListNetworksWithPolicyRequest(net_id=world.forwarder_id, **fields)
        page = forwarder.policies.ListNetworksWithPolicy(request, metadata=forwarder.metadata)
        assert all(n.WhichOneof("value") for n in page.networks)
        return [(n.tenant.net_id, n.tenant.tenant_id) if n.WhichOneof("value") == "tenant" else n.network.net_id
                for n in page.networks], page.total
    everyone = [(world.home_id, "tenant-b"), 0xC00111, (0xC00111, "nobody")]
    assert partners() == (everyone, 3)
    assert partners(offset=1, limit=1) == ([0xC00111], 3) and partners(offset=3) == ([], 3)
    assert partners(tenant_id_contains="NOBO") == (everyone[2:], 1)


def test_the_nearest_policy_applies(world):
    """Tenant to tenant, tenant to network, the tenant's default, its network's default."""
    stream = world.settled(world.tenant_a.subscribe_home("g"), "tenant-a")
    acme, forwarder, app = world.acme, world.forwarder, 7

    def passes():
        marker = world.frame("tenant-a", f_port=None)
        phy = world.frame("tenant-a", f_port=app)
        world.send(phy, acme)
        world.send(marker, acme)
        first = stream.next().message.phy_payload.plain
        if first == phy:
            stream.next()
        return first == phy
    assert passes()  # none: open
    for change, expected in (
            (lambda: forwarder.set_default_policy("M", "M"), False),
            (lambda: acme.set_default_policy("MA", "M"), True),
            (lambda: acme.set_policy(world.home_id, uplink="M", downlink="M"), False),
            (lambda: acme.set_policy(world.home_id, "tenant-a", uplink="MA", downlink="M"), True),
            (lambda: acme.set_policy(world.home_id, "tenant-a"), False),
            (lambda: acme.set_policy(world.home_id), True),
            (lambda: acme.set_default_policy(), False),
            (lambda: forwarder.set_default_policy(), True)):
        change()
        wait_until(lambda: passes() == expected, what="the policy")
    stream.close()


def test_a_half_stripped_message_keeps_the_other_half(world):
    stream = world.settled(world.home.subscribe_home("g"))
    for letters, signal, place in (("MAS", True, False), ("MAL", False, True)):
        world.forwarder.set_policy(world.home_id, uplink=letters, downlink="")

        def acts():
            world.send(world.frame())
            metadata = stream.next().message.gateway_metadata
            return (metadata.HasField("plain_signal_quality"), metadata.HasField("plain_localization")) == (signal, place)
        wait_until(acts, what="the policy")
    stream.close()


# ---- endpoints, groups, filters ----

def test_a_subscription_without_tenant_receives_all_tenants(world):
    pb, home, forwarder = world.pb, world.home.subscribe_home("g"), world.forwarder.subscribe_forwarder("g")
    world.settled(home, "tenant-b", world.acme)
    for tenant in ("", "tenant-a", "tenant-b"):
        phy = world.frame(tenant)
        world.send(phy, world.acme)
        got = home.next()
        assert got.message.phy_payload.plain == phy
        assert (got.home_network_tenant_id, got.forwarder_tenant_id) == (tenant, "acme")
        world.home.publish_downlink(got, world.downlink())
        back = forwarder.next()
        assert (back.forwarder_net_id, back.forwarder_tenant_id) == (world.forwarder_id, "acme")
    home.close()
    forwarder.close()


def test_the_forwarder_is_told_as_it_was_given(world):
    """Net, tenant and cluster of the forwarder authenticate its token: none is ever rewritten."""
    member = world.admin.member(world.forwarder_id, "acme", "eu1.cloud.example")
    stream, other = world.settled(world.home.subscribe_home("g"), by=member), world.acme.subscribe_forwarder("g")
    down, us = member.subscribe_forwarder("g"), world.admin.member(world.forwarder_id, "acme", "us1").subscribe_forwarder("g")
    phy = world.frame()
    world.send(phy, member)
    got = stream.next()
    assert (got.forwarder_net_id, got.forwarder_tenant_id, got.forwarder_cluster_id) == \
        (world.forwarder_id, "acme", "eu1.cloud.example")
    world.home.publish_downlink(got, world.downlink())
    back = down.next()
    assert (back.forwarder_net_id, back.forwarder_tenant_id, back.forwarder_cluster_id) == \
        (world.forwarder_id, "acme", "eu1.cloud.example")
    assert other.next().id == back.id  # no cluster: those of every cluster
    got.forwarder_cluster_id = ""
    second = world.home.publish_downlink(got, world.downlink())  # to no cluster: any
    assert down.next().id == second and us.next().id == second
    assert us.drain() == []
    for s in (stream, other, down, us):
        s.close()


def test_one_group_with_different_filters(world):
    """Each message goes to exactly one of those in the group whose filters take it."""
    mac, prefix = world.pb.v3.RoutingFilter.MACPayload, world.pb.v3.DevAddrPrefix
    ports = lambda low, high: [world.pb.v3.RoutingFilter(mac=mac(f_port_ranges=[mac.FPortRange(low=low, high=high)]))]
    low, high = world.home.subscribe_home("one", ports(1, 10)), world.home.subscribe_home("one", ports(11, 255))
    every = world.home.subscribe_home("all", [  # zero length: every address, whatever the value
        world.pb.v3.RoutingFilter(mac=mac(dev_addr_prefixes=[prefix(value=0xFFFFFFFF, length=0)])),
        world.pb.v3.RoutingFilter(join_request=world.pb.v3.RoutingFilter.JoinRequest(
            eui_prefixes=[world.pb.v3.RoutingFilter.JoinRequest.EUIPrefixes()]))])
    world.settled(every)
    for port in (5, 200, 10, 11, 6):
        world.send(world.frame(f_port=port))
    port_of = lambda routed: routed.message.phy_payload.plain[8]
    assert [port_of(every.next()) for _ in range(5)] == [5, 200, 10, 11, 6]
    def ports_of(stream, count):
        """The next ports but 1, which is that of the frames that settled the routes."""
        return list(itertools.islice((p for p in iter(lambda: port_of(stream.next()), None) if p != 1), count))
    assert ports_of(low, 3) == [5, 10, 6] and ports_of(high, 2) == [200, 11]
    assert low.drain() == [] and high.drain() == []
    for stream in (low, high, every):
        stream.close()


# ---- messages ----

def test_a_teaser_is_neither_believed_nor_refused(world):
    stream = world.settled(world.home.subscribe_home("g"))
    phy = world.frame(mtype=CONFIRMED_UP)
    for spoil in (lambda t: t.Clear(),
                  lambda t: t.mac.MergeFrom(type(t.mac)(dev_addr=0x3001CD02, confirmed=False, f_cnt=9999, f_port=70000)),
                  lambda t: t.join_request.MergeFrom(type(t.join_request)(join_eui=1, dev_eui=2)),
                  lambda t: t.MergeFrom(type(t)(hash=b"short", length=4000))):
        message = uplink(world.pb, phy)
        spoil(message.phy_payload.teaser)
        world.forwarder.publish_uplink(message)
        assert stream.next().message.phy_payload == message.phy_payload
    stream.close()


def test_opaque_parts_return_byte_exact(world):
    """Tokens, and what a newer version of the API may add, both ways."""
    stream, down = world.settled(world.home.subscribe_home("g")), world.forwarder.subscribe_forwarder("g")
    token = bytes(range(256)) * 3
    message = uplink(world.pb, world.frame(), token=token)
    message.forwarder_uplink_token = token[::-1]
    newer = message.SerializeToString() + b"\xc2\x3e\x05newer"  # field 1000
    request = world.pb.routing1.PublishUplinkMessageRequest(forwarder_net_id=world.forwarder_id,
                                                           message=type(message).FromString(newer))
    world.forwarder.forwarder.Publish(request, metadata=world.forwarder.metadata)
    got = stream.next()
    assert got.message == type(message).FromString(newer) and b"\xc2\x3e\x05newer" in got.message.SerializeToString()
    answer = world.downlink(gateway_uplink_token=token, forwarder_uplink_token=token[::-1], downlink_token=b"\x00\xff",
                            region="EU_863_870", priority="HIGHEST")
    setattr(answer, "class", world.pb.v3.DownlinkMessageClass.Value("CLASS_C"))
    answer.rx2.frequency, answer.rx2.data_rate.lora.spreading_factor = 869525000, 9
    answer.rx2.data_rate.lora.bandwidth, answer.rx1_delay.seconds = 125000, 5
    world.home.publish_downlink(got, answer)
    assert down.next().message == answer
    stream.close()
    down.close()


def test_nobody_to_answer_is_no_error(world):
    """A downlink to a forwarder that does not exist, and a report of an id that was never given."""
    pb, name = world.pb, 'lpx_router_dropped_messages_total{direction="downlink",reason="no_endpoint"}'
    before = world.exchange.metrics()[name]
    to = pb.v3.RoutedUplinkMessage(forwarder_net_id=0xC0FFF0 & 0xC00FF0, forwarder_tenant_id="nobody")
    assert world.home.publish_downlink(to, world.downlink())
    assert world.exchange.metrics()[name] == before + 1
    for id_ in ("", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "x" * 4000):
        change = pb.v3.UplinkMessageDeliveryStateChange(id=id_, home_network_net_id=world.home_id, state="PROCESSED")
        world.home.home.ReportUplinkMessageDeliveryState(
            pb.routing1.UplinkMessageDeliveryStateChangeRequest(state_change=change), metadata=world.home.metadata)


def test_reports_say_only_what_can_be(world):
    pb, metadata = world.pb, world.home.metadata
    report = world.home.home.ReportUplinkMessageDeliveryState
    change = pb.v3.UplinkMessageDeliveryStateChange
    wrap = pb.routing1.UplinkMessageDeliveryStateChangeRequest
    unknown_error = change(home_network_net_id=world.home_id, state="PROCESSED", error={})  # present, value 0
    report(wrap(state_change=unknown_error), metadata=metadata)
    report(wrap(state_change=change(home_network_net_id=world.home_id, state="ACCEPTED")), metadata=metadata)
    for bad in (wrap(), wrap(state_change=change(home_network_net_id=world.home_id, state="DELIVERED", error={"value": 2}))):
        assert code_of(report, bad, metadata=metadata) in (Code.INVALID_ARGUMENT, Code.PERMISSION_DENIED)
    foreign = wrap(state_change=change(home_network_net_id=world.forwarder_id, state="PROCESSED"))
    assert code_of(report, foreign, metadata=metadata) == Code.PERMISSION_DENIED
    down = pb.v3.DownlinkMessageDeliveryStateChange(forwarder_net_id=world.forwarder_id, state="FORWARDED",
                                                    success={"rx1": True})
    assert code_of(world.forwarder.forwarder.ReportDownlinkMessageDeliveryState,
                   pb.routing1.DownlinkMessageDeliveryStateChangeRequest(state_change=down),
                   metadata=world.forwarder.metadata) == Code.INVALID_ARGUMENT


def test_a_join_request_is_told_whom_it_reached(world):
    prefixes = world.pb.v3.RoutingFilter.JoinRequest.EUIPrefixes
    eui = 0x70B3D57ED0000000 | world.home_id
    stream = world.tenant_a.subscribe_home("g", [world.pb.v3.RoutingFilter(
        join_request=world.pb.v3.RoutingFilter.JoinRequest(eui_prefixes=[prefixes(join_eui=eui, join_eui_length=64)]))])
    phy = join_request(eui, 1)
    world.send(phy, world.acme)
    got = stream.next()
    assert (got.home_network_net_id, got.home_network_tenant_id, got.forwarder_tenant_id) == \
        (world.home_id, "tenant-a", "acme")
    stream.close()


# ---- connections ----

def test_short_deadlines_hurt_nobody_else(world):
    stream = world.settled(world.home.subscribe_home("g"))
    request = world.pb.routing1.ListEffectivePoliciesRequest(home_network_net_id=world.home_id)
    for _ in range(10):  # some are cancelled before their head has left, and only their reset does
        calls = [world.home.policies.ListEffectivePolicies.future(request, metadata=world.home.metadata, timeout=0.001)
                 for _ in range(50)]
        for call in calls:
            assert call.exception() is None or call.code() == Code.DEADLINE_EXCEEDED
    sent = world.send(world.frame())
    got = stream.next()
    assert got is not None, stream.error
    assert got.id == sent
    stream.close()


def test_4096_streams_of_one_connection(world):
    request = world.pb.routing1.SubscribeHomeNetworkRequest(home_network_net_id=world.home_id, group="g")
    calls = [world.home.home.Subscribe(request, metadata=world.home.metadata) for _ in range(4096)]
    for call in calls:
        call.initial_metadata()  # in place
    alone = world.admin.member(world.home_id, "tenant-b").subscribe_home("h")
    world.settled(alone, "tenant-b")
    full = world.home.home.Subscribe(request, metadata=world.home.metadata)
    assert code_of(next, full) == Code.RESOURCE_EXHAUSTED
    assert world.send(world.frame())
    for call in calls:
        call.cancel()
    alone.close()


# ---- settings ----

def test_loopback_and_a_closed_exchange(exchange):
    """Own traffic comes back when that is configured; and without a policy nothing passes when that is configured."""
    exchange.start(router__loopback="true", control__default_policy="closed")
    world = World(exchange)
    stream = world.home.subscribe_home("g")
    own = world.frame()
    assert world.send(own, world.home)
    assert exchange.metrics()['lpx_router_dropped_messages_total{direction="uplink",reason="policy"}'] == 1
    world.home.set_policy(world.home_id, uplink="MA", downlink="MA")

    def comes_back():
        world.send(world.frame(), world.home)
        return stream.messages.qsize() > 0
    wait_until(comes_back, what="the policy toward itself")
    got = stream.next()
    assert got.forwarder_net_id == got.home_network_net_id == world.home_id and got.message.phy_payload.plain != own
    stream.close()
    exchange.stop()
