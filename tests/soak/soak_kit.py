"""Tools of the long runs: memory of a process, members, uplinks in bulk, streams without threads."""
import base64
import collections
import json
import pathlib
import re
import threading
import time

from harness.frames import data_frame, uplink
from harness.members import Admin

FORWARDER, HOME, BLOCK = 0xC00013, 0xC00024, 0xFC009000  # a block of 1,024 addresses in the space of C00024


def rss_mib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) / 1024


def open_files(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


def settled_rss_mib(pid, seconds=3):
    """The least of some samples: memory that is given back late counts as given back."""
    least = rss_mib(pid)
    for _ in range(seconds * 10):
        time.sleep(0.1)
        least = min(least, rss_mib(pid))
    return least


class RssWatch:
    """Largest resident size while the block runs, in MiB."""

    def __init__(self, pid):
        self.pid, self.over, self.peak = pid, threading.Event(), 0.0
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self):
        while not self.over.wait(0.1):
            self.peak = max(self.peak, rss_mib(self.pid))

    def __enter__(self):
        self.peak = rss_mib(self.pid)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def make_members(exchange):
    """@return (admin, forwarder, home network) of a running exchange"""
    admin = Admin(exchange)
    admin.create_network(FORWARDER)
    admin.create_network(HOME, blocks=[(BLOCK, 22)])
    return admin, admin.member(FORWARDER), admin.member(HOME)


def make_request(pb, number):
    """PublishUplinkMessageRequest whose gateway_uplink_token is the number, by which it is found again."""
    phy = data_frame(BLOCK + number % 1024, f_cnt=number, payload=bytes(24))
    message = uplink(pb, phy, gateway=f"gw-{number % 40}", token=number.to_bytes(8, "big"))
    return pb.routing1.PublishUplinkMessageRequest(forwarder_net_id=FORWARDER, message=message)


def number_of(routed):
    return int.from_bytes(routed.message.gateway_uplink_token, "big")


def publish_numbers(member, numbers, window=256):
    """Publish with a window of calls in flight; every answer must be OK. @return ids by number"""
    pending, ids = collections.deque(), {}
    for number in numbers:
        call = member.forwarder.Publish.future(make_request(member.pb, number), metadata=member.metadata)
        pending.append((number, call))
        if len(pending) >= window:
            first, call = pending.popleft()
            ids[first] = call.result(60).id
    for number, call in pending:
        ids[number] = call.result(60).id
    assert len(set(ids.values())) == len(ids) and all(ids.values())
    return ids


def replay_lines(count):
    """Uplinks in the format of lpx replay, one line each."""
    lines = []
    for number in range(count):
        address = BLOCK + number % 1024
        phy = data_frame(address, f_cnt=number, payload=bytes(24))
        reception = {"gateway": f"gw-{number % 40}", "latitude": 45.1, "longitude": 5.7, "rssi_dbm": -100,
                     "snr_db": 2.5, "frequency_hz": 868100000, "sf": 9, "bandwidth_hz": 125000,
                     "time_ms": 1672867882173 + number}
        lines.append(json.dumps({"phy_payload": base64.b64encode(phy).decode(), "dev_addr": f"{address:08X}",
                                 "f_cnt": number & 0xFFFF, "receptions": [reception]}) + "\n")
    return lines
