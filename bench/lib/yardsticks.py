"""Other people's servers on the same job."""
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from lib.common import ROOT, SERVER_CPU, Skip, fail, free_ports, pinned, program, run_load, stop

CONNECTIONS, STREAMS = 8, 32


def run_echo(build, server, calls):
    """@return processor time of one echo, in microseconds"""
    values = run_load([program(build, "echo_load"), "--server", server, "--tls", "--connections", CONNECTIONS,
                       "--streams", STREAMS, "--calls", calls])
    return values["echo_server_cpu_per_call"]


def go_echo(build):
    """Build the echo of grpc-go if it is not there yet. @return the program"""
    target, source = build / "bench/go_echo", ROOT / "bench/go"
    newest = max(path.stat().st_mtime for path in source.iterdir())
    if target.exists() and target.stat().st_mtime > newest:
        return target
    go = subprocess.run([ROOT / "tools/ensure_go"], capture_output=True, text=True, check=False)
    if go.returncode != 0:
        raise Skip(f"there is no Go: {go.stderr.strip()}")
    env = {**os.environ, "PATH": f"{go.stdout.strip()}:{os.environ['PATH']}", "GOFLAGS": "-mod=mod -buildvcs=false"}
    built = subprocess.run(["go", "build", "-o", target, "."], cwd=source, env=env, capture_output=True, text=True,
                           check=False)
    if built.returncode != 0:
        raise Skip(f"grpc-go's echo cannot be built: {built.stderr.strip()[-300:]}")
    return target


def make_cert(folder):
    """@return certificate and key for localhost"""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost"], check=True,
                   capture_output=True)
    return cert, key


def wait_for_port(port, process):
    for _ in range(200):
        if process.poll() is not None:
            fail(f"nats-server ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    fail("nats-server does not listen")


@contextlib.contextmanager
def nats(build):
    """nats-server over TLS. Yields run(subscribers, messages, ack), which answers processor time per message in us."""
    load = program(build, "nats_load")
    server = shutil.which("nats-server", path=os.environ["PATH"] + ":/usr/sbin")
    if server is None:
        raise Skip("nats-server is not installed (package nats-server)")
    with tempfile.TemporaryDirectory(prefix="lpx-bench-nats-") as folder:
        cert, key = make_cert(pathlib.Path(folder))
        port = free_ports(1)[0]
        process = subprocess.Popen(pinned(SERVER_CPU, [server, "-a", "127.0.0.1", "-p", port, "--tls", "--tlscert", cert,
                                                       "--tlskey", key]), stderr=subprocess.DEVNULL)
        try:
            wait_for_port(port, process)

            def run(subscribers, messages, ack=False):
                values = run_load([load, "--port", port, "--pid", process.pid, "--subscribers", subscribers,
                                   "--messages", messages, *(["--ack"] if ack else [])])
                return values["nats_server_cpu_per_message"]

            yield run
        finally:
            stop(process)
