"""The control plane: where messages go, who sees what of gateways, what home networks ask of the exchange."""
import itertools

import grpc
import pytest
from harness.members import Admin

numbers = itertools.count(0x700)
Code = grpc.StatusCode
READ_ROUTES, READ_AUTH = 5, 6
RIGHTS = [0, 4, 5, 7, 8, 9, 10, 11]


class World:
    def __init__(self, exchange):
        self.exchange, self.pb, self.admin = exchange, exchange.pb, Admin(exchange)
        number = next(numbers)
        self.net_id, self.other_id = 0x600000 + number, 0xC02000 + number
        self.base = 0xE0000000 | (self.net_id & 0x7FF) << 17
        self.admin.create_network(self.net_id, blocks=[(self.base, 15, "eu1")], target=self.target("https://ns.example.com"))
        self.member = self.admin.member(self.net_id, rights=RIGHTS)
        self.routes = self.pb.routing2.RoutesStub(self.member.channel)

    def target(self, address):
        return self.pb.v3.Target(protocol=self.pb.v3.Protocol.Value("TS002_V1_0"), address=address,
                                 basic_auth=self.pb.v3.Target.BasicAuth(username="u", password="secret"),
                                 origin_net_id_authentication={0x13: self.pb.v3.Target.Authentication(
                                     basic_auth=self.pb.v3.Target.BasicAuth(username="v", password="hidden"))})

    def pages(self, call, request, field, limit, who=None):
        """All rows, as the command line collects them."""
        rows, who = [], who or self.member
        while True:
            page = call(request(offset=len(rows), limit=limit), metadata=who.metadata)
            rows += getattr(page, field)
            if not getattr(page, field) or len(rows) >= page.total:
                assert page.total == len(rows)
                return rows

    def uplink_routes(self, limit=0, who=None):
        return self.pages(self.routes.ListUplinkRoutes, self.pb.routing2.ListUplinkRoutesRequest, "routes", limit, who)


@pytest.fixture
def world(shared_exchange):
    return World(shared_exchange)


def route_key(route):
    return route.prefix.value, route.prefix.length, route.net_id, route.tenant_id


def refused(code, words, call, *args, **fields):
    with pytest.raises(grpc.RpcError) as error:
        call(*args, **fields)
    assert error.value.code() == code and words in error.value.details(), error.value


def test_uplink_routes(world):
    pb = world.pb
    world.admin.create_tenant(world.net_id, "tenant-a", blocks=[(world.base, 20), (world.base | 1 << 12, 20)])
    world.admin.create_tenant(world.net_id, "tenant-b", blocks=[(world.base | 2 << 12, 20)],
                              target=world.target("https://b.example.com"))
    mine = [r for r in world.uplink_routes() if r.net_id == world.net_id]
    assert [(r.prefix.value, r.prefix.length, r.tenant_id, r.home_network_cluster_id) for r in mine] == [
        (world.base, 15, "", "eu1"), (world.base, 20, "tenant-a", ""), (world.base | 1 << 12, 20, "tenant-a", ""),
        (world.base | 2 << 12, 20, "tenant-b", "")]
    assert all(r.created_at.seconds > 1_700_000_000 for r in mine)
    assert [r.target.address for r in mine] == ["https://ns.example.com"] * 3 + ["https://b.example.com"]
    assert not any(r.target.HasField("basic_auth") or r.target.origin_net_id_authentication for r in mine)
    trusted = world.admin.member(world.net_id, rights=[*RIGHTS, READ_AUTH])
    seen = [r for r in world.uplink_routes(who=trusted) if r.net_id == world.net_id]
    assert {r.target.basic_auth.password for r in seen} == {"secret"}
    assert all(r.target.origin_net_id_authentication[0x13].basic_auth.password == "hidden" for r in seen)
    for limit in (1, 3, 1000):
        rows = world.uplink_routes(limit)
        keys = [route_key(r) for r in rows]
        assert len(set(keys)) == len(keys) and keys == sorted(keys)
    blind = world.admin.member(world.net_id, rights=[0])
    refused(Code.PERMISSION_DENIED, "READ_ROUTE_TABLE", world.routes.ListUplinkRoutes, pb.routing2.ListUplinkRoutesRequest(),
            metadata=blind.metadata)


def test_delegated_blocks_show_who_serves_them(world):
    pb, admin = world.pb, world.admin
    admin.create_network(world.other_id, target=world.target("https://serves.example.com"))
    admin.create_tenant(world.net_id, "tenant-a", blocks=[(world.base, 20)])
    delegated = pb.iam1.UpdateNetworkRequest(net_id=world.net_id)
    delegated.delegated_net_id.value.value = world.other_id
    admin.networks.UpdateNetwork(delegated, metadata=admin.metadata)
    own = [r for r in world.uplink_routes() if r.prefix.value == world.base]
    assert [(r.prefix.length, r.net_id, r.tenant_id, r.target.address) for r in own] == [
        (15, world.other_id, "", "https://serves.example.com"), (20, world.net_id, "tenant-a", "https://ns.example.com")]


def test_join_request_routes(world):
    pb, admin = world.pb, world.admin
    servers = pb.iam2.JoinServerRegistryStub(admin.channel)
    eui = 0xFEDC000000000000 | next(numbers) << 32

    def create(prefixes, **resolver):
        server = pb.v3.JoinServer(name="js", join_eui_prefixes=[pb.v3.JoinEUIPrefix(value=v, length=n) for v, n in prefixes],
                                  **resolver)
        return servers.CreateJoinServer(pb.iam2.CreateJoinServerRequest(join_server=server),
                                        metadata=admin.metadata).join_server.id
    looked = create([(eui, 40), (eui | 1 << 24, 40)], lookup=world.target("https://js.example.com"))
    fixed = create([(eui | 2 << 24, 40)],
                   fixed=pb.v3.JoinServerFixedEndpoint(net_id=world.net_id, tenant_id="tenant-a", cluster_id="eu1"))
    rows = world.pages(world.routes.ListJoinRequestRoutes, pb.routing2.ListJoinRequestRoutesRequest, "routes", 2)
    mine = [r for r in rows if r.id in (looked, fixed)]
    assert [(r.prefix.value, r.prefix.length, r.id) for r in mine] == [
        (eui, 40, looked), (eui | 1 << 24, 40, looked), (eui | 2 << 24, 40, fixed)]
    assert mine[0].lookup.address == "https://js.example.com" and not mine[0].lookup.HasField("basic_auth")
    assert (mine[2].fixed.net_id, mine[2].fixed.tenant_id, mine[2].fixed.cluster_id) == (world.net_id, "tenant-a", "eu1")


def test_targets_and_the_old_routes(world):
    pb = world.pb
    world.admin.create_tenant(world.net_id, "tenant-b", blocks=[(world.base, 20), (world.base | 1 << 12, 20)],
                              target=world.target("https://b.example.com"))
    world.admin.create_tenant(world.net_id, "tenant-c")
    old = pb.routing1.RoutesStub(world.member.channel)
    for call, request in ((world.routes.ListNetworkTargets, pb.routing2.ListNetworkTargetsRequest),
                          (old.ListTargets, pb.routing1.ListTargetsRequest)):
        rows = world.pages(call, request, "targets", 1)
        mine = [r for r in rows if r.net_id == world.net_id]
        assert [(r.tenant_id, r.target.address) for r in mine] == [("", "https://ns.example.com"),
                                                                   ("tenant-b", "https://b.example.com")]
        assert not any(r.target.HasField("basic_auth") for r in rows)
    by_offset = world.pages(old.ListRoutes, pb.routing1.ListRoutesRequest, "routes", 3)
    assert by_offset == world.uplink_routes()
    by_time, request = [], pb.routing1.ListRoutesRequest(limit=1)
    request.created_since.SetInParent()
    while True:  # each page from the last time of the one before, until a page is empty
        page = old.ListRoutes(request, metadata=world.member.metadata)
        if not page.routes:
            break
        by_time += page.routes
        request.created_since.CopyFrom(page.routes[-1].created_at)
    times = [r.created_at.ToNanoseconds() for r in by_time]
    assert times == sorted(times) and len(by_time) == len(by_offset)
    assert sorted(map(route_key, by_time)) == sorted(map(route_key, by_offset))


def test_visibility(world):
    pb, member = world.pb, world.member
    manager = pb.mapping2.GatewayVisibilityManagerStub(member.channel)

    def put(call, **fields):
        call(pb.mapping2.SetGatewayVisibilityRequest(visibility=pb.v3.GatewayVisibility(
            forwarder_net_id=world.net_id, **fields)), metadata=member.metadata)

    def default():
        return manager.GetDefaultVisibility(pb.mapping2.GetDefaultGatewayVisibilityRequest(forwarder_net_id=world.net_id),
                                            metadata=member.metadata).visibility

    def toward(home, tenant=""):
        return manager.GetHomeNetworkVisibility(pb.mapping2.GetHomeNetworkGatewayVisibilityRequest(
            forwarder_net_id=world.net_id, home_network_net_id=home, home_network_tenant_id=tenant),
            metadata=member.metadata).visibility
    flags = ["location", "antenna_placement", "antenna_count", "fine_timestamps", "contact_info", "status", "frequency_plan",
             "packet_rates"]
    refused(Code.NOT_FOUND, f"{world.net_id:06X}", default)
    for flag in flags:  # each alone comes back alone
        put(manager.SetDefaultVisibility, **{flag: True})
        assert [f for f in flags if getattr(default(), f)] == [flag]
    put(manager.SetHomeNetworkVisibility, home_network_net_id=0x13, home_network_tenant_id="ttn", **dict.fromkeys(flags, True))
    first = toward(0x13, "ttn")
    assert all(getattr(first, f) for f in flags) and first.updated_at.seconds > 1_700_000_000
    assert (first.home_network_net_id, first.home_network_tenant_id) == (0x13, "ttn")
    refused(Code.NOT_FOUND, "", toward, 0x13)
    put(manager.SetDefaultVisibility)  # all off: none
    refused(Code.NOT_FOUND, "", default)
    put(manager.SetDefaultVisibility)  # and again: fine
    assert toward(0x13, "ttn") == first
    refused(Code.INVALID_ARGUMENT, "home_network", put, manager.SetDefaultVisibility, home_network_net_id=1, status=True)
    refused(Code.INVALID_ARGUMENT, "home_network_net_id", put, manager.SetHomeNetworkVisibility, status=True)
    world.admin.create_network(world.other_id)
    stranger = world.admin.member(world.other_id, rights=RIGHTS)
    refused(Code.PERMISSION_DENIED, f"{world.other_id:06X}", manager.SetDefaultVisibility,
            pb.mapping2.SetGatewayVisibilityRequest(visibility=pb.v3.GatewayVisibility(
                forwarder_net_id=world.net_id, status=True)), metadata=stranger.metadata)


def test_settings(world):
    pb, member = world.pb, world.member
    lpx = pb.lpx_routing
    manager = lpx.HomeNetworkSettingsManagerStub(member.channel)

    def put(**fields):
        manager.SetSettings(lpx.SetHomeNetworkSettingsRequest(
            settings=lpx.HomeNetworkSettings(home_network_net_id=world.net_id, **fields)), metadata=member.metadata)

    def get():
        return manager.GetSettings(lpx.HomeNetworkSettingsRequest(home_network_net_id=world.net_id),
                                   metadata=member.metadata).settings

    def party(*ids):
        return lpx.Party(**dict(zip(("net_id", "tenant_id", "cluster_id"), ids)))
    refused(Code.NOT_FOUND, f"{world.net_id:06X}", get)
    put(allow_forwarders=[party(0x13), party(0x14, "ttn", "eu1"), party(0x13)], deny_forwarders=[party(0x13, "bad-one")],
        max_copies=2)
    found = get()
    assert list(found.allow_forwarders) == [party(0x13), party(0x14, "ttn", "eu1")]  # each once, in order
    assert list(found.deny_forwarders) == [party(0x13, "bad-one")]
    assert found.max_copies == 2 and found.copies_window.seconds == 5 and found.updated_at.seconds > 1_700_000_000
    put(max_copies=1, copies_window={"seconds": 1, "nanos": 500_000_000})
    assert (get().copies_window.seconds, get().copies_window.nanos) == (1, 500_000_000)
    assert not get().allow_forwarders and not get().deny_forwarders  # replaced as a whole
    put()
    assert get().max_copies == 0 and not get().HasField("copies_window")
    for fields, words in [
            ({"allow_forwarders": [party(0x1000000)]}, "allow_forwarders[0].net_id"),
            ({"deny_forwarders": [party(0x13), party(0, "ttn")]}, "deny_forwarders[1].net_id"),
            ({"deny_forwarders": [party(0x13, "T")]}, "deny_forwarders[0].tenant_id"),
            ({"deny_forwarders": [party(0x13, "", "EU 1")]}, "deny_forwarders[0].cluster_id"),
            ({"allow_forwarders": [party(i) for i in range(0x13, 0x13 + 1001)]}, "1000"),
            ({"max_copies": 70000}, "max_copies"),
            ({"copies_window": {"seconds": 0, "nanos": 999_999_999}}, "copies_window"),
            ({"copies_window": {"seconds": 600, "nanos": 1}}, "copies_window"),
            ({"copies_window": {"seconds": 5, "nanos": -1}}, "copies_window")]:
        refused(Code.INVALID_ARGUMENT, words, put, **fields)
    put(copies_window={"seconds": 600}, max_copies=65535, allow_forwarders=[party(i) for i in range(0x13, 0x13 + 1000)])
    assert len(get().allow_forwarders) == 1000
    manager.DeleteSettings(lpx.HomeNetworkSettingsRequest(home_network_net_id=world.net_id), metadata=member.metadata)
    refused(Code.NOT_FOUND, "", get)
    manager.DeleteSettings(lpx.HomeNetworkSettingsRequest(home_network_net_id=world.net_id), metadata=member.metadata)
    world.admin.create_network(world.other_id)
    stranger = world.admin.member(world.other_id, rights=RIGHTS)
    refused(Code.PERMISSION_DENIED, "home_network_net_id", manager.GetSettings,
            lpx.HomeNetworkSettingsRequest(home_network_net_id=world.net_id), metadata=stranger.metadata)
