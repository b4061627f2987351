"""Commands of members: catalog, policies, visibility, routes, targets, settings, gateways, reports."""
import base64
import csv
import io
import json
import re
import shutil

import pytest
from harness.exchange import wait_until
from harness.frames import data_frame
from harness.members import Admin, Member

FORWARDER, HOME = "C000B0", "C000B1"
BLOCK = 0xFC02C400
RIGHTS = ("READ_NETWORK,READ_JOIN_SERVER,READ_ROUTING_POLICY,WRITE_ROUTING_POLICY,READ_GATEWAY_VISIBILITY,"
          "WRITE_GATEWAY_VISIBILITY,READ_TRAFFIC,WRITE_TRAFFIC,READ_REPORT,READ_ROUTE_TABLE")


class World:
    def __init__(self, exchange):
        self.exchange, self.keys = exchange, {}
        run = exchange.run_lpx
        run("network", "create", "--net-id", FORWARDER, "--name", "Forwarder", "--listed")
        run("network", "create", "--net-id", HOME, "--name", "Home", "--listed", "--dev-addr-blocks", f"{BLOCK:08X}/22=eu1",
            "--target-protocol", "TS002_V1_0", "--target-address", "https://hns.example.com")
        for net_id in (FORWARDER, HOME):
            out = run("network", "apikey", "create", "--net-id", net_id, "--rights", RIGHTS).stdout
            self.keys[net_id] = {"PB_CLIENT_ID": re.search(r"Key ID:\s+(\S+)", out)[1],
                                 "PB_CLIENT_SECRET": re.search(r"Secret Key:\s+(\S+)", out)[1]}

    def run(self, who, *words, **more):
        return self.exchange.run_lpx(*words, env=self.keys[who], **more)

    def json(self, who, *words):
        return json.loads(self.run(who, *words, "--output", "json").stdout)

    def csv(self, who, *words):
        return list(csv.DictReader(io.StringIO(self.run(who, *words, "--output", "csv").stdout)))


@pytest.fixture(scope="module")
def world(shared_exchange):
    return World(shared_exchange)


def test_catalog(world):
    rows = world.csv(FORWARDER, "catalog", "networks", "--net-id", FORWARDER, "--name-contains", "Home")
    assert {"NetID": HOME, "Tenant ID": "-", "Name": "Home", "DevAddr Blocks": f"{BLOCK:08X}/22 (eu1)"} in rows
    found = world.json(FORWARDER, "cat", "hns", "--net-id", FORWARDER)
    nets = [entry["network"]["netId"] for entry in found if "network" in entry]
    assert int(HOME, 16) in nets and int(FORWARDER, 16) not in nets
    world.exchange.run_lpx("js", "create", "--name", "Catalog JS", "--listed", "--join-eui-prefixes", "EC65700000000000/24")
    assert "Catalog JS" in world.run(FORWARDER, "catalog", "js", "--name-contains", "Catalog").stdout


def test_policies(world):
    pair = ["--forwarder-net-id", FORWARDER, "--home-network-net-id", HOME]
    got = world.json(FORWARDER, "policy", "set", *pair, "--set-uplink", "JMA", "--set-downlink", "J")
    assert got["uplink"]["joinRequest"] and not got["uplink"]["signalQuality"] and not got["downlink"]["macData"]
    row = world.csv(HOME, "policy", "list", "--home-network-net-id", HOME)
    assert [r for r in row if r["Forwarder NetID"] == FORWARDER][0]["Uplink A"] == "x"
    assert "Home" in world.run(FORWARDER, "po", "ns", "--net-id", FORWARDER).stdout
    result = world.run(FORWARDER, "policy", "set", *pair, "--set-uplink", "JX", check=False)
    assert result.returncode == 2 and "JMASL" in result.stderr
    out = world.run(FORWARDER, "policy", "set", *pair, "--set-uplink", "JMASL", "--set-downlink", "--JMA", name="pbctl").stdout
    assert out.count("▲") == 5 and out.count("▼") == 3  # letters are searched in the text, as ever
    world.run(FORWARDER, "policy", "rm", *pair)
    assert world.run(FORWARDER, "policy", "get", *pair, check=False).returncode == 3


def test_walks_over_pages(world):
    """More than a page, by time of change and by offset."""
    member = Member(world.exchange, world.exchange.pb.v3.NetworkAPIKey(key_id=world.keys[FORWARDER]["PB_CLIENT_ID"],
                                                                      key=world.keys[FORWARDER]["PB_CLIENT_SECRET"]),
                    int(FORWARDER, 16), "", "")
    admin, names = Admin(world.exchange), [f"page-{n:03}" for n in range(105)]
    for name in names:
        admin.create_tenant(int(HOME, 16), name)
        member.set_policy(int(HOME, 16), name, uplink="JM")
    found = world.json(FORWARDER, "policy", "list", "--forwarder-net-id", FORWARDER)
    assert sorted(p["homeNetworkTenantId"] for p in found) == names
    rows = world.csv(HOME, "network", "tenant", "list", "--net-id", HOME, "--id-contains", "page-")
    assert sorted(r["Tenant ID"] for r in rows) == names
    assert len(world.run(FORWARDER, "policy", "networks", "--net-id", FORWARDER, "--id-contains", "page-").stdout.splitlines()) == 106


def test_visibility(world):
    pair, public = ["--forwarder-net-id", FORWARDER, "--home-network-net-id", HOME], ["--forwarder-net-id", FORWARDER, "--defaults"]
    assert world.run(FORWARDER, "gwvis", "get", *public, check=False).returncode == 3
    out = world.run(FORWARDER, "gateway-visibility", "set", *pair, "--set", "LoFp", name="pbctl").stdout.splitlines()
    assert out[0].split() == ["Forwarder", "Home", "Network", "Lo", "Ap", "Ac", "Ft", "Ci", "St", "Fp", "Pr"]
    assert out[1].split() == [FORWARDER, HOME, "x", "x"]
    got = world.json(FORWARDER, "gateway-visibility", "get", *pair)
    assert got["location"] and got["frequencyPlan"] and not got["status"]
    world.run(FORWARDER, "gwvis", "set", *public, "--set", "LoApAcFtCiStFpPr")
    assert world.run(FORWARDER, "gwvis", "get", *public).stdout.split().count("x") == 8
    world.run(FORWARDER, "gwvis", "rm", *pair)
    assert world.run(FORWARDER, "gwvis", "get", *pair, check=False).returncode == 3


def test_routes_and_targets(world):
    got = world.json(HOME, "route")
    mine = [r for r in got["uplinkRoutes"] if r["netId"] == int(HOME, 16)]
    assert mine[0]["prefix"] == {"value": BLOCK, "length": 22} and mine[0]["homeNetworkClusterId"] == "eu1"
    out = world.run(HOME, "ro", name="pbctl").stdout
    assert re.search(rf"{BLOCK:08X}/22 +{HOME} +eu1 +TS002_V1_0: https://hns.example.com", out) and "JoinEUI Prefix" in out
    assert re.search(rf"{HOME} +TS002_V1_0: https://hns.example.com", world.run(HOME, "targets").stdout)


def test_settings(world):
    words = ["--net-id", HOME]
    assert world.run(HOME, "settings", "get", *words, check=False).returncode == 3
    out = world.run(HOME, "settings", "set", *words, "--deny-forwarders", "000013/ten/eu1,C00123", "--max-copies", "3").stdout
    assert re.search(r"Denied Forwarders:\s+000013/ten/eu1,C00123 ", out) and re.search(r"Allowed Forwarders:\s+all", out)
    world.run(HOME, "settings", "set", *words, "--copies-window", "1m30s")  # what no flag names stays
    got = world.json(HOME, "settings", "get", *words)
    assert got["maxCopies"] == 3 and got["copiesWindow"] == "90s" and got["denyForwarders"][0]["clusterId"] == "eu1"
    world.run(HOME, "settings", "delete", *words)
    assert world.run(HOME, "settings", "get", *words, check=False).returncode == 3
    assert world.run(FORWARDER, "settings", "get", *words, check=False).returncode == 4


def publish(world, count=1):
    phy = base64.b64encode(data_frame(BLOCK + 1)).decode()
    message = {"phyPayload": {"plain": phy, "teaser": {"mac": {"devAddr": BLOCK + 1}}}, "gatewayUplinkToken": "AQID",
               "gatewayRegion": "EU_863_870", "dataRateIndex": 5}
    return world.run(FORWARDER, "pub", "--forwarder-net-id", FORWARDER, stdin=json.dumps(message) * count)


def values(text):
    """Concatenated JSON values."""
    out, decoder = [], json.JSONDecoder()
    while text.strip():
        value, end = decoder.raw_decode(text.lstrip())
        out.append(value)
        text = text.lstrip()[end:]
    return out


def test_report(world, tmp_path):
    world.run(FORWARDER, "policy", "set", "--forwarder-net-id", FORWARDER, "--home-network-net-id", HOME, "--set-uplink", "JMASL",
              "--set-downlink", "JMA")
    report = ["report", "routed-messages", "--forwarder-net-id", FORWARDER, "--home-network-net-id", HOME, "--today"]

    def routed():
        publish(world)
        found = values(world.run(FORWARDER, *report).stdout)
        return [r for r in found if "uplink" in r and "downlink" in r]
    record = wait_until(routed, 60, "the report")[0]
    assert record["forwarderNetId"] == int(FORWARDER, 16) and record["to"].endswith("T00:00:00Z")
    rows = list(csv.reader(io.StringIO(world.run(FORWARDER, *report, "-f", "csv", name="pbctl").stdout)))
    assert len(rows) == 2 and len(rows[0]) == len(rows[1]) == 49
    assert rows[1][0] == record["to"][:10] and rows[1][3] == "Forwarder" and rows[1][6] == "Home"
    assert len(world.json(FORWARDER, *report)) == 1
    assert "Forwarder" in world.run(FORWARDER, *report, "--output", "table").stdout
    month = record["to"][:7]
    of_month = values(world.run(FORWARDER, *report[:-1], "--from", month, "--to", month).stdout)
    assert [r["to"][:7] for r in of_month] == [month] and of_month[0]["uplink"]["dataMessagesProcessedErrorCount"]
    assert world.run(FORWARDER, *report[:-1], "--from", "2020-01").stdout == ""
    any_role = world.run(FORWARDER, "reports", "routedmsgs", "--net-id", FORWARDER, "--last-30d", "-fcsv").stdout
    assert len(any_role.splitlines()) == 2
    path = tmp_path / "graph.dot"
    assert world.run(FORWARDER, *report, "--format", "dot", "-o", str(path)).stdout == ""
    assert f"subgraph cluster_{FORWARDER}" in path.read_text() and f'"{FORWARDER}" -> "{HOME}"' in path.read_text()


def test_report_images(world, tmp_path):
    report = ["report", "routed-messages", "--net-id", FORWARDER, "--today", "-f"]
    result = world.exchange.run_lpx(*report, "svg", "-o", str(tmp_path / "none.svg"), check=False,
                                    env={**world.keys[FORWARDER], "PATH": "/nonexistent"})
    assert result.returncode == 1 and "graphviz" in result.stderr and not (tmp_path / "none.svg").exists()
    if shutil.which("dot") is None:
        pytest.skip("images need Graphviz")
    for form, magic in (("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF"), ("ps", b"%!PS")):
        path = tmp_path / f"graph.{form}"
        world.run(FORWARDER, *report, form, "-o", str(path))
        assert path.read_bytes().startswith(magic)
    name = world.run(FORWARDER, *report, "svg").stderr.split()[-1]
    assert re.fullmatch(r"pbreport-\w+\.svg", name) and (world.exchange.folder / name).exists()


def test_gateways(world):
    gateway = ["--forwarder-net-id", FORWARDER, "--gateway-id", "roof/1"]
    world.run(FORWARDER, "gwvis", "set", "--forwarder-net-id", FORWARDER, "--defaults", "--set", "LoApAcFtCiStFpPr")
    world.run(FORWARDER, "gateway", "update", *gateway, "--forwarder-cluster-id", "eu1", "--gateway-eui", "70B3D57ED0001234",
              "--latitude", "45.188", "--longitude=-5.724", "--altitude", "212", "--placement", "OUTDOOR", "--antennas", "2",
              "--online", "--online-ttl", "10m", "--tech-email", "gw@example.com", "--rx-rate", "20")

    def listed():
        return world.csv(HOME, "gateway", "list", "--forwarder-net-id", FORWARDER, "--online")
    row = wait_until(listed, 60, "the gateway on the map")[0]
    assert row["ID"] == "roof/1" and row["EUI"] == "70B3D57ED0001234" and row["Placement"] == "OUTDOOR"
    assert float(row["Latitude"]) == 45.188 and float(row["Longitude"]) == -5.724 and row["Online"] == "Yes"
    assert world.json(HOME, "gw", "ls", "--forwarder-net-id", FORWARDER)[0]["antennaCount"] == 2
    near = ["--latitude", "45.2", "--longitude", "-5.7", "--distance"]
    assert world.csv(HOME, "gateway", "list", "--forwarder-net-id", FORWARDER, *near, "5000")
    assert not world.csv(HOME, "gateway", "list", "--forwarder-net-id", FORWARDER, *near, "500")
    lpx = world.exchange.run_lpx
    assert "roof/1" in lpx("gateway", "list", "--forwarder-net-id", FORWARDER).stdout  # as the administrator
    anybody = {"LPX_DATA_DIR": str(world.exchange.folder), "PB_CA_FILE": str(world.exchange.ca_file)}
    assert "roof/1" in lpx("gateway", "list", "--forwarder-net-id", FORWARDER, env=anybody).stdout  # as the public
    got = world.json(HOME, "gateway", "get", *gateway)
    assert got["technicalContact"]["email"] == "gw@example.com" and got["rxRate"] == 20
    assert re.search(r"location\.latitude:\s+45\.188", world.run(HOME, "gateway", "get", *gateway).stdout)
    result = world.run(HOME, "gateway", "get", "--forwarder-net-id", FORWARDER, "--gateway-id", "x", check=False)
    assert result.returncode == 3 and "status 404: " in result.stderr and "{" not in result.stderr
    world.run(FORWARDER, "gateway", "update", *gateway, "--clear-location", "--online=false")
    wait_until(lambda: not listed(), 60, "the gateway to go")
    result = lpx("gateway", "list", "--mapper-url", "https://127.0.0.1:9/api/v2", check=False)
    assert result.returncode == 5 and "Check --mapper-url" in result.stderr
    result = world.run(HOME, "gateway", "list", "--mapper-url", f"https://127.0.0.1:{world.exchange.http_port}/nothing", check=False)
    assert result.returncode == 3
