"""Catalog, Join Servers, keys of clusters and of old callers, authorities and delegation, as their callers use them."""
import base64
import itertools
import json

import grpc
import pytest
from harness.members import ALL_RIGHTS, Admin, Member

numbers = itertools.count(0x300)  # the low 11 bits of a NetID of type 3 are its addresses: no two files share them
Code = grpc.StatusCode
READ_NETWORK_CONTACT, READ_TARGET_AUTH, WRITE_TRAFFIC, READ_JOIN_SERVER, READ_JOIN_SERVER_CONTACT = 1, 6, 11, 12, 13
INIT_RIGHTS = [0, 4, 7, 8, 9, 10, 11, 12, 14]


class World:
    """Two networks of the test's own, the first with tenants, and the services of identity and access management."""

    def __init__(self, exchange):
        self.exchange, self.pb, self.admin = exchange, exchange.pb, Admin(exchange)
        number = next(numbers)
        self.first, self.second = 0xC03000 + number, 0x601000 + number
        self.base = 0xE0000000 | (self.second & 0x7FF) << 17
        self.admin.create_network(self.first, listed=True)
        self.admin.create_network(self.second, blocks=[(self.base, 15)])
        self.admin.create_tenant(self.first, "tenant-a")
        channel = self.admin.channel
        self.catalog = self.pb.iam2.CatalogStub(channel)
        self.join_servers = self.pb.iam2.JoinServerRegistryStub(channel)
        self.cluster_keys = self.pb.iam2.ClusterAPIKeyVaultStub(channel)
        self.old_keys = self.pb.iam1.APIKeyVaultStub(channel)
        self.authorities = self.pb.lpx_iam.AuthorityManagerStub(channel)

    def member(self, net_id, tenant_id="", more=()):
        return self.admin.member(net_id, tenant_id, rights=sorted({*ALL_RIGHTS, READ_JOIN_SERVER, *more}))

    def cluster(self, *rights):
        request = self.pb.iam2.CreateClusterAPIKeyRequest(cluster_id="eu1", rights=rights)
        key = self.cluster_keys.CreateAPIKey(request, metadata=self.admin.metadata).key
        return key, (("authorization", f"Bearer {self.exchange.token(key.key_id, key.key)}"),)


@pytest.fixture
def world(shared_exchange):
    return World(shared_exchange)


def code_of(call, *arguments, **named):
    with pytest.raises(grpc.RpcError) as error:
        call(*arguments, **named)
    assert error.value.details(), "an error without a sentence"
    return error.value.code()


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


# ---- the catalog, as a console asks it ----

def shown(world, member, method="ListNetworks", **fields):
    """Everything of this world that the member sees, as (NetID, tenant)."""
    found, offset, total = [], 0, 1
    while offset < total:
        request = world.pb.iam2.ListNetworksRequest(net_id=member.net_id, tenant_id=member.tenant_id, offset=offset,
                                                    limit=1000, **fields)
        page = getattr(world.catalog, method)(request, metadata=member.metadata)
        assert page.networks or offset >= page.total
        found += [getattr(either, either.WhichOneof("value")) for either in page.networks]
        offset, total = offset + len(page.networks), page.total
    return [(m.net_id, getattr(m, "tenant_id", "")) for m in found if m.net_id in (world.first, world.second)]


def test_partners_find_each_other_in_the_catalog(world):
    first, second = world.member(world.first), world.member(world.second)
    assert shown(world, first) == [(world.first, "")]
    reference = world.pb.iam2.ListNetworksRequest.PolicyReference(net_id=world.first)
    assert shown(world, first, policy_reference=reference) == [(world.first, "")]
    second.set_policy(world.first, uplink="JMASL", downlink="JMA")
    both = sorted([(world.first, ""), (world.second, "")])
    assert shown(world, first, policy_reference=reference) == both
    assert shown(world, first, "ListHomeNetworks", policy_reference=reference) == [(world.second, "")]
    assert shown(world, first) == [(world.first, "")]
    foreign = world.pb.iam2.ListNetworksRequest.PolicyReference(net_id=world.second)
    request = world.pb.iam2.ListNetworksRequest(policy_reference=foreign)
    assert code_of(world.catalog.ListNetworks, request, metadata=first.metadata) == Code.PERMISSION_DENIED


def test_a_tenant_names_itself_alone(world):
    tenant = world.member(world.first, "tenant-a")
    assert (world.first, "") in shown(world, tenant)
    request = world.pb.iam2.ListNetworksRequest(net_id=world.first)
    assert code_of(world.catalog.ListNetworks, request, metadata=tenant.metadata) == Code.PERMISSION_DENIED


# ---- Join Servers ----

def new_join_server(world, **fields):
    target = world.pb.v3.Target(protocol="TS002_V1_1", address="https://js.example.com")
    target.basic_auth.username, target.basic_auth.password = "exchange", "secret"
    prefixes = [world.pb.v3.JoinEUIPrefix(value=0xEC656E0000000000 | next(numbers) << 40, length=24)]
    server = world.pb.v3.JoinServer(name="A Join Server", join_eui_prefixes=prefixes, lookup=target,
                                    administrative_contact=world.pb.v3.ContactInfo(email="js@example.com"), **fields)
    request = world.pb.iam2.CreateJoinServerRequest(join_server=server)
    return world.join_servers.CreateJoinServer(request, metadata=world.admin.metadata).join_server


def test_a_join_server_from_its_registration_to_its_end(world):
    pb, registry, metadata = world.pb, world.join_servers, world.admin.metadata
    made = new_join_server(world, listed=True)
    assert made.id >= 1 and made.lookup.basic_auth.password == "secret"
    request = pb.iam2.UpdateJoinServerRequest(id=made.id)
    request.fixed.net_id, request.fixed.tenant_id, request.fixed.cluster_id = world.first, "tenant-a", "eu1"
    registry.UpdateJoinServer(request, metadata=metadata)
    got = registry.GetJoinServer(pb.iam2.JoinServerRequest(id=made.id), metadata=metadata).join_server
    assert got.WhichOneof("resolver") == "fixed" and got.fixed.tenant_id == "tenant-a"
    assert got.join_eui_prefixes[0].value & 0xFFFFFFFFFF == 0  # normal form
    # A deleted tenant leaves no endpoint behind for its successor.
    tenant = pb.iam1.TenantRequest(net_id=world.first, tenant_id="tenant-a")
    world.admin.tenants.DeleteTenant(tenant, metadata=metadata)
    got = registry.GetJoinServer(pb.iam2.JoinServerRequest(id=made.id), metadata=metadata).join_server
    assert got.WhichOneof("resolver") is None
    registry.DeleteJoinServer(pb.iam2.JoinServerRequest(id=made.id), metadata=metadata)
    assert code_of(registry.GetJoinServer, pb.iam2.JoinServerRequest(id=made.id), metadata=metadata) == Code.NOT_FOUND
    assert new_join_server(world).id > made.id


def test_who_sees_what_of_a_join_server(world):
    pb = world.pb
    listed, hidden = new_join_server(world, listed=True), new_join_server(world)

    def see(service, metadata):
        page = service.ListJoinServers(pb.iam2.ListJoinServersRequest(limit=1000), metadata=metadata)
        return {server.id: server for server in page.join_servers}
    member = see(world.catalog, world.member(world.first).metadata)
    assert hidden.id not in member and member[listed.id].WhichOneof("resolver") is None
    assert not member[listed.id].HasField("administrative_contact")
    curious = see(world.catalog, world.member(world.first, more=[READ_JOIN_SERVER_CONTACT]).metadata)
    assert curious[listed.id].administrative_contact.email == "js@example.com"
    _, metadata = world.cluster(READ_JOIN_SERVER)
    cluster = see(world.join_servers, metadata)
    assert cluster[hidden.id].lookup.address and not cluster[hidden.id].lookup.HasField("basic_auth")
    _, metadata = world.cluster(READ_JOIN_SERVER, READ_TARGET_AUTH)
    assert see(world.join_servers, metadata)[hidden.id].lookup.basic_auth.password == "secret"
    request = pb.iam2.ListJoinServersRequest()
    member = world.member(world.first)
    assert code_of(world.join_servers.ListJoinServers, request, metadata=member.metadata) == Code.PERMISSION_DENIED


# ---- keys ----

def test_keys_of_clusters(world):
    pb, vault, metadata = world.pb, world.cluster_keys, world.admin.metadata
    key, _ = world.cluster(READ_JOIN_SERVER, WRITE_TRAFFIC)
    token = claims(world.exchange.token(key.key_id, key.key))
    assert token["https://iam.packetbroker.net/claims"]["c"] is True and token["sub"] == "eu1"
    wanted = pb.iam2.ListClusterAPIKeysRequest()
    wanted.cluster_id.value = "eu1"
    listed = {k.key_id: k for k in vault.ListAPIKeys(wanted, metadata=metadata).keys}
    assert listed[key.key_id].key == "" and listed[key.key_id].HasField("authenticated_at")
    vault.UpdateAPIKeyState(pb.iam2.UpdateAPIKeyStateRequest(key_id=key.key_id, state="REJECTED"), metadata=metadata)
    form = {"grant_type": "client_credentials", "client_id": key.key_id, "client_secret": key.key, "audience": "localhost"}
    assert world.exchange.post_token(form)[0] == 401
    vault.DeleteAPIKey(pb.iam2.APIKeyRequest(key_id=key.key_id), metadata=metadata)
    assert code_of(vault.DeleteAPIKey, pb.iam2.APIKeyRequest(key_id=key.key_id), metadata=metadata) == Code.NOT_FOUND
    member = world.member(world.first)
    assert code_of(vault.ListAPIKeys, wanted, metadata=member.metadata) == Code.PERMISSION_DENIED


def test_old_callers_get_working_keys(world):
    pb = world.pb
    request = pb.iam1.CreateAPIKeyRequest(net_id=world.first, tenant_id="tenant-a")
    key = world.old_keys.CreateAPIKey(request, metadata=world.admin.metadata).key
    assert sorted(key.rights) == INIT_RIGHTS
    member = Member(world.exchange, key, world.first, "tenant-a", "")
    member.set_default_policy("J", "")
    assert code_of(world.old_keys.CreateAPIKey, request, metadata=member.metadata) == Code.PERMISSION_DENIED
    network = world.member(world.first)
    assert sorted(world.old_keys.CreateAPIKey(request, metadata=network.metadata).key.rights) == sorted(
        set(INIT_RIGHTS) & {*ALL_RIGHTS, READ_JOIN_SERVER})


# ---- members ----

def test_an_authority_leaves_listed_alone(world):
    pb, tenant = world.pb, world.member(world.first, "tenant-a")
    request = pb.lpx_iam.SetAuthorityRequest(net_id=world.first, tenant_id="tenant-a", authority="ttnr")
    assert code_of(world.authorities.SetAuthority, request, metadata=tenant.metadata) == Code.PERMISSION_DENIED
    world.authorities.SetAuthority(request, metadata=world.admin.metadata)
    update = pb.iam1.UpdateTenantRequest(net_id=world.first, tenant_id="tenant-a")
    update.listed.value = True
    world.admin.tenants.UpdateTenant(update, metadata=tenant.metadata)
    update.name.value = "Renamed"
    assert code_of(world.admin.tenants.UpdateTenant, update, metadata=tenant.metadata) == Code.PERMISSION_DENIED


def test_blocks_are_cut_to_the_network_and_can_be_read_back(world):
    pb, network = world.pb, world.member(world.second)
    created = world.admin.create_tenant(world.second, "tenant-b", blocks=[(0, 0, "eu1")])
    assert [(b.prefix.value, b.prefix.length) for b in created.dev_addr_blocks] == [(world.base, 15)]
    update = pb.iam1.UpdateTenantRequest(net_id=world.second, tenant_id="tenant-b")
    update.dev_addr_blocks.value.add().prefix.length = 1
    update.dev_addr_blocks.value[0].prefix.value = 0x80000000
    world.admin.tenants.UpdateTenant(update, metadata=network.metadata)
    request = pb.iam1.TenantRequest(net_id=world.second, tenant_id="tenant-b")
    got = world.admin.tenants.GetTenant(request, metadata=network.metadata).tenant
    assert [(b.prefix.value, b.prefix.length) for b in got.dev_addr_blocks] == [(world.base, 15)]
    update.dev_addr_blocks.value[0].prefix.value, update.dev_addr_blocks.value[0].prefix.length = 0, 8
    assert code_of(world.admin.tenants.UpdateTenant, update, metadata=network.metadata) == Code.INVALID_ARGUMENT


def test_nobody_delegates_in_circles(world):
    pb, admin = world.pb, world.admin

    def delegate(from_net_id, to_net_id):
        request = pb.iam1.UpdateNetworkRequest(net_id=from_net_id)
        request.delegated_net_id.value.value = to_net_id
        admin.networks.UpdateNetwork(request, metadata=admin.metadata)
    assert code_of(delegate, world.first, world.first) == Code.INVALID_ARGUMENT
    assert code_of(delegate, world.first, 0xC03FFF) == Code.FAILED_PRECONDITION
    delegate(world.first, world.second)
    assert code_of(delegate, world.second, world.first) == Code.FAILED_PRECONDITION
    request = pb.iam1.NetworkRequest(net_id=world.second)
    assert list(admin.networks.GetNetwork(request, metadata=admin.metadata).network.represents_net_ids) == [world.first]
