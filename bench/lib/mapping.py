"""The list of a million gateways through the real server."""
import contextlib
import sqlite3
import ssl
import struct
import time
import urllib.request

from lib.common import cpu_seconds, fail
from lib.exchange import FORWARDER, exchange

MAP_GATEWAYS = 1000000


def field(number, value):
    """A protobuf field that holds bytes."""
    key = number << 3 | 2
    return bytes([key] if key < 128 else [key & 127 | 128, key >> 7]) + bytes([len(value)]) + value


def fill_map(one):
    """Gateways that everybody sees, straight into the database of an exchange that is stopped."""
    now = int(time.time() * 1e6)

    def rows():
        for i in range(MAP_GATEWAYS):
            place = struct.pack("<BdBd", 0x09, i % 1700 / 10 - 85, 0x11, i % 35000 / 100 - 175)
            gateway = field(20, field(1, field(1, place))) + field(10, b"\x08\x01")
            yield int(FORWARDER, 16), f"gateway-{i}", "eu1", i, gateway, now * 2, now + i

    with contextlib.closing(sqlite3.connect(one.data / "lpx.db")) as db:
        db.execute("INSERT INTO gateway_visibilities VALUES (?, '', 1, 0, '', 447, 1)", (int(FORWARDER, 16),))
        db.executemany("INSERT INTO gateways VALUES (?, '', ?, ?, ?, ?, ?, ?)", rows())
        db.commit()


def stream_map(one):
    """Read the list of all gateways over TLS. @return highest resident memory of the server meanwhile"""
    context = ssl.create_default_context(cafile=one.data / "ca.pem")
    peak, last = 0, b""
    with urllib.request.urlopen(f"https://127.0.0.1:{one.http_port}/api/v2/gateways", context=context) as answer:
        for chunk in iter(lambda: answer.read(4 << 20), b""):
            peak, last = max(peak, one.rss_mib()), chunk
    if f'"gateway-{MAP_GATEWAYS - 1}"' not in last.decode() or not last.endswith(b"]"):
        fail("the list of gateways is not whole")
    return peak


def measure_list(build, options, found):
    """All gateways: CPU for each, and memory before and while they are sent."""
    with exchange(build, **{"mapper.max-gateways": MAP_GATEWAYS, "mapper.requests-per-minute": 0}) as one:
        one.start()
        one.lpx("network", "create", "--net-id", FORWARDER, "--name", "Bench forwarder")
        one.stop()
        fill_map(one)
        one.start()
        for _ in range(options.runs):
            before, cpu = one.rss_mib(), cpu_seconds(one.process.pid)
            peak = stream_map(one)
            found.add("mapper.list_rss_before_mib", before)
            found.add("mapper.list_rss_peak_mib", peak)
            found.add("mapper.list_cpu_us", (cpu_seconds(one.process.pid) - cpu) * 1e6 / MAP_GATEWAYS)
