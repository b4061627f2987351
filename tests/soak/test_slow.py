"""A subscriber that does not read: another one gets everything, what waits for the slow one is bounded, what is dropped
is the oldest and is counted, and the slow one goes on when it reads again."""
import base64
import json
import os
import signal
import subprocess

import pytest
from harness.exchange import wait_until
from soak_kit import HOME, RssWatch, make_members, number_of, publish_numbers

COUNT, MORE = 40000, 100
QUEUE_MESSAGES = 4096  # the default
# What waits outside the queue: in lpxd's buffer for the stream, in both sockets, in the client. Sockets hold up to 6 MB
# each, a gRPC client about as much, and a message takes 480 bytes.
UNDER_WAY_MESSAGES = 25000
QUEUE_MIB, SANITIZER_MIB = 8, 16


def counted(exchange, name, label=""):
    return exchange.metrics()[f'lpx_router_{name}{{direction="uplink"{label}}}']


def dropped(exchange):
    labels = (',reason="queue_full"', ',reason="queue_age"')
    return sum(counted(exchange, "dropped_messages_total", label) for label in labels)


class Unread:
    """A stream whose messages nobody takes: HTTP/2's flow control holds the server back."""

    def __init__(self, exchange, home):
        request = exchange.pb.routing1.SubscribeHomeNetworkRequest(home_network_net_id=HOME, group="slow")
        self.channel = exchange.channel([("grpc.use_local_subchannel_pool", 1)])
        self.call = exchange.pb.routing1.HomeNetworkDataStub(self.channel).Subscribe(request, metadata=home.metadata)
        self.call.initial_metadata()

    def read(self, count):
        """Begin to read. @return the numbers of the next uplinks"""
        return [number_of(next(self.call)) for _ in range(count)]

    def close(self):
        self.call.cancel()
        self.channel.close()


class Stopped:
    """A process that does not run: its socket fills up."""

    def __init__(self, exchange, home):
        self.file = exchange.folder / "stopped.json"
        environment = {**os.environ, "LPX_DATA_DIR": str(exchange.dir), "HOME": str(exchange.folder),
                       "PB_ROUTER_ADDRESS": exchange.grpc_address, "PB_TOKEN_URL": exchange.token_url,
                       "PB_CLIENT_ID": home.key.key_id, "PB_CLIENT_SECRET": home.key.key}
        before = counted(exchange, "subscriptions")
        command = [exchange.lpx, "sub", "--home-network-net-id", f"{HOME:06X}", "--group", "slow"]
        self.process = subprocess.Popen(command, env=environment, stdout=self.file.open("w"), cwd=exchange.folder)
        wait_until(lambda: counted(exchange, "subscriptions") == before + 1, what="the subscription")
        self.process.send_signal(signal.SIGSTOP)
        self.taken = 0

    def read(self, count):
        self.process.send_signal(signal.SIGCONT)
        wait_until(lambda: self.file.read_bytes().count(b'"gatewayUplinkToken"') >= self.taken + count, 60,
                   f"delivery of {count} messages")
        lines = [line for line in self.file.read_text().splitlines() if '"gatewayUplinkToken"' in line]
        tokens = [json.loads("{" + line.strip().rstrip(",") + "}")["gatewayUplinkToken"] for line in lines]
        numbers = [int.from_bytes(base64.b64decode(token), "big") for token in tokens][self.taken:]
        self.taken += len(numbers)
        return numbers

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.mark.parametrize("kind", [Unread, Stopped])
def test_slow_subscriber(exchange, tell, kind):
    exchange.start()
    _, forwarder, home = make_members(exchange)
    fast, slow = home.subscribe_home("fast"), kind(exchange, home)
    with RssWatch(exchange.process.pid) as watch:
        before = watch.peak
        publish_numbers(forwarder, range(COUNT))
        got = [number_of(fast.next()) for _ in range(COUNT)]
    assert sorted(got) == list(range(COUNT))

    lost = dropped(exchange)
    kept = slow.read(COUNT - lost)
    assert dropped(exchange) == lost and len(kept) == COUNT - lost and len(set(kept)) == len(kept)
    assert QUEUE_MESSAGES <= len(kept) <= QUEUE_MESSAGES + UNDER_WAY_MESSAGES and lost > 0
    # The oldest go: what is missing lies before all that the queue held at the end.
    newest = set(sorted(got)[-QUEUE_MESSAGES + 256:])
    assert newest <= set(kept)
    assert watch.peak - before < QUEUE_MIB + SANITIZER_MIB
    tell(published=COUNT, dropped=lost, kept=len(kept), rss_mib_before=f"{before:.1f}",
         rss_mib_peak=f"{watch.peak:.1f}")

    publish_numbers(forwarder, range(COUNT, COUNT + MORE))
    assert sorted(slow.read(MORE)) == list(range(COUNT, COUNT + MORE))
    assert sorted(number_of(fast.next()) for _ in range(MORE)) == list(range(COUNT, COUNT + MORE))
    slow.close()
    fast.close()
    exchange.stop()
