"""What home networks ask of the exchange: whose traffic they want, and how many copies of one payload."""
import concurrent.futures
import itertools

import pytest
from harness.exchange import wait_until
from harness.frames import data_frame, uplink
from harness.members import Admin

numbers = itertools.count(0x200)
DROPPED = 'lpx_router_dropped_messages_total{direction="uplink",reason="%s"}'


class World:
    """A home network and two forwarders of the test's own, on the shared exchange."""

    def __init__(self, exchange):
        self.exchange, self.pb, self.admin = exchange, exchange.pb, Admin(exchange)
        number = next(numbers)
        self.home_id, self.first_id, self.second_id = 0x600000 + number, 0xC02000 + number, 0xC03000 + number
        self.base = 0xE0000000 | (self.home_id & 0x7FF) << 17
        self.admin.create_network(self.home_id, blocks=[(self.base, 15)])
        self.admin.create_network(self.first_id)
        self.admin.create_network(self.second_id)
        self.home, self.first, self.second = (self.admin.member(i) for i in (self.home_id, self.first_id, self.second_id))
        self.manager = self.pb.lpx_routing.HomeNetworkSettingsManagerStub(self.home.channel)
        self.counter = itertools.count()

    def party(self, net_id, tenant_id="", cluster_id=""):
        return self.pb.lpx_routing.Party(net_id=net_id, tenant_id=tenant_id, cluster_id=cluster_id)

    def set(self, tenant_id="", **fields):
        settings = self.pb.lpx_routing.HomeNetworkSettings(
            home_network_net_id=self.home_id, home_network_tenant_id=tenant_id, **fields)
        self.manager.SetSettings(self.pb.lpx_routing.SetHomeNetworkSettingsRequest(settings=settings),
                                 metadata=self.home.metadata)

    def delete(self):
        request = self.pb.lpx_routing.HomeNetworkSettingsRequest(home_network_net_id=self.home_id)
        self.manager.DeleteSettings(request, metadata=self.home.metadata)

    def frame(self, offset=1):
        return data_frame(self.base + offset, f_cnt=next(self.counter))

    def dropped(self, reason):
        return self.exchange.metrics().get(DROPPED % reason, 0)

    def send_until(self, member, reason):
        """Settings act soon after the answer: send until one is refused for this reason."""
        before = self.dropped(reason)

        def refused():
            member.publish_uplink(uplink(self.pb, self.frame(0x100)))
            return self.dropped(reason) > before
        wait_until(refused, what=f"a refusal because of {reason}")


@pytest.fixture
def world(shared_exchange):
    return World(shared_exchange)


def test_denied_and_allowed_forwarders(world):
    stream = world.home.subscribe_home("g")
    world.set(deny_forwarders=[world.party(world.first_id)])
    world.send_until(world.first, "settings")
    stream.drain()
    passing = world.frame()
    world.second.publish_uplink(uplink(world.pb, passing))
    assert stream.next().message.phy_payload.plain == passing
    # Only the cluster "eu1" of the first, and nobody else.
    world.set(allow_forwarders=[world.party(world.first_id, cluster_id="eu1")])
    world.send_until(world.second, "settings")
    stream.drain()
    passing, refused = world.frame(), world.frame()
    cluster = world.admin.member(world.first_id, cluster_id="eu1")
    world.first.publish_uplink(uplink(world.pb, refused))
    cluster.publish_uplink(uplink(world.pb, passing))
    assert stream.next().message.phy_payload.plain == passing
    # Without settings everybody comes through again.
    world.delete()

    def everybody():
        world.second.publish_uplink(uplink(world.pb, world.frame()))
        return stream.drain()
    wait_until(everybody, what="the end of the settings")
    stream.close()


def test_tenants_have_the_settings_of_their_network(world):
    world.admin.create_tenant(world.home_id, "plain", blocks=[(world.base + 0x10000, 24)])
    world.admin.create_tenant(world.home_id, "own", blocks=[(world.base + 0x10100, 24)])
    own = world.admin.member(world.home_id, "own")
    stream, plain = own.subscribe_home("g"), world.admin.member(world.home_id, "plain").subscribe_home("g")
    world.set(deny_forwarders=[world.party(world.first_id)])
    world.set(tenant_id="own", deny_forwarders=[world.party(world.second_id)])
    world.send_until(world.first, "settings")

    def arrives():
        world.first.publish_uplink(uplink(world.pb, data_frame(world.base + 0x10101)))
        return stream.drain()
    wait_until(arrives, what="the tenant's own settings")
    plain.drain()
    for sender, f_cnt in ((world.first, 66), (world.second, 77)):
        sender.publish_uplink(uplink(world.pb, data_frame(world.base + 0x10001, f_cnt=f_cnt)))
    assert plain.next().message.phy_payload.plain[6] == 77
    stream.close()
    plain.close()


def test_copies_of_a_payload_over_all_connections_and_groups(world):
    """Eight gateways hear it at once: two copies, to each group, whatever the loop that they come by."""
    streams = [world.home.subscribe_home("one"), world.home.subscribe_home("two")]
    world.set(max_copies=2, copies_window={"seconds": 600})
    probe = world.frame(0x200)

    def limited():
        before = world.dropped("copies")
        world.first.publish_uplink(uplink(world.pb, probe))
        return world.dropped("copies") > before
    wait_until(limited, what="the limit")
    members = [world.admin.member(world.first_id) for _ in range(4)] + [world.admin.member(world.second_id) for _ in range(4)]
    for stream in streams:
        stream.drain()
    before = world.dropped("copies")
    frames = [world.frame() for _ in range(10)]
    with concurrent.futures.ThreadPoolExecutor(len(members)) as pool:
        for frame in frames:
            list(pool.map(lambda member: member.publish_uplink(uplink(world.pb, frame)), members))
    assert world.dropped("copies") - before == len(frames) * (len(members) - 2)
    for stream in streams:
        got = [stream.next().message.phy_payload.plain for _ in range(2 * len(frames))]
        assert all(got.count(frame) == 2 for frame in frames)
        assert stream.messages.qsize() == 0
        stream.close()
    # A MIC is not part of the payload; another payload is another.
    stream = world.home.subscribe_home("three")
    frame = world.frame()
    message = uplink(world.pb, frame)
    for last in (1, 2, 3):
        changed = uplink(world.pb, frame[:-1] + bytes([last]))
        changed.phy_payload.teaser.CopyFrom(message.phy_payload.teaser)
        world.first.publish_uplink(changed)
    world.first.publish_uplink(uplink(world.pb, world.frame()))
    assert [stream.next().message.phy_payload.plain[-1] for _ in range(2)] == [1, 2]
    assert stream.next().message.phy_payload.plain[:-4] != frame[:-4]
    stream.close()
