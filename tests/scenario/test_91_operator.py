"""Commands of an operator: networks, tenants, keys, clusters, Join Servers, authorities, health, any method; in every form."""
import csv
import io
import json
import re

import pytest

NETWORK, OTHER = "C000D0", "C000D1"
BLOCK = 0xFC034000


@pytest.fixture(scope="module")
def lpx(shared_exchange):
    run = shared_exchange.run_lpx
    run("network", "create", "--net-id", NETWORK, "--name", "Operator, \"A\"", "--listed", "--dev-addr-blocks",
        f"{BLOCK:08X}/23=eu1", "--target-protocol", "TS002_V1_0", "--target-address", "https://user:hush@example.com",
        "--admin-name", "Ann", "--admin-email", "ann@example.com")
    return run


def as_json(result):
    return json.loads(result.stdout)


def as_csv(result):
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_forms_of_a_list(lpx):
    table = lpx("network", "list", "--name-contains", "Operator").stdout.splitlines()
    assert table[0].split()[:2] == ["NetID", "Authority"] and table[1].startswith(NETWORK) and len(table) == 2
    found = as_json(lpx("network", "list", "--name-contains", "Operator", "--output", "json"))
    assert [n["netId"] for n in found] == [int(NETWORK, 16)] and found[0]["devAddrBlocks"][0]["homeNetworkClusterId"] == "eu1"
    assert "hush" not in json.dumps(found) and found[0]["target"]["basicAuth"]["username"] == "user"
    rows = as_csv(lpx("network", "list", "--name-contains", "Operator", "--output=csv"))
    assert rows[0]["NetID"] == NETWORK and rows[0]["Name"] == "Operator, \"A\"" and rows[0]["Listed"] == "Yes"
    assert as_json(lpx("network", "list", "--name-contains", "nobody has this", "--output", "json")) == []


def test_forms_of_one(lpx):
    assert "hush" not in lpx("network", "get", "--net-id", NETWORK, "--output", "json").stdout
    verbose = as_json(lpx("network", "get", "--net-id", NETWORK, "--output", "json", "--verbose"))
    assert verbose["target"]["basicAuth"]["password"] == "hush"
    row = as_csv(lpx("network", "get", "--net-id", NETWORK, "--output", "csv"))[0]
    assert row["DevAddr Blocks"] == f"{BLOCK:08X}/23=eu1" and row["Administrator Email"] == "ann@example.com"


def test_the_four_know_no_forms(lpx):
    for name, words in (("pbadmin", ["network", "list"]), ("pbctl", ["route"])):
        result = lpx(*words, "--output", "json", name=name, check=False)
        assert result.returncode == 1 and "unknown flag --output" in result.stderr


def test_blocks_that_were_cut(lpx):
    created = lpx("network", "tenant", "create", "--net-id", NETWORK, "--tenant-id", "greedy", "--dev-addr-blocks", "00000000/0")
    assert f"cut to the addresses of the NetID; stored: {BLOCK:08X}/22" in created.stderr
    updated = lpx("network", "tenant", "update", "--net-id", NETWORK, "--tenant-id", "greedy", "--dev-addr-blocks", "00000000/0")
    assert f"stored: {BLOCK:08X}/22" in updated.stderr and updated.stdout == ""
    inside = lpx("network", "tenant", "update", "--net-id", NETWORK, "--tenant-id", "greedy", "--dev-addr-blocks", f"{BLOCK:08X}/24")
    assert inside.stderr == ""
    lpx("network", "tenant", "delete", "--net-id", NETWORK, "--tenant-id", "greedy")


def test_tenant(lpx):
    tenant = ["--net-id", NETWORK, "--tenant-id", "tenant-a"]
    assert "tenant-a" in lpx("network", "tenant", "create", *tenant, "--name", "Tenant A", "--dev-addr-blocks",
                             f"{BLOCK:08X}/24").stdout
    lpx("networks", "tnt", "up", *tenant, "--dev-addr-blocks-add", f"{BLOCK + 0x100:08X}/24=eu2")
    lpx("network", "tenant", "update", "target", *tenant, "--protocol", "TS002_V1_1", "--address", "https://t.example.com")
    got = as_json(lpx("network", "t", "get", *tenant, "--output", "json"))
    assert len(got["devAddrBlocks"]) == 2 and got["target"]["protocol"] == "TS002_V1_1"
    assert as_csv(lpx("network", "tenants", "ls", "--net-id", NETWORK, "--output", "csv"))[0]["Tenant ID"] == "tenant-a"
    lpx("network", "tenant", "delete", "target", *tenant)
    assert "target" not in as_json(lpx("network", "tenant", "get", *tenant, "--output", "json"))
    lpx("network", "tenant", "rm", *tenant)
    assert lpx("network", "tenant", "get", *tenant, check=False).returncode == 3


@pytest.mark.parametrize("words, owner", [(["network"], ["--net-id", NETWORK]), (["cluster"], ["--cluster-id", "operator-test"])])
def test_keys(lpx, words, owner):
    made = as_json(lpx(*words, "apikey", "create", *owner, "--rights", "READ_NETWORK", "--output", "json"))
    assert re.fullmatch("[A-Z2-7]{16}", made["keyId"]) and len(made["key"]) >= 32 and made["state"] == "APPROVED"
    chosen = lpx(*words, "apikey", "create", *owner, "--prompt-key", stdin="a-secret-of-my-own-choice-0123456789\n").stdout
    assert "a-secret-of-my-own-choice-0123456789" in chosen
    listed = as_csv(lpx(*words, "keys", "ls", *owner, "--output", "csv"))
    assert made["keyId"] in [row["Key ID"] for row in listed] and {row["Last Used"] for row in listed} == {"never"}
    lpx(*words, "apikey", "update-state", "--key-id", made["keyId"], "--state", "REJECTED")
    states = {k["keyId"]: k["state"] for k in as_json(lpx(*words, "apikey", "list", *owner, "--output", "json"))}
    assert states[made["keyId"]] == "REJECTED"
    lpx(*words, "key", "rm", "--key-id", made["keyId"])
    assert made["keyId"] not in lpx(*words, "apikey", "list", *owner).stdout
    assert lpx(*words, "apikey", "update-state", "--key-id", made["keyId"], "--state", "APPROVED", check=False).returncode == 3


def test_join_server(lpx):
    made = lpx("join-server", "create", "--join-eui-prefixes", "EC656E0000000000/24,EC656F0000000000/24", "--name", "JS one",
               "--listed", "--fixed-net-id", NETWORK, "--fixed-cluster-id", "eu1", "--tech-email", "js@example.com").stdout
    number = re.search(r"^ID:\s+(\d+)", made, re.M)[1]
    assert re.search(rf"Fixed NetID:\s+{NETWORK}", made) and "EC656F0000000000/24" in made
    row = next(r for r in as_csv(lpx("js", "ls", "--name-contains", "JS", "--output", "csv")) if r["ID"] == number)
    assert row == {"ID": number, "Name": "JS one", "JoinEUI Prefixes": "EC656E0000000000/24, EC656F0000000000/24",
                   "Listed": "Yes", "Resolver": f"{NETWORK}@eu1"}
    lpx("join-server", "update", "--id", number, "--name", "JS two", "--listed=false", "--join-eui-prefixes",
        "EC656E0000000000/24")
    lpx("join-server", "update", "target", "--id", number, "--lookup-protocol", "TS002_V1_0", "--lookup-address",
        "https://js:hush@js.example.com")
    got = as_json(lpx("join-server", "get", "--id", number, "--output", "json"))
    assert got["name"] == "JS two" and not got["listed"] and len(got["joinEuiPrefixes"]) == 1
    assert got["lookup"]["address"] == "https://js.example.com" and "hush" not in json.dumps(got)
    lpx("join-server", "update", "target", "--id", number, "--lookup-sns-path", "/sns")  # what no flag names stays
    got = as_json(lpx("join-server", "get", "--id", number, "--output", "json", "--verbose"))
    assert got["lookup"]["sNsPath"] == "/sns" and got["lookup"]["basicAuth"]["password"] == "hush"
    assert "hush" in lpx("join-server", "get", "--id", number, "--verbose").stdout
    lpx("join-servers", "rm", "--id", number)
    assert lpx("join-server", "get", "--id", number, check=False).returncode == 3


def test_authority(lpx):
    lpx("network", "create", "--net-id", OTHER, "--name", "Other")
    lpx("authority", "set", "--net-id", OTHER, "--authority", "account-server")
    row = as_csv(lpx("network", "list", "--name-contains", "Other", "--output", "csv"))[0]
    assert row["Authority"] == "account-server"
    lpx("authority", "set", "--net-id", OTHER, "--authority", "")
    assert as_csv(lpx("network", "list", "--name-contains", "Other", "--output", "csv"))[0]["Authority"] == ""
    lpx("network", "delete", "--net-id", OTHER)


def test_health(lpx, shared_exchange):
    rows = as_csv(lpx("health", "--output", "csv"))
    assert [r["State"] for r in rows] == ["SERVING"] * 5 + ["READY"], rows
    result = lpx("health", "--reports-address", "127.0.0.1:9", "--ready-url", "", check=False)
    assert result.returncode == 6 and "1 of the checks" in result.stderr and "UNAVAILABLE" in result.stdout
    assert lpx("health", "--ready-url", f"http://127.0.0.1:{shared_exchange.metrics_port}/nothing", check=False).returncode == 6


def test_call(lpx):
    got = as_json(lpx("call", "NetworkRegistry/GetNetwork", json.dumps({"netId": int(NETWORK, 16)})))
    assert got["network"]["name"] == "Operator, \"A\""
    got = as_json(lpx("call", "/org.packetbroker.iam.v1.NetworkRegistry/GetNetwork", "-",
                      stdin=json.dumps({"net_id": int(NETWORK, 16)})))
    assert got["network"]["netId"] == int(NETWORK, 16)
    assert lpx("call", "GetNetwork", '{"netId": 13}', check=False).returncode == 3
    result = lpx("call", "GetNetwork", '{"netID": 13}', check=False)
    assert result.returncode == 2 and "netId" in result.stderr


def test_init_without_credentials(lpx, shared_exchange, tmp_path):
    """The documented way in: no credentials, a key that waits for the operator."""
    config = tmp_path / "member.yaml"
    env = {"LPX_DATA_DIR": str(tmp_path), "PB_CA_FILE": str(shared_exchange.ca_file)}
    out = lpx("network", "init", "--net-id", NETWORK, "--cluster-id", "eu1", "--config", str(config), env=env,
              name="pbadmin").stdout
    names = [line.split(":")[0] for line in out.splitlines()]
    assert names == ["NetID", "Tenant ID", "Cluster ID", "IAM Address", "Control Plane Address", "Router Address", "API Key ID",
                     "API Secret Key", "API Key Rights", "API Key State"]
    key = re.search(r"API Key ID:\s+(\S+)", out)[1]
    assert re.search(r"API Key State:\s+REQUESTED", out) and key in config.read_text()
    assert config.stat().st_mode & 0o777 == 0o600
    words = ["network", "get", "--net-id", NETWORK, "--config", str(config)]
    assert lpx(*words, env=env, check=False).returncode == 4
    lpx("network", "apikey", "update-state", "--key-id", key, "--state", "APPROVED")
    assert "Operator" in lpx(*words, env=env).stdout
