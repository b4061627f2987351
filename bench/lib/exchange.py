"""An exchange to measure: one lpxd with a data folder and ports of its own, its members and its world."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.parse

from lib.common import SERVER_CPU, fail, free_ports, pinned, program, run_load

FORWARDER, HOME, BLOCK, BLOCK_BITS = "C00013", "C00024", "FC009000", 22  # a block in the space of C00024
# Tokens of Packet Broker have about 700 bytes with "Bearer "; ours have that with an issuer of this length.
ISSUER = "https://localhost:1901/" + "-".join(["an-exchange-with-a-long-name"] * 5)[:129]
WORLD = {"networks": 10000, "prefixes": 100000, "policies": 10000}


class Exchange:
    """One lpxd; cpu None: it may run anywhere."""

    def __init__(self, build, folder, cpu, settings):
        self.build, self.data, self.cpu = build, folder / "data", cpu
        self.grpc_port, self.http_port, metrics_port = free_ports(3)
        self.settings = {"data.dir": self.data, "grpc.listen": f"127.0.0.1:{self.grpc_port}",
                         "http.listen": f"127.0.0.1:{self.http_port}", "metrics.listen": f"127.0.0.1:{metrics_port}",
                         **settings}
        self.process = None

    def start(self):
        """Start it and wait until it serves. @return milliseconds that this took"""
        command = [str(self.build / "src/bin/lpxd")] + [f"--{k}={v}" for k, v in self.settings.items()]
        since = time.monotonic()
        self.process = subprocess.Popen(pinned(self.cpu, command), stderr=subprocess.PIPE, text=True, errors="replace")
        told = []
        for line in self.process.stderr:
            told.append(line)
            if " event=ready " in line:
                return (time.monotonic() - since) * 1000
        fail("lpxd did not start:\n" + "".join(told[-5:]))

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        _, told = self.process.communicate(timeout=60)
        if self.process.returncode != 0:
            fail(f"lpxd ended with {self.process.returncode}:\n{told[-2000:]}")
        self.process = None

    def rss_mib(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) / 1024

    def lpx(self, *words, key=None):
        """Run the command line, as the administrator or with the (id, secret) of a key. @return what it printed"""
        address = f"127.0.0.1:{self.grpc_port}"
        env = {"PATH": os.environ["PATH"], "HOME": str(self.data), "LPX_DATA_DIR": str(self.data),
               "PB_IAM_ADDRESS": address, "PB_CONTROLPLANE_ADDRESS": address, "PB_ROUTER_ADDRESS": address,
               "PB_TOKEN_URL": f"https://127.0.0.1:{self.http_port}/token"}
        if key is not None:
            env.update(PB_CLIENT_ID=key[0], PB_CLIENT_SECRET=key[1])
        result = subprocess.run([str(self.build / "src/bin/lpx"), *words], env=env, cwd=self.data, text=True,
                                capture_output=True, check=False)
        if result.returncode != 0:
            fail(f"lpx {' '.join(words)}: {result.stderr}")
        return result.stdout

    def key(self, net_id):
        """Make an API key. @return its id and secret"""
        out = self.lpx("network", "apikey", "create", "--net-id", net_id, "--rights",
                       "READ_TRAFFIC,WRITE_TRAFFIC,WRITE_ROUTING_POLICY")
        return re.search(r"Key ID:\s+(\S+)", out)[1], re.search(r"Secret Key:\s+(\S+)", out)[1]

    def tokens(self, key, count):
        """Get tokens for a key. @return the texts"""
        form = {"grant_type": "client_credentials", "client_id": key[0], "client_secret": key[1],
                "audience": "127.0.0.1", "scope": "networks"}
        body = urllib.parse.urlencode(form)
        context = ssl.create_default_context(cafile=self.data / "ca.pem")
        server = http.client.HTTPSConnection("127.0.0.1", self.http_port, context=context, timeout=20)
        found = []
        for _ in range(count):
            server.request("POST", "/token", body, {"Content-Type": "application/x-www-form-urlencoded"})
            answer = server.getresponse()
            text = answer.read()
            if answer.status != 200:
                fail(f"/token answers {answer.status}: {text[:200]!r}")
            found.append(json.loads(text)["access_token"])
        return found

    def token_file(self, key, count=1):
        """Get tokens for a key. @return a file with one on each line"""
        path = self.data / f"token-{key[0]}-{count}"
        path.touch(mode=0o600)
        path.write_text("".join(token + "\n" for token in self.tokens(key, count)))
        return path


@contextlib.contextmanager
def exchange(build, cpu=SERVER_CPU, **settings):
    with tempfile.TemporaryDirectory(prefix="lpx-bench-") as folder:
        one = Exchange(build, pathlib.Path(folder), cpu, settings)
        try:
            yield one
            one.stop()
        finally:
            if one.process is not None:
                one.process.kill()


def make_members(one):
    """A forwarder and a home network with a policy between them. @return their keys"""
    one.lpx("network", "create", "--net-id", FORWARDER, "--name", "Bench forwarder")
    one.lpx("network", "create", "--net-id", HOME, "--name", "Bench home network", "--dev-addr-blocks",
            f"{BLOCK}/{BLOCK_BITS}")
    forwarder, home = one.key(FORWARDER), one.key(HOME)
    one.lpx("policy", "set", "--forwarder-net-id", FORWARDER, "--home-network-net-id", HOME, "--set-uplink", "JMASL",
            "--set-downlink", "JMA", key=forwarder)
    return forwarder, home


def populate(one, world):
    """Put a world of networks, blocks and policies into the store of an exchange that is stopped."""
    words = [word for name, value in world.items() for word in (f"--{name}", value)]
    run_load([program(one.build, "populate"), "--store", f"sqlite:{one.data}/lpx.db", "--spare",
              f"{BLOCK}/{BLOCK_BITS}", *words])


@contextlib.contextmanager
def busy_exchange(build, world=None, cpu=SERVER_CPU, **settings):
    """An exchange that serves with members and a world. Yields it and the keys of forwarder and home network."""
    with exchange(build, cpu, **{"iam.issuer": ISSUER, **settings}) as one:
        one.start()
        keys = make_members(one)
        one.stop()
        populate(one, WORLD if world is None else world)
        one.start()
        yield one, keys
