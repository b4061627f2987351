"""Every command of the help texts of the four Packet Broker clients, with what their output is fixed to: run with the clients
themselves, when they can be had, and with lpx under their names. With the clients, lpx must print the same words."""
import json
import re
import shutil

import pytest
from go_clients import Unavailable, build_own, build_real, link_lpx
from harness.exchange import Exchange, wait_until
from harness.frames import data_frame
from test_go_members import World, uplink_json

FORWARDER, HOME, SPARE = "000013", "C00042", "C00123"
BLOCK = 0xFC010800  # of C00042
FORWARDER_RIGHTS = ("READ_NETWORK,READ_JOIN_SERVER,READ_ROUTING_POLICY,WRITE_ROUTING_POLICY,READ_GATEWAY_VISIBILITY,"
                    "WRITE_GATEWAY_VISIBILITY,READ_TRAFFIC,WRITE_TRAFFIC,READ_REPORT,READ_ROUTE_TABLE")


class Pair(World):
    """The programs under test, and lpx beside them."""

    def __init__(self, exchange, clients, lpx):
        super().__init__(exchange, clients)
        self.lpx = lpx
        config = exchange.folder / ".pb.yaml"
        config.unlink(missing_ok=True)

    def out(self, name, *words, **more):
        return self.run(name, *words, **more)

    def same(self, name, *words, **more):
        """Output of a reading command; that of lpx must be the same but for space."""
        got = self.run(name, *words, **more)
        if self.lpx != self.clients:
            theirs, self.clients = self.clients, self.lpx
            try:
                ours = self.run(name, *words, **more)
            finally:
                self.clients = theirs
            assert got.split() == ours.split(), f"{name} {' '.join(words)}"
        return got

    def header(self, name, *words, **more):
        return re.split(r" {2,}", self.same(name, *words, **more).splitlines()[0].strip())


@pytest.fixture(scope="module", params=["real", "lpx"])
def pair(request, build, pb, tmp_path_factory):
    lpx = link_lpx(build)
    try:
        clients = build_real(build) if request.param == "real" else lpx
    except Unavailable as why:
        pytest.skip(f"real clients: {why}")
    exchange = Exchange(build, pb, tmp_path_factory.mktemp("commands"))
    exchange.start()
    yield Pair(exchange, clients, lpx)
    exchange.stop()


def key_of(output):
    return re.search(r"Key ID:\s+(\S+)", output)[1], re.search(r"Secret Key:\s+(\S+)", output)[1]


def test_1_networks(pair):
    create = ["network", "create", "--net-id"]
    pair.out("pbadmin", *create, FORWARDER, "--name", "The Things Network", "--listed", admin=True)
    pair.out("pbadmin", *create, HOME, "--name", "Home", "--dev-addr-blocks", f"{BLOCK:08X}/23=eu1,{BLOCK + 0x200:08X}/23=eu2",
             "--target-protocol", "TS002_V1_0", "--target-address", "https://user:pass@example.com", "--admin-name", "Ann",
             "--admin-email", "ann@example.com", "--tech-name", "Tim", "--tech-url", "https://example.com", admin=True)
    pair.out("pbadmin", "nwk", "create", "--net-id", SPARE, "--delegated-net-id", HOME, admin=True)
    assert pair.header("pbadmin", "networks", "ls", admin=True) == ["NetID", "Authority", "Name", "DevAddr Blocks", "Listed",
                                                                    "Target", "Delegated NetID"]
    row = next(line for line in pair.out("pbadmin", "n", "list", "--name-contains", "Home", admin=True).splitlines() if HOME in line)
    assert f"{BLOCK:08X}/23 (eu1), +1" in row and "TS002_V1_0: https://example.com (with HTTP basic auth)" in row and " No " in row
    got = pair.same("pbadmin", "network", "get", "--net-id", HOME, admin=True)
    assert re.search(r"NetID: +C00042", got) and "ann@example.com" in got and "pass" not in got.replace("https://", "")
    assert "pass" in pair.same("pbadmin", "network", "get", "--net-id", HOME, "--verbose", admin=True)
    silent = [["up", "--net-id", FORWARDER, "--name", "TTN", "--listed=false"], ["update", "--net-id", SPARE, "--unset-delegated-net-id"],
              ["update", "--net-id", HOME, "--dev-addr-blocks-remove", f"{BLOCK + 0x200:08X}/23"],
              ["update", "--net-id", HOME, "--dev-addr-blocks-add", f"{BLOCK + 0x200:08X}/23=eu2"],
              ["update", "target", "--net-id", HOME, "--hns-path", "/hns", "--origin-net-id", FORWARDER, "--authorization", "Key x"],
              ["delete", "target", "--net-id", HOME], ["rm", "--net-id", SPARE]]
    for words in silent:
        assert pair.out("pbadmin", "network", *words, admin=True) == "", words
    pair.out("pbadmin", "network", "get", "--net-id", SPARE, admin=True, ok=False)


def test_2_tenants(pair):
    tenant = ["--net-id", FORWARDER, "--tenant-id", "tenant-a"]
    pair.out("pbadmin", "network", "tenant", "create", *tenant, "--name", "Tenant A", "--dev-addr-blocks",
             "26AA0000/16,26BB0000/16", admin=True)
    words = ["pbadmin", "network", "tnts", "list", "--net-id", FORWARDER, "--id-contains", "tenant"]
    assert pair.header(*words, admin=True) == ["NetID", "Tenant ID", "Authority", "Name", "DevAddr Blocks", "Listed", "Target"]
    assert "26AA0000/16, +1" in pair.out(*words, admin=True)
    assert "Tenant A" in pair.same("pbadmin", "network", "tenant", "get", *tenant, admin=True)
    for words in (["update", *tenant, "--listed", "--name", "A"], ["update", "target", *tenant, "--protocol", "TS002_V1_1",
                                                                   "--address", "https://t.example.com", "--pb-token"]):
        assert pair.out("pbadmin", "network", "tenant", *words, admin=True) == ""


def test_3_keys(pair):
    made = pair.out("pbadmin", "network", "apikey", "create", "--net-id", FORWARDER, "--rights", FORWARDER_RIGHTS, admin=True)
    pair.keys["forwarder"] = key_of(made)
    pair.keys["home"] = key_of(pair.out("pbadmin", "network", "key", "create", "--net-id", HOME, "--rights", FORWARDER_RIGHTS,
                                        admin=True))
    assert re.search(r"State: +APPROVED", made)
    header = pair.header("pbadmin", "network", "keys", "list", "--net-id", HOME, admin=True)
    assert header == ["Key ID", "NetID", "Tenant ID", "Cluster ID", "Rights", "State", "Last Used"]
    spare = key_of(pair.out("pbadmin", "network", "apikey", "create", "--net-id", FORWARDER, "--tenant-id", "tenant-a", "--cluster-id",
                            "eu1", admin=True))[0]
    for state in ("REJECTED", "APPROVED", "REQUESTED"):
        assert pair.out("pbadmin", "network", "apikey", "update-state", "--key-id", spare, "--state", state, admin=True) == ""
        assert state in pair.out("pbadmin", "network", "apikey", "list", "--net-id", FORWARDER, "--cluster-id", "eu1", admin=True)
    assert pair.out("pbadmin", "network", "apikey", "rm", "--key-id", spare, admin=True) == ""
    cluster = key_of(pair.out("pbadmin", "cluster", "apikey", "create", "--cluster-id", "eu1", "--rights",
                              "READ_ROUTING_POLICY,READ_ROUTE_TABLE,READ_TARGET_AUTH", admin=True))[0]
    assert pair.header("pbadmin", "c", "keys", "ls", admin=True) == ["Key ID", "ClusterID", "Rights", "State", "Last Used"]
    assert pair.out("pbadmin", "cluster", "apikey", "update-state", "--key-id", cluster, "--state", "REJECTED", admin=True) == ""
    assert pair.out("pbadmin", "cluster", "apikey", "delete", "--key-id", cluster, admin=True) == ""


def test_4_join_servers(pair):
    made = pair.out("pbadmin", "join-server", "create", "--join-eui-prefixes", "EC656E0000000000/24", "--name", "JS", "--listed",
                    "--fixed-net-id", HOME, admin=True)
    number = re.search(r"ID: +(\d+)", made)[1]
    assert pair.header("pbadmin", "js", "ls", "--name-contains", "JS", admin=True)[:4] == ["ID", "Name", "JoinEUI Prefixes", "Listed"]
    pair.out("pbadmin", "join-servers", "get", "--id", number, admin=True)
    assert pair.out("pbadmin", "join-server", "update", "--id", number, "--name", "JS 1", admin=True) == ""
    assert pair.out("pbadmin", "join-server", "update", "target", "--id", number, "--lookup-protocol", "TS002_V1_0",
                    "--lookup-address", "https://js.example.com", admin=True) == ""
    assert pair.header("pbctl", "catalog", "join-servers", key="home") == ["ID", "Name", "JoinEUI Prefixes"]
    assert "EC656E0000000000/24" in pair.same("pbctl", "cat", "js", "--name-contains", "JS", key="home")
    assert pair.out("pbadmin", "join-server", "delete", "--id", number, admin=True) == ""


def test_5_catalog_policies_visibility(pair):
    forwarder, pairing = ["--forwarder-net-id", FORWARDER], ["--forwarder-net-id", FORWARDER, "--home-network-net-id", HOME]
    pair.out("pbadmin", "network", "update", "--net-id", HOME, "--listed", admin=True)
    columns = ["NetID", "Tenant ID", "Name", "DevAddr Blocks"]
    assert pair.header("pbctl", "catalog", "networks", "--net-id", FORWARDER, key="forwarder") == columns
    assert HOME in pair.same("pbctl", "catalog", "hns", "--net-id", FORWARDER, "--name-contains", "Home", key="forwarder")
    out = pair.out("pbctl", "policy", "set", *forwarder, "--defaults", "--set-uplink", "JM", "--set-downlink", "J", key="forwarder")
    assert out.splitlines()[0].split() == ["Forwarder", *"JMASLJMA"] and out.count("▲") == 2 and out.count("▼") == 1
    out = pair.out("pbctl", "po", "set", *pairing, "--set-uplink", "JMASL", "--set-downlink", "--JMA", key="forwarder")
    assert out.splitlines()[0].split() == ["Forwarder", "Home", "Network", *"JMASLJMA"] and out.count("▲") == 5
    for words, key in ((["list", *forwarder], "forwarder"), (["ls", *forwarder, "--defaults"], "forwarder"),
                       (["get", *pairing], "forwarder"), (["get", *forwarder, "--defaults"], "forwarder"),
                       (["list", "--home-network-net-id", HOME], "home")):
        assert FORWARDER in pair.same("pbctl", "policy", *words, key=key)
    assert pair.header("pbctl", "policy", "networks", "--net-id", FORWARDER, key="forwarder") == columns
    assert pair.out("pbctl", "policy", "rm", *forwarder, "--defaults", key="forwarder") == ""
    pair.out("pbctl", "policy", "get", *forwarder, "--defaults", key="forwarder", ok=False)
    out = pair.out("pbctl", "gateway-visibility", "set", *pairing, "--set", "LoFp", key="forwarder")
    assert out.splitlines()[0].split()[-8:] == ["Lo", "Ap", "Ac", "Ft", "Ci", "St", "Fp", "Pr"] and out.split().count("x") == 2
    assert HOME in pair.same("pbctl", "gwvis", "get", *pairing, key="forwarder")
    assert pair.out("pbctl", "gwvis", "rm", *pairing, key="forwarder") == ""
    pair.out("pbctl", "gwvis", "get", *pairing, key="forwarder", ok=False)
    assert "DevAddr Prefix" in pair.out("pbctl", "route", key="home")
    assert pair.header("pbctl", "targets", key="home") == ["NetID", "Tenant ID", "Target"]


def test_6_traffic_and_reports(pair):
    home = pair.subscribe("--home-network-net-id", HOME, "--group", "debug", key="home")
    words = ["report", "routed-messages", "--net-id", FORWARDER, "--last-30d"]
    try:
        def arrived():
            output = pair.out("pbpub", "--forwarder-net-id", FORWARDER, "--forwarder-cluster-id", "eu1", key="forwarder",
                              stdin=uplink_json(data_frame(BLOCK | 5)))
            assert "Published" in output
            return home.messages()
        assert wait_until(arrived, 60, "the uplink")[0]["forwarderClusterId"] == "eu1"
        record = wait_until(lambda: re.search(r"\{.*\}", pair.out("pbctl", *words, key="forwarder"), re.S), 60, "the report")[0]
        assert json.JSONDecoder().raw_decode(record)[0]["forwarderNetId"] == int(FORWARDER, 16)
        rows = pair.out("pbctl", *words, "-f", "csv", key="forwarder").splitlines()
        assert rows[0].split(",")[:2] == ["date", "forwarder_net_id"] and len(rows[0].split(",")) == 49
        assert "digraph" in pair.out("pbctl", "reports", "routedmsgs", "--forwarder-net-id", FORWARDER, "--home-network-net-id", HOME,
                                     "--today", "-f", "dot", key="forwarder")
        if shutil.which("dot"):
            path = pair.exchange.folder / "report.svg"
            pair.out("pbctl", *words, "-f", "svg", "-o", str(path), key="forwarder")
            assert "<svg" in path.read_text()
        pair.out("pbctl", "report", "routed-messages", "--net-id", FORWARDER, key="forwarder", ok=False)  # of which time?
    finally:
        home.close()


def test_7_extras(pair):
    folder = pair.exchange.folder
    for name in ("pbadmin", "pbctl", "pbpub", "pbsub"):
        assert "--config" in pair.out(name, "--help")
        pair.out(name, "gen", "hugodoc", "--out", str(folder / f"{name}-doc"))
        assert len(list((folder / f"{name}-doc").glob("*.md"))) >= 1
        pair.out(name, "gen", "tree", "--out", str(folder / f"{name}.tree"))
        assert (folder / f"{name}.tree").stat().st_size > 100
        pair.out(name, "--no-such-flag", ok=False)
    out = pair.out("pbadmin", "network", "init", "--net-id", FORWARDER, "--tenant-id", "tenant-a", "--router-address", "router.example.com")
    assert re.search(r"API Key State: +REQUESTED", out) and re.search(r"Router Address: +router.example.com", out)
    config = (folder / ".pb.yaml").read_text()
    assert "client-id" in config and "client-secret" in config and "router.example.com" in config


# ---- a second client of the new methods: grpc-go and Go's protojson ----

METHODS = [  # what is asked, by whom
    ("org.packetbroker.iam.v2.Catalog/ListNetworks", {"netId": int(FORWARDER, 16)}, "forwarder"),
    ("org.packetbroker.iam.v2.Catalog/ListHomeNetworks", {"netId": int(FORWARDER, 16)}, "forwarder"),
    ("org.packetbroker.iam.v2.Catalog/ListJoinServers", {}, "forwarder"),
    ("org.packetbroker.iam.v2.JoinServerRegistry/ListJoinServers", {}, None),
    ("org.packetbroker.iam.v2.ClusterAPIKeyVault/ListAPIKeys", {}, None),
    ("org.packetbroker.routing.v2.Routes/ListUplinkRoutes", {}, "home"),
    ("org.packetbroker.routing.v2.Routes/ListJoinRequestRoutes", {}, "home"),
    ("org.packetbroker.routing.v2.Routes/ListNetworkTargets", {}, "home"),
    ("org.packetbroker.mapping.v2.GatewayVisibilityManager/GetDefaultVisibility", {"forwarderNetId": int(FORWARDER, 16)}, "forwarder"),
    ("org.packetbroker.reporting.v1.Reporter/GetRoutedMessages", {"forwarderNetId": int(FORWARDER, 16), "today": {}}, "forwarder"),
    ("lpx.routing.v1.HomeNetworkSettingsManager/GetSettings", {"homeNetworkNetId": int(HOME, 16)}, "home"),
]


def without_nulls(value):
    """Go prints unset submessages as null, `lpx call` leaves them out."""
    if isinstance(value, dict):
        return {name: without_nulls(member) for name, member in value.items() if member is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def test_8_a_second_client_reads_the_same(pair, build):
    try:
        go = build_own(build)
    except Unavailable as why:
        pytest.skip(f"own Go programs: {why}")
    pair.out("pbctl", "gwvis", "set", "--forwarder-net-id", FORWARDER, "--defaults", "--set", "LoSt", key="forwarder")
    lpx, theirs = pair.lpx, pair.clients
    try:
        pair.clients = lpx
        pair.run("lpx", "settings", "set", "--net-id", HOME, "--deny-forwarders", "000013/ten/eu1", "--max-copies", "2",
                 "--copies-window", "10s", key="home")
        pair.run("lpx", "join-server", "create", "--name", "JS", "--listed", "--join-eui-prefixes", "EC656E0000000000/24",
                 "--fixed-net-id", HOME, admin=True)
        for method, request, key in METHODS:
            pair.clients = go
            wanted = pair.run("call", "--name", method, stdin=json.dumps(request), key=key, admin=key is None)
            pair.clients = lpx
            got = pair.run("lpx", "call", method, json.dumps(request), key=key, admin=key is None)
            assert json.loads(got) == without_nulls(json.loads(wanted)), method
    finally:
        pair.clients = theirs
