"""Every figure: its unit, its limit, and how all are printed."""
import dataclasses
import datetime
import json
import os
import platform
import statistics
import subprocess

from lib.common import ROOT, fail


@dataclasses.dataclass(frozen=True)
class Figure:
    unit: str
    limit: float | None = None  # the median may not be over it


FIGURES = {
    "wire.echo_cpu_us": Figure("us"),
    "yardstick.grpc_go_echo_cpu_us": Figure("us"),
    "yardstick.nats_delivery_k1_ack_cpu_us": Figure("us"),
    "yardstick.nats_delivery_k10_cpu_us": Figure("us"),
    "yardstick.nats_delivery_k100_cpu_us": Figure("us"),
    "router.uplink_k1_cpu_us": Figure("us"),
    "router.uplink_k1_cpu_ratio_echo": Figure("x", 1.4),
    "router.uplink_k1_cpu_ratio_grpc": Figure("x", 0.25),
    "router.uplink_k1_rate": Figure("1/s"),
    "router.token_bytes": Figure("B"),
    "router.delivery_k10_cpu_us": Figure("us"),
    "router.delivery_k10_cpu_ratio_nats": Figure("x", 0.95),
    "router.delivery_k100_cpu_us": Figure("us"),
    "router.delivery_k100_cpu_ratio_nats": Figure("x", 0.6),
    "router.stream_k1_cpu_us": Figure("us"),
    "router.stream_k1_cpu_ratio_nats": Figure("x", 1.2),
    "router.scan_ns": Figure("ns", 150),
    "router.lookup_1m_ns": Figure("ns", 30),
    "router.lookup_1m_mib": Figure("MiB", 16),
    "router.rebuild_1m_ms": Figure("ms", 400),
    "router.growth_networks_ratio": Figure("x", 1.10),
    "router.growth_prefixes_ratio": Figure("x", 1.10),
    "router.idle_subscriber_kib": Figure("KiB", 48),
    "router.latency_p50_us": Figure("us"),
    "router.latency_p99_us": Figure("us", 1000),
    "router.storm_10k_s": Figure("s", 30),
    "router.storm_retries": Figure("1"),
    "router.storm_subscriber_cpu_us": Figure("us"),
    "router.storm_publish_p99_us": Figure("us"),
    "router.loops2_ratio": Figure("x"),
    "router.loops2_cpu_ratio": Figure("x"),
    "lpxd.idle_rss_mib": Figure("MiB", 20),
    "lpxd.first_start_ms": Figure("ms"),
    "lpxd.start_ms": Figure("ms"),
    "mapper.index_mib": Figure("MiB"),
    "mapper.sparse_50km_cpu_ms": Figure("ms"),
    "mapper.dense_5km_cpu_ms": Figure("ms"),
    "mapper.dense_50km_cpu_ms": Figure("ms", 20),
    "mapper.dense_50km_search_cpu_ms": Figure("ms"),
    "mapper.naive_cpu_ms": Figure("ms"),
    "mapper.list_cpu_us": Figure("us"),
    "mapper.list_rss_before_mib": Figure("MiB"),
    "mapper.list_rss_peak_mib": Figure("MiB"),
}


class Found:
    """Values of figures, those that were asked for."""

    def __init__(self, wanted):
        self.values = {name: [] for name in wanted}
        self.skipped = {}

    def wants(self, *prefixes):
        return any(name.startswith(prefixes) for name in self.values)

    def add(self, name, value):
        if name in self.values:
            self.values[name].append(value)

    def skip(self, names, why):
        self.skipped.update({name: why for name in names if name in self.values})


def line_of(name, values):
    middle = statistics.median(values)
    digits = 0 if middle >= 1000 else 2
    return (f"{name} {middle:.{digits}f} {FIGURES[name].unit} [{min(values):.{digits}f}–{max(values):.{digits}f}]"
            f" {len(values)} runs")


def report(found, about):
    """Print and write all; ends the program with status 1 when a figure is over its limit."""
    figures, over = {}, []
    for name, values in found.values.items():
        if not values:
            print(f"{name} skipped: {found.skipped.get(name, 'nothing measures it')}")
            continue
        print(line_of(name, values))
        middle, limit = statistics.median(values), FIGURES[name].limit
        figures[name] = {"unit": FIGURES[name].unit, "median": middle, "min": min(values), "max": max(values),
                         "limit": limit, "runs": values}
        if limit is not None and middle > limit:
            over.append(f"{name} is over its limit of {limit:g} {FIGURES[name].unit}")
    git = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True,
                         check=False)
    now = datetime.datetime.now(datetime.timezone.utc)
    about = {"time": now.isoformat(timespec="seconds"), "version": git.stdout.strip(), "machine": platform.platform(),
             "processors": os.cpu_count(), "load_after": os.getloadavg()[0], **about}
    everything = {"about": about, "figures": figures, "skipped": found.skipped}
    (ROOT / "bench/results.json").write_text(json.dumps(everything, indent=2) + "\n")
    if over:
        fail("\n       ".join(over))
