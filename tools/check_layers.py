#!/usr/bin/env python3
"""Hold the source tree to tools/layers.txt: levels, no folder cycle, third-party headers in their folders, pure cores."""
import collections
import fnmatch
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
# libc and POSIX: allowed to everybody (cores have a list of their own).
LIBC = {"assert.h", "ctype.h", "errno.h", "fcntl.h", "float.h", "getopt.h", "inttypes.h", "limits.h", "locale.h", "math.h",
        "netdb.h", "poll.h", "pthread.h", "pwd.h", "setjmp.h", "signal.h", "stdarg.h", "stdatomic.h", "stdbool.h",
        "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "stdnoreturn.h", "string.h", "strings.h", "termios.h", "threads.h",
        "time.h", "unistd.h", "wchar.h", "dirent.h", "ftw.h", "glob.h", "grp.h", "malloc.h", "sched.h", "semaphore.h",
        "spawn.h"}
LIBC_DIRS = ("sys/", "netinet/", "arpa/", "net/", "linux/")


def contract():
    levels, headers, cores, forbids = {}, [], [], []
    for line in (ROOT / "tools/layers.txt").read_text().splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[0] == "header":
            headers.append((words[1], words[2:]))
        elif words[0] == "core":
            cores.append(words[1])
        elif words[0] == "core_forbids":
            forbids = words[1:]
        else:
            levels[words[0]] = int(words[1])
    return levels, headers, cores, forbids


def folder_of(path, levels):
    """The contract's folder that holds path (relative to src), the longest match."""
    best = None
    for name in levels:
        if str(path).startswith(name + "/") and (best is None or len(name) > len(best)):
            best = name
    return best


def check_third_party(rel, folder, name, headers, problems):
    if name in LIBC or name.startswith(LIBC_DIRS):
        return
    for prefix, folders in headers:
        if name.startswith(prefix):
            is_test = rel.name.endswith(("_test.c", "_fuzz.c", "_test.h")) or "_test_" in rel.name
            if folder not in folders and not (is_test and ("test" in folders or not prefix.startswith("cmocka"))):
                problems.append(f"src/{rel}: <{name}> belongs to {' '.join(folders)}")
            return
    problems.append(f"src/{rel}: <{name}> stands in no line of tools/layers.txt")


def check_file(path, levels, headers, edges, problems):
    rel = path.relative_to(ROOT / "src")
    folder = folder_of(rel, levels)
    if folder is None:
        problems.append(f"src/{rel}: its folder stands in no line of tools/layers.txt")
        return
    for kind, name in INCLUDE.findall(path.read_text(encoding="utf-8")):
        target = folder_of(pathlib.Path(name), levels)
        local = (path.parent / name).exists()
        if target is not None and (ROOT / "src" / name).exists():
            if target != folder:
                edges[folder].add(target)
                if levels[target] >= levels[folder]:
                    problems.append(f"src/{rel}: {folder} (level {levels[folder]}) includes {name} (level {levels[target]})")
        elif not local and kind == "<":
            check_third_party(rel, folder, name, headers, problems)
        elif not local and not name.endswith((".pb-c.h", "lpx_reasons.h", "lpx_descriptors.h")) and not name.startswith("lpx/") \
                and not (ROOT / "src" / folder / name).exists() and "_gen" not in name:
            problems.append(f"src/{rel}: \"{name}\" is nowhere")


def find_cycle(edges):
    seen, stack = {}, []

    def visit(node):
        seen[node] = 1
        stack.append(node)
        for other in sorted(edges[node]):
            if seen.get(other) == 1:
                return stack[stack.index(other):] + [other]
            if other not in seen:
                found = visit(other)
                if found:
                    return found
        stack.pop()
        seen[node] = 2
        return None

    for start in sorted(edges):
        if start not in seen:
            found = visit(start)
            if found:
                return found
    return None


def check_cores(cores, forbids, problems):
    for path in sorted((ROOT / "src").rglob("*.c")):
        rel = path.relative_to(ROOT)
        if not any(fnmatch.fnmatch(str(rel), core) for core in cores):
            continue
        todo, done = [path], set()
        while todo:
            here = todo.pop()
            done.add(here)
            for _, name in INCLUDE.findall(here.read_text(encoding="utf-8")):
                if any(name == f or (f.endswith("/") and name.startswith(f)) for f in forbids):
                    problems.append(f"{rel}: a core may not include {name} (by {here.relative_to(ROOT)})")
                for own in (path.parent / pathlib.Path(name).name, ROOT / "src" / name):
                    if own.exists() and own.parent == path.parent and own not in done:
                        todo.append(own)


def main():
    levels, headers, cores, forbids = contract()
    problems, edges = [], collections.defaultdict(set)
    files = [p for p in sorted((ROOT / "src").rglob("*")) if p.suffix in (".c", ".h")]
    for path in files:
        check_file(path, levels, headers, edges, problems)
    cycle = find_cycle(collections.defaultdict(set, {k: set(v) for k, v in edges.items()}))
    if cycle:
        problems.append("folder cycle: " + " -> ".join(cycle))
    check_cores(cores, forbids, problems)
    print("\n".join(problems) if problems else f"layers: {len(files)} files keep the contract, no folder cycle")
    sys.exit(1 if problems else 0)


main()
