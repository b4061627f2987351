"""Registries, keys and policies over the wire, as administrators and members use them."""
import grpc
import pytest
from harness.members import Admin

HOME, FORWARDER = 0xC00030, 0xC00031


@pytest.fixture(scope="module")
def world(shared_exchange):
    admin = Admin(shared_exchange)
    admin.create_network(HOME, name="Home", blocks=[(0xFC00C000, 22)], listed=True)
    admin.create_network(FORWARDER, name="Forwarder")
    admin.create_tenant(FORWARDER, "acme")
    return shared_exchange.pb, admin, admin.member(HOME), admin.member(FORWARDER), admin.member(FORWARDER, "acme")


def code_of(call, *arguments, **named):
    with pytest.raises(grpc.RpcError) as error:
        call(*arguments, **named)
    assert error.value.details(), "an error without a sentence"
    return error.value.code()


def test_networks(world):
    pb, admin, home, *_ = world
    got = admin.networks.GetNetwork(pb.iam1.NetworkRequest(net_id=HOME), metadata=admin.metadata).network
    assert got.name == "Home" and got.dev_addr_blocks[0].prefix.length == 22 and got.listed
    assert code_of(admin.create_network, HOME) == grpc.StatusCode.ALREADY_EXISTS
    assert code_of(admin.create_network, 0xC00032, blocks=[(0x26000000, 7)]) == grpc.StatusCode.INVALID_ARGUMENT
    assert code_of(admin.create_network, 0xF00001) == grpc.StatusCode.INVALID_ARGUMENT
    clipped = admin.create_network(0xC00033, blocks=[(0, 0)]).dev_addr_blocks[0].prefix
    assert (clipped.value, clipped.length) == (0xFC00CC00, 22)
    update = pb.iam1.UpdateNetworkRequest(net_id=0xC00033, dev_addr_blocks={})
    update.name.value = "Renamed"
    admin.networks.UpdateNetwork(update, metadata=admin.metadata)
    got = admin.networks.GetNetwork(pb.iam1.NetworkRequest(net_id=0xC00033), metadata=admin.metadata).network
    assert got.name == "Renamed" and not got.dev_addr_blocks
    admin.networks.DeleteNetwork(pb.iam1.NetworkRequest(net_id=0xC00033), metadata=admin.metadata)
    missing = pb.iam1.NetworkRequest(net_id=0xC00033)
    assert code_of(admin.networks.GetNetwork, missing, metadata=admin.metadata) == grpc.StatusCode.NOT_FOUND
    assert code_of(home.policies.GetDefaultPolicy, pb.routing1.GetDefaultPolicyRequest(forwarder_net_id=HOME),
                   metadata=home.metadata) == grpc.StatusCode.NOT_FOUND


def test_members_see_their_own_alone(world):
    pb, _, home, forwarder, tenant = world
    networks, tenants = pb.iam1.NetworkRegistryStub(home.channel), pb.iam1.TenantRegistryStub(home.channel)
    assert networks.GetNetwork(pb.iam1.NetworkRequest(net_id=HOME), metadata=home.metadata).network.net_id == HOME
    denied = grpc.StatusCode.PERMISSION_DENIED
    assert code_of(networks.GetNetwork, pb.iam1.NetworkRequest(net_id=FORWARDER), metadata=home.metadata) == denied
    assert code_of(networks.CreateNetwork, pb.iam1.CreateNetworkRequest(), metadata=home.metadata) == denied
    assert code_of(tenants.GetTenant, pb.iam1.TenantRequest(net_id=FORWARDER, tenant_id="other"),
                   metadata=tenant.metadata) == denied
    assert code_of(tenants.GetTenant, pb.iam1.TenantRequest(net_id=FORWARDER, tenant_id="other"),
                   metadata=forwarder.metadata) == grpc.StatusCode.NOT_FOUND
    listed = networks.ListNetworks(pb.iam1.ListNetworksRequest(), metadata=forwarder.metadata)
    assert [n.net_id for n in listed.networks] == [FORWARDER] and listed.total == 1
    keys = pb.iam2.NetworkAPIKeyVaultStub(home.channel)
    own = keys.ListAPIKeys(pb.iam2.ListNetworkAPIKeysRequest(), metadata=home.metadata).keys
    assert own and {k.net_id for k in own} == {HOME} and not any(k.key for k in own)
    foreign = pb.iam2.APIKeyRequest(key_id=forwarder.key.key_id)
    assert code_of(keys.DeleteAPIKey, foreign, metadata=home.metadata) in (denied, grpc.StatusCode.NOT_FOUND)


def test_policies_appear_and_vanish(world):
    pb, _, home, forwarder, tenant = world
    get = pb.routing1.GetHomeNetworkPolicyRequest(forwarder_net_id=FORWARDER, home_network_net_id=HOME)
    assert code_of(forwarder.policies.GetHomeNetworkPolicy, get, metadata=forwarder.metadata) == grpc.StatusCode.NOT_FOUND
    forwarder.set_default_policy("JM", "J")
    tenant.set_policy(HOME, uplink="", downlink="")
    effective = home.policies.ListEffectivePolicies(
        pb.routing1.ListEffectivePoliciesRequest(home_network_net_id=HOME), metadata=home.metadata)
    rows = {(p.forwarder_net_id, p.forwarder_tenant_id): p for p in effective.policies}
    assert rows[FORWARDER, ""].uplink.join_request and not rows[FORWARDER, ""].uplink.application_data
    assert rows[FORWARDER, "acme"].HasField("uplink") and not rows[FORWARDER, "acme"].uplink.join_request
    assert effective.total == len(effective.policies)
    tenant.set_policy(HOME)  # both parts absent: deleted
    tenant.set_policy(HOME)  # deleting what is not there is fine
    get.forwarder_tenant_id = "acme"
    assert code_of(tenant.policies.GetHomeNetworkPolicy, get, metadata=tenant.metadata) == grpc.StatusCode.NOT_FOUND
    found = home.policies.ListNetworksWithPolicy(pb.routing1.ListNetworksWithPolicyRequest(net_id=FORWARDER),
                                                 metadata=forwarder.metadata)
    assert all(n.WhichOneof("value") for n in found.networks)


def test_paging_by_update_time(world):
    pb, _, _, forwarder, _ = world
    for other in range(25):
        forwarder.set_policy(0xC00100 + other, uplink="J", downlink="J")
    seen, since = [], None
    while True:
        request = pb.routing1.ListHomeNetworkPoliciesRequest(forwarder_net_id=FORWARDER, updated_since=since)
        page = forwarder.policies.ListHomeNetworkPolicies(request, metadata=forwarder.metadata)
        assert page.total == 25
        if not page.policies:
            break
        seen += page.policies
        since = page.policies[-1].updated_at
    assert sorted(p.home_network_net_id for p in seen) == list(range(0xC00100, 0xC00100 + 25))
    times = [p.updated_at.ToMicroseconds() for p in seen]
    assert times == sorted(set(times))


def test_errors_carry_their_reason(world):
    pb, admin, *_ = world
    with pytest.raises(grpc.RpcError) as error:
        admin.create_network(HOME)
    details = dict(error.value.trailing_metadata())["grpc-status-details-bin"]
    assert b"type.googleapis.com/google.rpc.ErrorInfo" in details and b"IAM_" in details


def test_unknown_methods(world):
    _, admin, *_ = world
    call = admin.channel.unary_unary("/org.packetbroker.iam.v1.NetworkRegistry/Nothing", lambda b: b, lambda b: b)
    assert code_of(call, b"", metadata=admin.metadata) == grpc.StatusCode.UNIMPLEMENTED
    call = admin.channel.unary_unary("/org.packetbroker.iam.v1.NetworkRegistry/ListNetworks", lambda b: b, lambda b: b)
    assert code_of(call, b"\xff\xff\xff", metadata=admin.metadata) == grpc.StatusCode.INVALID_ARGUMENT
