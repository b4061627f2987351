"""What it takes to start, with nothing but places to listen set."""
import time

from lib.exchange import exchange


def measure_starts(build, options, found):
    """A fresh exchange; then the same data once more."""
    for _ in range(options.runs):
        with exchange(build) as one:
            found.add("lpxd.first_start_ms", one.start())
            time.sleep(1)
            found.add("lpxd.idle_rss_mib", one.rss_mib())
            one.stop()
            found.add("lpxd.start_ms", one.start())
