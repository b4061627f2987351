"""Two members onboard, set policies and exchange traffic, with clients in Go: once with the four Packet Broker clients,
unmodified, and once with our own programs over the same libraries."""
import base64
import json
import os
import re
import subprocess

import pytest
from go_clients import Unavailable, build_own, build_real
from harness.exchange import Exchange, wait_until
from harness.frames import CONFIRMED_UP, UNCONFIRMED_DOWN, data_frame, join_request
from harness.members import Member

FORWARDER, HOME = "000013", "C00042"
BLOCK = 0xFC010800  # of C00042
JOIN_EUI, DEV_EUI = "70B3D57ED0001234", "0004A30B001C0530"


@pytest.fixture(scope="module", params=["real", "own"])
def clients(request, build):
    try:
        return build_real(build) if request.param == "real" else build_own(build)
    except Unavailable as why:
        if request.param == "own" and os.environ.get("LPX_REQUIRE_INTEROP"):
            raise
        pytest.skip(f"{request.param} clients: {why}")


@pytest.fixture(scope="module")
def world(build, pb, clients, tmp_path_factory):
    exchange = Exchange(build, pb, tmp_path_factory.mktemp("interop"))
    exchange.start()
    yield World(exchange, clients)
    exchange.stop()


class World:
    """The exchange, and the programs with their settings."""

    def __init__(self, exchange, clients):
        self.exchange, self.clients = exchange, clients
        self.keys = {}

    def env(self, key=None, admin=False):
        address = f"localhost:{self.exchange.grpc_port}"
        # No exchange of this machine's own may lend lpx its CA.
        env = {**os.environ, "SSL_CERT_FILE": str(self.exchange.ca_file), "HOME": str(self.exchange.folder),
               "LPX_DATA_DIR": str(self.exchange.folder),
               "PB_IAM_ADDRESS": address, "PB_CONTROLPLANE_ADDRESS": address, "PB_REPORTS_ADDRESS": address,
               "PB_ROUTER_ADDRESS": address, "PB_TOKEN_URL": self.exchange.token_url.replace("127.0.0.1", "localhost")}
        if admin:
            env.update(PB_IAM_USERNAME="admin", PB_IAM_PASSWORD=self.exchange.admin_password())
        if key:
            env.update(PB_CLIENT_ID=self.keys[key][0], PB_CLIENT_SECRET=self.keys[key][1])
        return env

    def run(self, name, *words, key=None, admin=False, stdin=None, ok=True, extra=None):
        result = subprocess.run([str(self.clients / name), *words], env={**self.env(key, admin), **(extra or {})}, input=stdin,
                                capture_output=True, text=True, timeout=60, check=False, cwd=self.exchange.folder)
        assert (result.returncode == 0) == ok, f"{name} {' '.join(words)}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result.stdout + result.stderr

    def subscribe(self, *words, key, extra=None):
        """pbsub in the background; its output grows in a file."""
        path = self.exchange.folder / f"sub-{len(list(self.exchange.folder.glob('sub-*')))}.json"
        process = subprocess.Popen([str(self.clients / "pbsub"), *words], env={**self.env(key), **(extra or {})},
                                   stdout=path.open("w"), stderr=subprocess.DEVNULL, cwd=self.exchange.folder)
        return Subscription(process, path)


class Subscription:
    def __init__(self, process, path):
        self.process, self.path = process, path

    def messages(self):
        text, out, decoder = self.path.read_text(), [], json.JSONDecoder()
        while text.strip():
            try:
                value, end = decoder.raw_decode(text.lstrip())
            except json.JSONDecodeError:
                break
            out.append(value)
            text = text.lstrip()[end:]
        return out

    def close(self):
        self.process.terminate()
        self.process.wait(20)


def uplink_json(phy, snake=False):
    """An uplink as a person writes it: data rate by index, tokens in base64, camelCase or snake_case."""
    text = json.dumps({
        "phyPayload": {"plain": base64.b64encode(phy).decode(), "teaser": {
            "hash": base64.b64encode(bytes(32)).decode(), "length": len(phy),
            **({"joinRequest": {"joinEui": str(int(JOIN_EUI, 16)), "devEui": str(int(DEV_EUI, 16)), "devNonce": 1}}
               if phy[0] >> 5 == 0 else
               {"mac": {"devAddr": int.from_bytes(phy[1:5], "little"), "fCnt": 1, "fPort": 1, "frmPayloadLength": 1}})}},
        "gatewayRegion": "EU_863_870", "dataRateIndex": 5, "frequency": "868100000",
        "gatewayUplinkToken": "AQID", "forwarderUplinkToken": "BAUG",
        "gatewayMetadata": {"plainSignalQuality": {"terrestrial": {"antennas": [
            {"index": 0, "value": {"channelRssi": -80, "snr": 7.5}}]}}}})
    return re.sub(r'"([a-z]+[A-Z][A-Za-z]*)":', lambda m: '"' + re.sub("[A-Z]", lambda c: "_" + c[0].lower(), m[1]) + '":',
                  text) if snake else text


def field(output, name):
    return re.search(rf"{name}:\s+(\S+)", output)[1]


def test_1_onboarding(world):
    world.run("pbadmin", "network", "create", "--net-id", FORWARDER, "--name", "Forwarder", admin=True)
    world.run("pbadmin", "network", "create", "--net-id", HOME, "--name", "Home", "--dev-addr-blocks", f"{BLOCK:08X}/22",
              admin=True)
    assert FORWARDER in world.run("pbadmin", "network", "list", admin=True)
    output = world.run("pbadmin", "network", "init", "--net-id", FORWARDER)
    assert field(output, "API Key State") == "REQUESTED"
    world.keys["forwarder"] = field(output, "API Key ID"), field(output, "API Secret Key")
    world.run("pbadmin", "network", "get", "--net-id", FORWARDER, key="forwarder", ok=False)  # not approved yet
    world.run("pbadmin", "network", "apikey", "update-state", "--key-id", world.keys["forwarder"][0], "--state", "APPROVED",
              admin=True)
    assert "Forwarder" in world.run("pbadmin", "network", "get", "--net-id", FORWARDER, key="forwarder")
    output = world.run("pbadmin", "network", "apikey", "create", "--net-id", HOME, "--rights",
                       "READ_NETWORK,READ_ROUTING_POLICY,READ_TRAFFIC,WRITE_TRAFFIC", admin=True)
    world.keys["home"] = re.search(r"Key ID:\s+(\S+)", output)[1], re.search(r"Secret Key:\s+(\S+)", output)[1]
    world.run("pbadmin", "network", "tenant", "create", "--net-id", FORWARDER, "--tenant-id", "tenant-a", "--name", "Tenant A",
              key="forwarder")
    assert "tenant-a" in world.run("pbadmin", "network", "tenant", "list", "--net-id", FORWARDER, key="forwarder")
    assert world.keys["home"][0] in world.run("pbadmin", "network", "apikey", "list", "--net-id", HOME, admin=True)


def test_2_policies(world):
    forwarder = ["--forwarder-net-id", FORWARDER]
    both = [*forwarder, "--home-network-net-id", HOME]
    world.run("pbctl", "policy", "get", *both, key="forwarder", ok=False)
    world.run("pbctl", "policy", "set", *forwarder, "--defaults", "--set-uplink", "JM", "--set-downlink", "J", key="forwarder")
    world.run("pbctl", "policy", "set", *both, "--set-uplink", "JMASL", "--set-downlink", "JMA", key="forwarder")
    assert HOME in world.run("pbctl", "policy", "get", *both, key="forwarder")
    assert HOME in world.run("pbctl", "policy", "list", *forwarder, key="forwarder")
    assert FORWARDER in world.run("pbctl", "policy", "list", *forwarder, "--defaults", key="forwarder")
    assert FORWARDER in world.run("pbctl", "policy", "list", "--home-network-net-id", HOME, key="home")
    assert HOME in world.run("pbctl", "policy", "networks", "--net-id", FORWARDER, key="forwarder")
    world.run("pbctl", "policy", "delete", *forwarder, "--defaults", key="forwarder")
    world.run("pbctl", "policy", "get", *forwarder, "--defaults", key="forwarder", ok=False)
    world.run("pbctl", "policy", "set", "--forwarder-net-id", HOME, "--defaults", "--set-uplink", "J", key="forwarder", ok=False)


def first_arrives(world, subscription, phy, forwarder):
    """Publish until the subscription, which stands soon after its program has started, has it."""
    world.run("pbpub", *forwarder, key="forwarder", stdin=uplink_json(phy))
    return subscription.messages()


def test_3_traffic(world):
    forwarder, home = ["--forwarder-net-id", FORWARDER], ["--home-network-net-id", HOME]
    group = [world.subscribe(*home, "--group", "g", key="home") for _ in range(2)]
    down = world.subscribe(*forwarder, "--group", "g", key="forwarder")
    try:
        warm_up = data_frame(BLOCK | 9, mtype=CONFIRMED_UP)
        wait_until(lambda: [m for s in group for m in first_arrives(world, s, warm_up, forwarder)], 60, "the subscription")
        wait_until(lambda: first_arrives(world, group[0], warm_up, forwarder) and group[1].messages(), 60, "both streams")
        frames = [data_frame(BLOCK | 5, f_cnt=n) for n in range(20)]
        text = "".join(uplink_json(phy, snake=n % 2 == 1) for n, phy in enumerate(frames))
        output = world.run("pbpub", *forwarder, key="forwarder", stdin=text)

        def arrived():
            found = [m for s in group for m in s.messages()]
            return [m for m in found if base64.b64decode(m["message"]["phyPayload"]["plain"]) != warm_up]
        got = wait_until(lambda: len(arrived()) >= 20 and arrived(), 60, "the uplinks")
        assert sorted(base64.b64decode(m["message"]["phyPayload"]["plain"]) for m in got) == sorted(frames)
        assert all(m["message"]["gatewayUplinkToken"] == "AQID" and m["message"]["forwarderUplinkToken"] == "BAUG" for m in got)
        assert all(m["message"]["dataRate"]["lora"]["spreadingFactor"] == 7 for m in got)
        assert len(set(m["id"] for m in got)) == 20 and all(m["id"] in output for m in got)
        downlink = {"phyPayload": base64.b64encode(data_frame(BLOCK | 5, mtype=UNCONFIRMED_DOWN)).decode(),
                    "gatewayUplinkToken": got[0]["message"]["gatewayUplinkToken"], "region": "EU_863_870", "rx1Delay": "5s",
                    "rx1": {"frequency": "868100000", "dataRateIndex": 5}, "class": "CLASS_A", "priority": "HIGHEST"}
        wait_until(lambda: world.run("pbpub", *home, *forwarder, key="home", stdin=json.dumps(downlink)) and down.messages(), 60,
                   "the downlink")
        back = down.messages()[0]
        assert back["message"]["phyPayload"] == downlink["phyPayload"] and back["message"]["rx1Delay"] == "5s"
        assert back["message"]["rx1"]["dataRate"]["lora"]["bandwidth"] == 125000
        report = {"id": got[0]["id"], "homeNetworkNetId": int(HOME, 16), "forwarderNetId": int(FORWARDER, 16),
                  "state": "PROCESSED", "error": {"value": "NOT_FOUND"}}
        world.run("pbpub", *home, "--message-type", "message-delivery-state", key="home", stdin=json.dumps(report))
        report = {"id": back["id"], "homeNetworkNetId": int(HOME, 16), "forwarderNetId": int(FORWARDER, 16),
                  "state": "PROCESSED", "success": {"rx1": True}}
        world.run("pbpub", *forwarder, "--message-type", "message-delivery-state", key="forwarder", stdin=json.dumps(report))
    finally:
        for subscription in [*group, down]:
            subscription.close()


def test_4_join_request(world):
    """To a subscriber whose filter names the EUIs. The filters of pbsub name none, so this one subscribes by itself."""
    exchange, forwarder = world.exchange, ["--forwarder-net-id", FORWARDER]
    key = exchange.pb.v3.NetworkAPIKey(key_id=world.keys["home"][0], key=world.keys["home"][1])
    member = Member(exchange, key, int(HOME, 16), "", "")
    v3 = exchange.pb.v3
    stream = member.subscribe_home("join", [v3.RoutingFilter(join_request=v3.RoutingFilter.JoinRequest(eui_prefixes=[
        v3.RoutingFilter.JoinRequest.EUIPrefixes(join_eui=int(JOIN_EUI, 16), join_eui_length=64)]))])
    phy = join_request(int(JOIN_EUI, 16), int(DEV_EUI, 16))
    world.run("pbpub", *forwarder, key="forwarder", stdin=uplink_json(phy))
    assert stream.next().message.phy_payload.plain == phy
    stream.close()


def test_5_bad_input(world):
    forwarder = ["--forwarder-net-id", FORWARDER]
    assert "InvalidArgument" in world.run("pbpub", *forwarder, key="forwarder", ok=False, stdin="{}")
    world.run("pbadmin", "network", "create", "--net-id", HOME, admin=True, ok=False)
    assert "PermissionDenied" in world.run("pbpub", "--forwarder-net-id", HOME, key="forwarder", ok=False,
                                           stdin=uplink_json(data_frame(BLOCK)))
