"""Processes, ports and processors."""
import os
import pathlib
import signal
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SERVER_CPU = 1


class Skip(Exception):
    """Figures cannot be had on this machine or in this build; the text says why."""


def fail(text):
    sys.exit(f"bench: {text}")


PRIORITY = []  # what stands before every command that is measured


def ask_for_priority():
    """From now on server and load go before all other work of the machine (needs root)."""
    if subprocess.run(["chrt", "-f", "5", "true"], check=False).returncode != 0:
        fail("--priority: this user may not ask for real-time priority")
    PRIORITY[:] = ["chrt", "-f", "5"]


def preferred(command):
    return [*PRIORITY, *(str(word) for word in command)]


def pinned(cpu, command):
    """The command on one processor; cpu None: anywhere."""
    pin = ["taskset", "-c", str(cpu)] if cpu is not None and (os.cpu_count() or 1) > 1 else []
    return preferred([*pin, *command])


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def program(build, name):
    """@return where a program of bench/ is"""
    path = build / "bench" / name
    if not path.exists():
        raise Skip(f"the build has no bench/{name}")
    return path


def values_of(text):
    """Lines of "name value" as a load program prints them."""
    return {line.split()[0]: float(line.split()[1]) for line in text.splitlines()}


def run_load(command):
    """@return what the load program printed, name to value"""
    result = subprocess.run(preferred(command), capture_output=True, text=True, check=False, timeout=900)
    if result.returncode != 0:
        fail(f"{' '.join(str(w) for w in command)} ended with {result.returncode}: {result.stderr.strip()[-2000:]}")
    return values_of(result.stdout)


def cpu_seconds(pid):
    """User and system time of a process so far."""
    words = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def stop(process):
    """End a process that was started here."""
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)
