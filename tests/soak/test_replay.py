"""Uplinks at full rate while the forwarder's policies change ten times a second: every uplink is accepted, reaches each
group once or is counted as dropped, and carries what one policy allows, never a mixture of two."""
import collections
import contextlib
import itertools
import os
import re
import subprocess
import threading
import time

import grpc
from harness.exchange import wait_until
from soak_kit import FORWARDER, HOME, RssWatch, make_members, replay_lines

PAUSE = 0.1
GROUPS = ("one", "two")
LINES = 5000
RECENT = 200000  # ids that are remembered to find repeated ones: those of some seconds
QUEUE_MIB, SANITIZER_MIB = 64, 48
# Policies toward the home network, one after the other.
POLICIES = ("JMASL", "JMAS", "JMAL", "JMA", "J")
REFUSING = ("J",)


class Reader:
    """Counts what a subscription brings: ids that came twice, and which parts were there."""

    def __init__(self, member, group):
        pb = member.pb
        request = pb.routing1.SubscribeHomeNetworkRequest(home_network_net_id=HOME, group=group)
        self.channel = member.exchange.channel([("grpc.use_local_subchannel_pool", 1)])
        self.call = pb.routing1.HomeNetworkDataStub(self.channel).Subscribe(request, metadata=member.metadata)
        self.call.initial_metadata()
        self.recent, self.older, self.repeated = set(), set(), 0
        self.count, self.forms = 0, collections.Counter()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        with contextlib.suppress(grpc.RpcError):  # the end of the stream; what is missing shows in the count
            for routed in self.call:
                self.repeated += routed.id in self.recent or routed.id in self.older
                self.recent.add(routed.id)
                if len(self.recent) > RECENT:
                    self.recent, self.older = set(), self.recent
                self.forms[self.form(routed)] += 1
                self.count += 1

    def form(self, routed):
        """Which policy this message went by, as letters."""
        metadata = routed.message.gateway_metadata
        signal = metadata.plain_signal_quality.terrestrial.antennas
        places = metadata.plain_localization.terrestrial.antennas
        whole = len(routed.message.phy_payload.plain) == 37 and len(routed.message.gateway_uplink_token) > 0
        if not whole or len(signal) > 1 or len(places) > 1 or len(signal) + len(places) == 0:
            return "broken"
        has_signal, has_place = any(a.HasField("value") for a in signal), any(a.HasField("location") for a in places)
        return "JMA" + "S" * has_signal + "L" * has_place

    def close(self):
        self.call.cancel()
        self.thread.join(20)
        self.channel.close()


def feed(process, lines, over):
    """The same uplinks again and again, until the time is over."""
    chunks = ["".join(lines[i:i + 100]) for i in range(0, len(lines), 100)]
    with contextlib.suppress(BrokenPipeError):  # its exit status says why it ended
        for chunk in itertools.cycle(chunks):
            if over.is_set():
                break
            process.stdin.write(chunk)
        process.stdin.close()


def start_replay(exchange, forwarder):
    environment = {**os.environ, "LPX_DATA_DIR": str(exchange.dir), "HOME": str(exchange.folder),
                   "PB_ROUTER_ADDRESS": exchange.grpc_address, "PB_TOKEN_URL": exchange.token_url,
                   "PB_CLIENT_ID": forwarder.key.key_id, "PB_CLIENT_SECRET": forwarder.key.key}
    return subprocess.Popen([exchange.lpx, "replay", "--forwarder-net-id", f"{FORWARDER:06X}", "--rate", "max", "-"],
                            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=(exchange.folder / "replay.err").open("w"), text=True, cwd=exchange.folder)


def change_policies(forwarder, seconds):
    """@return how many changes, the slowest answer in ms"""
    changes, slowest, end = 0, 0.0, time.monotonic() + seconds
    for flags in itertools.cycle(POLICIES):
        since = time.monotonic()
        if since > end:
            break
        forwarder.set_policy(HOME, uplink=flags)
        changes, slowest = changes + 1, max(slowest, time.monotonic() - since)
        time.sleep(max(0.0, PAUSE - (time.monotonic() - since)))
    forwarder.set_policy(HOME, uplink="JMASL")
    return changes + 1, slowest * 1000


def dropped(exchange):
    start = 'lpx_router_dropped_messages_total{direction="uplink"'
    return {re.search(r'reason="(\w+)"', name)[1]: value for name, value in exchange.metrics().items()
            if name.startswith(start) and value}


def test_replay_while_policies_change(exchange, seconds, tell):
    exchange.start(router__queue_messages=100000, router__queue_bytes="32MiB", router__queue_age="10m")
    _, forwarder, home = make_members(exchange)
    readers = [Reader(home, group) for group in GROUPS]
    replay, over, lines = start_replay(exchange, forwarder), threading.Event(), replay_lines(LINES)
    feeder = threading.Thread(target=feed, args=(replay, lines, over))
    with RssWatch(exchange.process.pid) as watch:
        before = watch.peak
        feeder.start()
        changes, slowest_ms = change_policies(forwarder, seconds)
        over.set()
        feeder.join(60)
        summary = replay.stdout.read()
    assert replay.wait(60) == 0, (exchange.folder / "replay.err").read_text()
    answered = int(re.search(r"Answered:?\s+(\d+)", summary)[1])

    def accounted():
        lost = dropped(exchange)
        refused, gone = lost.pop("policy", 0), sum(lost.values())
        return sum(r.count for r in readers) + gone == (answered - refused) * len(GROUPS) and (refused, gone)
    refused, gone = wait_until(accounted, 60, "delivery or a reason for each uplink")
    for reader in readers:
        assert reader.repeated == 0, "an uplink came twice"
        assert set(reader.forms) == {f for f in POLICIES if f not in REFUSING}, reader.forms
        reader.close()
    assert refused > 0 and watch.peak - before < QUEUE_MIB + SANITIZER_MIB
    tell(seconds=seconds, policy_changes=changes, slowest_change_ms=round(slowest_ms), uplinks_accepted=answered,
         refused_by_policy=refused, delivered=sum(r.count for r in readers), dropped_for_slow_readers=gone,
         rss_mib_before=f"{before:.1f}", rss_mib_peak=f"{watch.peak:.1f}")
    exchange.stop()
