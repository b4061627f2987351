#!/usr/bin/env python3
"""Run unit tests (cmocka and corpus replays), scenarios and interop tests of a build; count their cases.

Usage: run_tests.py BUILD_DIR [--only unit|scenario|interop]
Last line: N passed, N failed, N skipped. Exit status 1 when something failed.
"""
import gzip
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SKIPPED = 77  # exit status of a test program that cannot run here; it says why


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, passed, failed, skipped):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped


def environment(build):
    env = dict(os.environ)
    env["ASAN_OPTIONS"] = "detect_leaks=1:abort_on_error=0:" + env.get("ASAN_OPTIONS", "")
    env["UBSAN_OPTIONS"] = "halt_on_error=1:print_stacktrace=1:" + env.get("UBSAN_OPTIONS", "")
    recorded = ROOT.parent / "shared/data/real-uplinks.jsonl.gz"
    if "LPX_REAL_UPLINKS" not in env and recorded.exists():
        plain = build / "real-uplinks.jsonl"
        plain.write_bytes(gzip.decompress(recorded.read_bytes()))
        env["LPX_REAL_UPLINKS"] = str(plain)
    table = ROOT.parent / "shared/facts/api.tsv"
    if "LPX_API_TABLE" not in env and table.exists():
        env["LPX_API_TABLE"] = str(table)
    return env


def count_cmocka(text):
    # cmocka prints "[  PASSED  ] N test(s)." per group, failed and skipped ones likewise.
    def total(word):
        return sum(int(n) for n in re.findall(r"\[\s*" + word + r"\s*\] (\d+) test\(s\)", text))
    return total("PASSED"), total("FAILED"), total("SKIPPED")


def run_unit(build, env, tally):
    tests = json.loads(subprocess.run(["meson", "introspect", "--tests", str(build)], check=True, capture_output=True,
                                      text=True).stdout)
    for test in tests:
        start = time.monotonic()
        try:
            result = subprocess.run(test["cmd"], env={**env, **test["env"]}, cwd=test["workdir"] or build,
                                    capture_output=True, text=True, errors="replace", check=False,
                                    timeout=test["timeout"] * 4)
            status, text = result.returncode, result.stdout + result.stderr
        except subprocess.TimeoutExpired as late:
            status, text = 124, f"no end after {late.timeout} s\n{(late.stdout or b'').decode(errors='replace')[-4000:]}"
        passed, failed, skipped = count_cmocka(text)
        if status == SKIPPED:
            passed, failed, skipped = 0, 0, max(skipped, 1)
        elif status != 0 and failed == 0:
            failed = 1
        elif passed + failed + skipped == 0:
            passed = 1  # a corpus replay, or a program of one case
        tally.add(passed, failed, skipped)
        print(f"{'FAIL' if failed else 'skip' if status == SKIPPED else 'ok  '} {test['name']:<28} "
              f"{passed} passed, {failed} failed, {skipped} skipped, {time.monotonic() - start:.1f} s", flush=True)
        if failed:
            print(text[-8000:])
        elif status == SKIPPED:
            print("     " + text.strip().replace("\n", "\n     ")[-400:])


def run_pytest(kind, build, env, tally):
    command = ["/usr/bin/python3", "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--build", str(build),
               str(ROOT / "tests" / kind)]
    start = time.monotonic()
    result = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    text = result.stdout + result.stderr

    def count(word):
        found = re.findall(r"(\d+) " + word, text.strip().rsplit("\n", 1)[-1])
        return int(found[0]) if found else 0
    passed, failed, skipped = count("passed"), count("failed") + count("error"), count("skipped")
    if result.returncode not in (0, 5) and failed == 0:
        failed = 1
    tally.add(passed, failed, skipped)
    print(f"{'FAIL' if failed else 'ok  '} {kind:<28} {passed} passed, {failed} failed, {skipped} skipped, "
          f"{time.monotonic() - start:.1f} s", flush=True)
    for line in text.splitlines():
        if line.startswith("SKIPPED"):
            print("     " + line)
    if failed:
        print(text[-30000:])


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    only = sys.argv[3] if len(sys.argv) > 3 else None
    env, tally = environment(build), Tally()
    if only in (None, "unit"):
        run_unit(build, env, tally)
    for kind in ("scenario", "interop"):
        if only in (None, kind):
            run_pytest(kind, build, env, tally)
    skipped = f", {tally.skipped} skipped" if tally.skipped else ""
    print(f"{tally.passed} passed, {tally.failed} failed{skipped}")
    sys.exit(1 if tally.failed else 0)


main()
