"""The command line against a running exchange; certificates replaced while it runs."""
import base64
import json
import os
import pty
import re
import socket
import ssl
import subprocess
import termios

import pytest
from harness.exchange import wait_until
from harness.frames import data_frame
from harness.members import Admin

FORWARDER, HOME = "C00090", "C00091"
BASE = 0xFC024400


@pytest.fixture(scope="module")
def keys(shared_exchange):
    """Two members made by the command line itself."""
    lpx = shared_exchange.run_lpx
    lpx("network", "create", "--net-id", FORWARDER, "--name", "Forwarder")
    lpx("network", "create", "--net-id", HOME, "--name", "Home", "--dev-addr-blocks", f"{BASE:08X}/22=eu1")
    found = {}
    for net_id in (FORWARDER, HOME):
        out = lpx("network", "apikey", "create", "--net-id", net_id, "--rights",
                  "READ_NETWORK,READ_ROUTING_POLICY,WRITE_ROUTING_POLICY,READ_TRAFFIC,WRITE_TRAFFIC").stdout
        found[net_id] = {"PB_CLIENT_ID": re.search(r"Key ID:\s+([A-Z2-7]{16})\b", out)[1],
                         "PB_CLIENT_SECRET": re.search(r"Secret Key:\s+(\S+)", out)[1]}
    return found


def test_tables(shared_exchange, keys):
    out = shared_exchange.run_lpx("network", "list").stdout
    assert "NetID" in out.splitlines()[0]
    row = next(line for line in out.splitlines() if line.startswith(HOME))
    assert "Home" in row and f"{BASE:08X}/22 (eu1)" in row
    assert FORWARDER in shared_exchange.run_lpx("network", "get", "--net-id", FORWARDER, env=keys[FORWARDER]).stdout
    out = shared_exchange.run_lpx("network", "apikey", "list", "--net-id", HOME).stdout
    assert keys[HOME]["PB_CLIENT_ID"] in out and keys[HOME]["PB_CLIENT_SECRET"] not in out


def test_policies(shared_exchange, keys):
    lpx, env = shared_exchange.run_lpx, keys[FORWARDER]
    lpx("policy", "set", "--forwarder-net-id", FORWARDER, "--home-network-net-id", HOME, "--set-uplink", "JMASL",
        "--set-downlink", "JMA", env=env)
    assert HOME in lpx("policy", "list", "--forwarder-net-id", FORWARDER, env=env).stdout
    assert FORWARDER in lpx("policy", "list", "--home-network-net-id", HOME, env=keys[HOME]).stdout
    lpx("policy", "delete", "--forwarder-net-id", FORWARDER, "--home-network-net-id", HOME, env=env)
    result = lpx("policy", "get", "--forwarder-net-id", FORWARDER, "--home-network-net-id", HOME, env=env, check=False)
    assert result.returncode == 3 and "NOT_FOUND" in result.stderr and not result.stdout


def test_publish_and_subscribe(shared_exchange, keys):
    out_file = shared_exchange.folder / "sub.json"
    with subprocess.Popen([shared_exchange.lpx, "sub", "--home-network-net-id", HOME, "--group", "g"],
                          env=shared_exchange.lpx_environment(keys[HOME]),
                          stdout=out_file.open("w"), cwd=shared_exchange.folder) as sub:

        phy = base64.b64encode(data_frame(BASE + 1)).decode()
        message = {"phy_payload": {"plain": phy, "teaser": {"mac": {"devAddr": BASE + 1}}}, "gatewayUplinkToken": "AQID",
                   "gatewayRegion": "EU_863_870", "dataRateIndex": 5}

        def arrived():
            shared_exchange.run_lpx("pub", "--forwarder-net-id", FORWARDER, stdin=json.dumps(message), env=keys[FORWARDER])
            try:
                return json.JSONDecoder().raw_decode(out_file.read_text())[0]
            except json.JSONDecodeError:
                return None
        got = wait_until(arrived, 60, "the uplink")
        assert got["message"]["phyPayload"]["plain"] == phy and got["message"]["gatewayUplinkToken"] == "AQID"
        assert got["message"]["dataRate"]["lora"]["spreadingFactor"] == 7
        assert got["homeNetworkTenantId"] == ""  # unpopulated fields are printed
        sub.terminate()


def test_replay(shared_exchange, keys, tmp_path):
    lines = []
    for n in range(200):

        phy = data_frame(BASE + n % 7, f_cnt=n)
        lines.append(json.dumps({
            "phy_payload": base64.b64encode(phy).decode(), "dev_addr": f"{BASE + n % 7:08X}", "f_cnt": n,
            "receptions": [{"gateway": f"gw-{k}", "latitude": 45.1, "longitude": 5.7, "rssi_dbm": -100 - k, "snr_db": 2.5,
                            "frequency_hz": 868100000, "sf": 9, "bandwidth_hz": 125000, "time_ms": 1672867882173 + n}
                           for k in range(2)]}))
    path = tmp_path / "uplinks.jsonl"
    path.write_text("\n".join(lines) + "\n")
    result = shared_exchange.run_lpx("replay", "--forwarder-net-id", FORWARDER, "--rate", "max", str(path), env=keys[FORWARDER])
    assert re.search(r"\b400\b", result.stdout), result.stdout
    path.write_text(lines[0] + "\n{broken\n")
    result = shared_exchange.run_lpx("replay", "--forwarder-net-id", FORWARDER, "--rate", "max", str(path), env=keys[FORWARDER],
                                     check=False)
    assert result.returncode == 1 and re.search(r"line 2|:2", result.stderr), result.stderr


def test_mistakes_are_explained(shared_exchange, keys):
    lpx = shared_exchange.run_lpx
    for words, hint in ((["netwrok"], "network"), (["network", "lst"], "list"), (["network", "list", "--name-contians", "x"],
                        "name-contains"), (["network", "get", "--net-id", "XYZ"], "net-id"),
                        (["network", "create", "--net-id", "C00099", "--dev-addr-blocks", "26AA/16"], "26AA/16")):
        result = lpx(*words, check=False)
        assert result.returncode == 2 and hint in result.stderr, (words, result.stderr)
    result = lpx("network", "get", "--net-id", HOME, check=False, env=keys[FORWARDER])
    assert result.returncode == 4 and "PERMISSION_DENIED" in result.stderr
    result = lpx("network", "list", check=False, env={"PB_IAM_ADDRESS": "127.0.0.1:9"})
    assert result.returncode == 5 and "127.0.0.1:9" in result.stderr
    result = lpx("network", "list", check=False, env={"PB_IAM_ADDRESS": "127.0.0.1:9"}, name="pbadmin")
    assert result.returncode == 1 and "127.0.0.1:9" in result.stderr  # as the existing client


def test_an_interrupted_prompt_leaves_a_terminal_that_shows(shared_exchange, keys):
    """Ctrl-C while a secret is typed: the echo comes back."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(shared_exchange.folder)
        os.execve(shared_exchange.lpx, ["lpx", "network", "apikey", "create", "--net-id", HOME, "--prompt-key"],
                  shared_exchange.lpx_environment())
    said = b""
    while b"Secret key: " not in said:
        said += os.read(terminal, 1000)
    wait_until(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO, what="the echo to go")
    os.write(terminal, b"half a secr\x03")
    while b"interrupted" not in said:
        said += os.read(terminal, 1000)
    assert b"secr" not in said and termios.tcgetattr(terminal)[3] & termios.ECHO
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    os.close(terminal)


def test_demo(exchange):
    exchange.start()
    for _ in range(2):  # the second run finds the members of the first
        result = exchange.run_lpx("demo", "--once", "--count", "12", "--rate", "50")
        assert "DevAddr" in result.stdout or "devaddr" in result.stdout.lower()
    exchange.stop()


def served_certificate(exchange):
    context = ssl.create_default_context(cafile=exchange.ca_file)
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", exchange.grpc_port), timeout=20) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as connection:
            return connection.getpeercert(binary_form=True)


def test_certificates_are_replaced_while_streams_live(exchange):
    exchange.start()
    admin = Admin(exchange)
    admin.create_network(0xC00095, blocks=[(0xFC025400, 22)])
    member = admin.member(0xC00095)
    stream = member.subscribe_home("g")
    before = served_certificate(exchange)
    run = lambda *words: subprocess.run(words, check=True, capture_output=True, cwd=exchange.dir)
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "server-key.pem",
        "-subj", "/CN=replaced", "-out", "new.csr", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    run("openssl", "x509", "-req", "-in", "new.csr", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "2",
        "-copy_extensions", "copyall", "-out", "server.pem")
    exchange.reload()
    wait_until(lambda: served_certificate(exchange) != before, what="the new certificate")
    assert stream.error is None and stream.messages.qsize() == 0
    (exchange.dir / "server.pem").write_text("no certificate")
    exchange.reload()
    wait_until(lambda: "tls_reload_failed" in exchange.log(), what="the refusal")
    assert served_certificate(exchange) != before  # the last good one stays
    stream.close()
    exchange.stop()


def test_drain(exchange):
    """SIGTERM: streams end with UNAVAILABLE, so that clients connect elsewhere, and the process ends."""
    exchange.start()
    admin = Admin(exchange)
    admin.create_network(0xC00096)
    stream = admin.member(0xC00096).subscribe_forwarder("g")
    exchange.stop()
    assert stream.next() is None
    assert stream.error.code().name == "UNAVAILABLE"
