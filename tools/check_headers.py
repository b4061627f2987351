#!/usr/bin/env python3
"""Every header compiles alone, twice included, and every function that it declares has a docstring.

Usage: check_headers.py BUILD_DIR   (the generated headers are taken from there)
"""
import concurrent.futures
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ["libevent", "libssl", "libnghttp2", "libprotobuf-c", "jansson", "yaml-0.1", "jose", "sqlite3", "libpq",
            "libcurl", "smartcols"]
# A prototype starts at the left margin, has a name before its bracket and ends with a semicolon.
PROTOTYPE = re.compile(r"^(?!static|typedef|#|extern|enum|struct \w+;)[A-Za-z_][\w \t*]*?[ *](\w+)\([^;{}]*\)[^;{}]*;", re.M)


def self_contained(header, flags):
    text = f'#include "{header}"\n#include "{header}"\n'
    result = subprocess.run(["gcc", "-std=c17", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", *flags,
                             "-xc", "-"], input=text, capture_output=True, text=True, check=False)
    return [] if result.returncode == 0 else [f"{header}: not self-contained\n{result.stderr[:600]}"]


def undocumented(header):
    text = header.read_text(encoding="utf-8")
    problems = []
    for match in PROTOTYPE.finditer(text):
        before = text[:match.start()].rstrip().rsplit("\n", 1)[-1].rstrip()
        if not before.endswith("*/") and not PROTOTYPE.match(before):
            line = text.count("\n", 0, match.start()) + 1
            problems.append(f"{header.relative_to(ROOT)}:{line}: {match[1]} has no docstring")
    return problems


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    packages = shlex.split(subprocess.run(["pkg-config", "--cflags", *PACKAGES], check=True, capture_output=True,
                                          text=True).stdout)
    flags = [f"-I{ROOT / 'src'}", f"-I{ROOT / 'include'}", f"-I{build}", f"-isystem{build / 'api'}", *packages]
    headers = sorted((ROOT / "src").rglob("*.h")) + sorted((ROOT / "include").rglob("*.h"))
    problems = [p for header in headers for p in undocumented(header)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda h: self_contained(h, flags), headers):
            problems += found
    print("\n".join(problems) if problems else f"headers: {len(headers)} stand alone, every function has a docstring")
    sys.exit(1 if problems else 0)


main()
