"""All recorded uplinks, published once per reception: each is delivered exactly once to each group of its Home Network
and to nobody else, while one policy refuses, one strips, and one subscription filters."""
import base64
import collections
import json
import os

import pytest
from harness.frames import uplink
from harness.members import Admin
from harness.exchange import wait_until

HOME, OTHER_HOME, FORWARDER, STRIPPING, REFUSING = 0x24, 0x25, 0xC00010, 0xC00011, 0xC00012
COUNT = 12614


@pytest.fixture(scope="module")
def recorded():
    path = os.environ.get("LPX_REAL_UPLINKS")
    if not path:
        pytest.skip("LPX_REAL_UPLINKS names no file of recorded uplinks")
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def publish_all(member, pb, frames, window=256):
    """Publish with a window of calls in flight; every answer must be OK with an id."""
    pending, ids = collections.deque(), set()
    for phy, gateway in frames:
        request = pb.routing1.PublishUplinkMessageRequest(forwarder_net_id=member.net_id,
                                                          message=uplink(pb, phy, gateway=gateway))
        pending.append(member.forwarder.Publish.future(request, metadata=member.metadata))
        if len(pending) >= window:
            ids.add(pending.popleft().result(60).id)
    ids.update(call.result(60).id for call in pending)
    return ids


def test_every_uplink_once_per_group_and_to_nobody_else(exchange, pb, recorded):
    assert len(recorded) == COUNT
    # The queue of one subscriber holds all: this test is about who gets what, not about slow readers.
    exchange.start(router__queue_messages=200000, router__queue_bytes="512MiB", router__queue_age="10m")
    admin = Admin(exchange)
    for net_id in (FORWARDER, STRIPPING, REFUSING):
        admin.create_network(net_id)
    admin.create_network(HOME, blocks=[(0x48000000, 7)])
    admin.create_network(OTHER_HOME, blocks=[(0x4A000000, 7)])
    home, other = admin.member(HOME), admin.member(OTHER_HOME)
    forwarder, stripping, refusing = (admin.member(n) for n in (FORWARDER, STRIPPING, REFUSING))
    forwarder.set_default_policy("JMASL", "JMA")
    stripping.set_policy(HOME, uplink="JMA", downlink="JMA")
    refusing.set_policy(HOME, uplink="JSL", downlink="JMA")

    filter_addr = int(recorded[0]["dev_addr"], 16)
    only_addr = pb.v3.RoutingFilter(mac=pb.v3.RoutingFilter.MACPayload(
        dev_addr_prefixes=[pb.v3.DevAddrPrefix(value=filter_addr, length=32)]))
    group_a = [home.subscribe_home("a") for _ in range(3)]
    group_b = [home.subscribe_home("b") for _ in range(2)]
    filtered = home.subscribe_home("filtered", [only_addr])
    stranger = other.subscribe_home()

    # One publish for each uplink by each forwarder, at the gateway that heard it first.
    frames = [(base64.b64decode(u["phy_payload"]), u["receptions"][0]["gateway"]) for u in recorded]
    ids = publish_all(forwarder, pb, frames)
    assert len(ids) == COUNT
    assert len(publish_all(stripping, pb, frames)) == COUNT
    assert len(publish_all(refusing, pb, frames)) == COUNT

    def gathered(streams):
        return sum(s.messages.qsize() for s in streams)

    wait_until(lambda: gathered(group_a) >= 2 * COUNT and gathered(group_b) >= 2 * COUNT, 120, "delivery to both groups")
    want = collections.Counter(phy for phy, _ in frames)
    want_filtered = collections.Counter(phy for phy, _ in frames if int.from_bytes(phy[1:5], "little") == filter_addr)
    wait_until(lambda: filtered.messages.qsize() >= 2 * sum(want_filtered.values()), 60, "delivery to the filtered group")
    for streams, wanted in ((group_a, want), (group_b, want), ([filtered], want_filtered)):
        got = [m for s in streams for m in s.drain()]
        by_forwarder = collections.defaultdict(collections.Counter)
        for m in got:
            by_forwarder[m.forwarder_net_id][m.message.phy_payload.plain] += 1
            assert m.home_network_net_id == HOME
        assert by_forwarder == {FORWARDER: wanted, STRIPPING: wanted}
        for m in got:
            metadata = m.message.gateway_metadata
            antennas = metadata.plain_signal_quality.terrestrial.antennas
            assert len(antennas) == 1 and m.message.gateway_uplink_token == b"\x0a\x0btoken"
            stripped = m.forwarder_net_id == STRIPPING
            assert antennas[0].HasField("value") != stripped
            assert metadata.HasField("plain_localization") != stripped
    assert all(s.messages.qsize() == 0 for s in group_a + group_b)
    assert stranger.drain() == []
    for s in group_a + group_b + [filtered, stranger]:
        s.close()
    exchange.stop()
