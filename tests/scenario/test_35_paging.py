"""Walks through ten thousand rows while rows come and go: those that are there all the time are seen exactly once, and
none is seen twice. Rows come and go between the pages, before and behind the place that the walk has reached."""
import random
import sqlite3

import pytest
from harness.members import Admin

ROWS, CHANGES_PER_PAGE, FORWARDER, HOME = 10000, 6, 0xC00001, 0xC00002
NETWORKS = [0x600000 + 2 * i for i in range(ROWS)]
SEED = 20240607


@pytest.fixture(scope="module")
def full(build, pb, tmp_path_factory):
    """An exchange with ten thousand networks (every second one listed), tenants of one network, and policies of it."""
    from harness.exchange import Exchange
    exchange = Exchange(build, pb, tmp_path_factory.mktemp("full"))
    exchange.start()
    admin = Admin(exchange)
    admin.create_network(FORWARDER)
    admin.create_network(HOME)
    exchange.stop()
    with sqlite3.connect(exchange.dir / "lpx.db") as database:
        database.executemany("INSERT INTO networks (net_id, name, listed, created_at, updated_at) VALUES (?, 'N', 1, 1, 1)",
                             [(net_id,) for net_id in NETWORKS])
        database.executemany("INSERT INTO tenants (net_id, tenant_id, name, listed, created_at, updated_at) "
                             "VALUES (?, ?, 'T', 1, 1, 1)", [(HOME, f"t{2 * i:06d}") for i in range(ROWS)])
        database.executemany("INSERT INTO routing_policies (forwarder_net_id, is_default, home_network_net_id, has_uplink, "
                             "updated_at) VALUES (?, 0, ?, 1, ?)",
                             [(FORWARDER, net_id, n + 1) for n, net_id in enumerate(NETWORKS)])
        database.executemany("INSERT INTO routing_policies (forwarder_net_id, is_default, has_uplink, updated_at) "
                             "VALUES (?, 1, 1, ?)", [(net_id, ROWS + n + 1) for n, net_id in enumerate(NETWORKS)])
    database.close()
    exchange.start()
    yield exchange
    exchange.stop()


class Walk:
    """Counts what a walk shows, and changes rows between its pages."""

    def __init__(self, rows, add, drop):
        self.random, self.add, self.drop = random.Random(SEED), add, drop
        self.there, self.stays, self.seen = set(rows), set(rows), []

    def change(self):
        for _ in range(CHANGES_PER_PAGE):
            if self.random.random() < 0.6:
                row = self.random.choice(sorted(self.there))
                self.drop(row)
                self.there.discard(row)
                self.stays.discard(row)
            else:
                row = self.random.randrange(ROWS) * 2 + 1
                if row not in self.there:
                    self.add(row)
                    self.there.add(row)

    def check(self):
        assert len(self.seen) == len(set(self.seen)), f"seen twice, seed {SEED}"
        assert not self.stays - set(self.seen), f"not seen, seed {SEED}"
        assert len(self.stays) > ROWS * 0.9


def by_offset(walk, page_of, limit):
    offset, total = 0, 1
    while offset < total:
        rows, total = page_of(offset, limit)
        assert rows or offset >= total
        walk.seen += rows
        offset += len(rows)
        walk.change()
    walk.check()


def rows_of(full, sql):
    """The numbers that a query answers."""
    with sqlite3.connect(full.dir / "lpx.db") as database:
        rows = [row[0] for row in database.execute(sql)]
    database.close()
    return rows


def network_walk(full, pb, admin, add):
    """Networks: what is there now, and how it changes."""
    def drop(row):
        admin.networks.DeleteNetwork(pb.iam1.NetworkRequest(net_id=0x600000 + row), metadata=admin.metadata)
    there = rows_of(full, f"SELECT net_id FROM networks WHERE net_id < {FORWARDER}")
    return Walk([net_id - 0x600000 for net_id in there], add, drop)


def test_effective_policies(full, pb):
    """Networks come and go, and with them their defaults."""
    admin, member = Admin(full), Admin(full).member(HOME)
    request = pb.routing1.ListEffectivePoliciesRequest(home_network_net_id=HOME, limit=1000)

    def add(row):
        admin.create_network(0x600000 + row)
        admin.member(0x600000 + row).set_default_policy("J", "")
    walk = network_walk(full, pb, admin, add)

    def page_of(offset, _):
        request.offset = offset
        page = member.policies.ListEffectivePolicies(request, metadata=member.metadata)
        return [p.forwarder_net_id - 0x600000 for p in page.policies], page.total
    by_offset(walk, page_of, 1000)


def test_networks(full, pb):
    admin = Admin(full)

    def page_of(offset, limit):
        request = pb.iam1.ListNetworksRequest(offset=offset, limit=limit)
        page = admin.networks.ListNetworks(request, metadata=admin.metadata)
        return [n.net_id - 0x600000 for n in page.networks if n.net_id < FORWARDER], page.total - 2
    by_offset(network_walk(full, pb, admin, lambda row: admin.create_network(0x600000 + row)), page_of, 1000)


def tenant_walk(full, pb, admin):
    """What is there now, and how it changes."""
    def drop(row):
        admin.tenants.DeleteTenant(pb.iam1.TenantRequest(net_id=HOME, tenant_id=f"t{row:06d}"), metadata=admin.metadata)
    there = [int(tenant[1:]) for tenant in rows_of(full, f"SELECT tenant_id FROM tenants WHERE net_id = {HOME}")]
    return Walk(there, lambda row: admin.create_tenant(HOME, f"t{row:06d}", listed=True), drop)


def test_tenants(full, pb):
    admin = Admin(full)

    def page_of(offset, limit):
        request = pb.iam1.ListTenantsRequest(net_id=HOME, offset=offset, limit=limit)
        page = admin.tenants.ListTenants(request, metadata=admin.metadata)
        return [int(t.tenant_id[1:]) for t in page.tenants], page.total
    by_offset(tenant_walk(full, pb, admin), page_of, 1000)


def test_the_catalog_with_a_filter(full, pb):
    admin, member = Admin(full), Admin(full).member(FORWARDER)
    catalog = pb.iam2.CatalogStub(member.channel)

    def page_of(offset, limit):
        request = pb.iam2.ListNetworksRequest(offset=offset, limit=limit, tenant_id_contains="T0")
        page = catalog.ListNetworks(request, metadata=member.metadata)
        return [int(either.tenant.tenant_id[1:]) for either in page.networks], page.total
    by_offset(tenant_walk(full, pb, admin), page_of, 1000)


def policy_walk(full, member):
    """Policies of the forwarder: what is there now, and how it changes."""
    there = rows_of(full, "SELECT home_network_net_id FROM routing_policies WHERE is_default = 0")

    def change(row, **flags):
        member.set_policy(0x600000 + row, **flags)
    return Walk([net_id - 0x600000 for net_id in there], lambda row: change(row, uplink="J"), change)


def test_partners_by_policy(full, pb):
    member = Admin(full).member(FORWARDER)

    def page_of(offset, limit):
        request = pb.routing1.ListNetworksWithPolicyRequest(net_id=FORWARDER, offset=offset, limit=limit)
        page = member.policies.ListNetworksWithPolicy(request, metadata=member.metadata)
        return [either.network.net_id - 0x600000 for either in page.networks], page.total
    by_offset(policy_walk(full, member), page_of, 1000)


def test_policies_by_time(full, pb):
    member = Admin(full).member(FORWARDER)
    walk = policy_walk(full, member)
    request = pb.routing1.ListHomeNetworkPoliciesRequest(forwarder_net_id=FORWARDER, limit=250)
    while True:
        page = member.policies.ListHomeNetworkPolicies(request, metadata=member.metadata).policies
        if not page:
            break
        walk.seen += [p.home_network_net_id - 0x600000 for p in page]
        request.updated_since.CopyFrom(page[-1].updated_at)
        if len(walk.seen) < ROWS * 0.97:  # rows that come are the newest, and a walk ends only when none come
            walk.change()
    walk.check()
