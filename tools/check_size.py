#!/usr/bin/env python3
"""Functions at most 70 lines, files under 1,000. Function ends come from universal-ctags."""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAX_FUNCTION_LINES, MAX_FILE_LINES = 70, 1000


def main():
    files = [str(p) for folder in ("src", "include", "fuzz", "bench", "tests") for p in sorted((ROOT / folder).rglob("*.[ch]"))]
    problems = []
    for name in files:
        lines = pathlib.Path(name).read_text(encoding="utf-8").count("\n")
        if lines >= MAX_FILE_LINES:
            problems.append(f"{name}: {lines} lines, want fewer than {MAX_FILE_LINES}")
    tags = subprocess.run(["ctags", "--output-format=json", "--fields=+ne", "--kinds-C=f", "-f", "-", *files],
                          check=True, capture_output=True, text=True).stdout
    count = 0
    for line in tags.splitlines():
        tag = json.loads(line)
        count += 1
        length = tag.get("end", tag["line"]) - tag["line"] + 1
        if length > MAX_FUNCTION_LINES:
            problems.append(f"{tag['path']}:{tag['line']}: {tag['name']} has {length} lines, want at most {MAX_FUNCTION_LINES}")
    print("\n".join(problems) if problems else f"size: {count} functions in {len(files)} files keep the limits")
    sys.exit(1 if problems else 0)


main()
