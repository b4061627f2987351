"""One lpxd under test: start, stop, kill, credentials, channels."""
import base64
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import grpc

READY = re.compile(r"event=ready\b.*")


given_ports = set()


def free_ports(count):
    """Ports that are free now and were never given before: programs listen with SO_REUSEPORT, so that two exchanges with one
    port would share its connections and nobody would notice."""
    sockets, ports = [], []
    while len(ports) < count:
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0))
        sockets.append(s)
        port = s.getsockname()[1]
        if port not in given_ports:
            given_ports.add(port)
            ports.append(port)
    for s in sockets:
        s.close()
    return ports


def wait_until(condition, seconds=20.0, what="the condition"):
    """Poll a condition; the bound is for failures only."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.01)


class Exchange:
    def __init__(self, build, pb, folder, **settings):
        self.build, self.pb = pathlib.Path(build), pb
        self.folder = pathlib.Path(folder)
        self.dir = self.folder / "data"
        self.log_file = self.folder / "lpxd.log"
        self.settings = settings
        self.process = None
        self.grpc_port, self.http_port, self.plain_port, self.metrics_port = free_ports(4)

    @property
    def lpxd(self):
        return str(self.build / "src/bin/lpxd")

    @property
    def lpx(self):
        return str(self.build / "src/bin/lpx")

    @property
    def grpc_address(self):
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def token_url(self):
        return f"https://127.0.0.1:{self.http_port}/token"

    @property
    def ca_file(self):
        return self.dir / "ca.pem"

    def command(self, **more):
        settings = {"data.dir": self.dir, "grpc.listen": self.grpc_address,
                    "grpc.plaintext-listen": f"127.0.0.1:{self.plain_port}",
                    "http.listen": f"127.0.0.1:{self.http_port}",
                    "metrics.listen": f"127.0.0.1:{self.metrics_port}", **self.settings, **more}
        return [self.lpxd] + [f"--{name.replace('__', '.').replace('_', '-')}={value}" for name, value in settings.items()]

    def start(self, **more):
        """Start and wait until it serves."""
        log = open(self.log_file, "ab")
        start = self.log_file.stat().st_size
        self.process = subprocess.Popen(self.command(**more), stdout=log, stderr=log)

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"lpxd ended with {self.process.returncode}:\n{self.log()[-8000:]}")
            return READY.search(self.log_file.read_bytes()[start:].decode(errors="replace"))
        wait_until(ready, 60, "lpxd's readiness")
        return self

    def stop(self, check=True):
        """SIGTERM; a sanitizer's report or a crash fails the test."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self.process = None
        if check:
            assert status == 0, f"lpxd ended with {status}:\n{self.log()[-8000:]}"

    def kill(self):
        """As power loss for the process: no chance to finish anything."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)
        self.process = None

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def admin_password(self):
        return re.search(r"iam-password: (\S+)", (self.dir / "admin.yaml").read_text())[1]

    def admin_metadata(self):
        pair = base64.b64encode(f"admin:{self.admin_password()}".encode()).decode()
        return (("authorization", f"Basic {pair}"),)

    def channel(self, options=()):
        credentials = grpc.ssl_channel_credentials(self.ca_file.read_bytes())
        return grpc.secure_channel(self.grpc_address, credentials,
                                   [("grpc.max_receive_message_length", 16 << 20), *options])

    def post_token(self, body, content_type="application/x-www-form-urlencoded", headers=None):
        """POST to /token. @return (status, headers, parsed JSON)"""
        data = body if isinstance(body, bytes) else urllib.parse.urlencode(body).encode()
        request = urllib.request.Request(self.token_url, data=data, headers={"Content-Type": content_type, **(headers or {})})
        context = ssl.create_default_context(cafile=self.ca_file)
        try:
            with urllib.request.urlopen(request, context=context, timeout=20) as answer:
                return answer.status, answer.headers, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, error.headers, json.loads(error.read() or b"null")

    def get_json(self, path):
        context = ssl.create_default_context(cafile=self.ca_file)
        with urllib.request.urlopen(f"https://127.0.0.1:{self.http_port}{path}", context=context, timeout=20) as answer:
            return json.loads(answer.read())

    def metrics(self):
        """Every metric by its name with labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=20) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) if "." in value else int(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}

    def token(self, key_id, secret, audience="127.0.0.1"):
        status, _, answer = self.post_token({"grant_type": "client_credentials", "client_id": key_id,
                                             "client_secret": secret, "audience": audience, "scope": "networks"})
        assert status == 200, answer
        return answer["access_token"]

    def lpx_environment(self, env=None):
        """Settings that lead the command line to this exchange."""
        return {**os.environ, "LPX_DATA_DIR": str(self.dir), "HOME": str(self.folder),
                "PB_IAM_ADDRESS": self.grpc_address, "PB_CONTROLPLANE_ADDRESS": self.grpc_address,
                "PB_REPORTS_ADDRESS": self.grpc_address, "PB_ROUTER_ADDRESS": self.grpc_address,
                "PB_MAPPER_ADDRESS": self.grpc_address, "PB_MAPPER_URL": f"https://127.0.0.1:{self.http_port}/api/v2",
                "PB_READY_URL": f"http://127.0.0.1:{self.metrics_port}/readyz", "PB_TOKEN_URL": self.token_url, **(env or {})}

    def program(self, name):
        """The command line under another name."""
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        if not path.is_symlink():
            path.symlink_to(self.lpx)
        return str(path)

    def run_lpx(self, *words, stdin=None, check=True, env=None, timeout=120, name="lpx"):
        """Run the command line against this exchange, under its own name or another."""
        result = subprocess.run([self.program(name), *words], input=stdin, capture_output=True, text=True,
                                env=self.lpx_environment(env), cwd=self.folder, timeout=timeout, check=False)
        if check:
            assert result.returncode == 0, f"{name} {' '.join(words)}: {result.returncode}\n{result.stderr}\n{result.stdout}"
        return result
