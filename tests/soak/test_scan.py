"""A million random requests, read in place and decoded: both ways say and send the same."""
import os
import re
import subprocess

CASES = 1000000


def test_requests_read_in_place(build, tell):
    env = dict(os.environ, LPX_SCAN_CASES=str(CASES))
    done = subprocess.run([build / "src/router/router_scan_test"], env=env, capture_output=True, text=True, timeout=3600,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    cases = sum(int(n) for n in re.findall(r": (\d+) cases", done.stdout + done.stderr))
    assert cases >= CASES
    tell(cases=cases)
