"""What became of a message: `lpx trace`, and `lpx test`, which sends one to see."""
import csv
import io
import json
import re
import subprocess

import pytest
from harness.exchange import wait_until
from harness.members import Admin

FORWARDER, HOME = 0xC000C0, 0xC000C1
BLOCK = 0xFC030400
UPLINK = ["test", "uplink", "--forwarder-net-id", f"{FORWARDER:06X}", "--dev-addr"]


class World:
    def __init__(self, exchange):
        admin = Admin(exchange)
        admin.create_network(FORWARDER)
        admin.create_network(HOME, blocks=[(BLOCK, 22)])
        self.exchange = exchange
        self.forwarder, self.home = admin.member(FORWARDER), admin.member(HOME)
        self.forwarder.set_default_policy("JMASL", "JMA")

    def env(self, member):
        return {"PB_CLIENT_ID": member.key.key_id, "PB_CLIENT_SECRET": member.key.key}

    def run(self, member, *words, check=True):
        return self.exchange.run_lpx(*words, env=self.env(member), check=check)


@pytest.fixture(scope="module")
def world(shared_exchange):
    return World(shared_exchange)


def delivered(world, *words):
    """Test until the exchange knows the members and the subscription."""
    def once():
        result = world.run(world.forwarder, *words, check=False)
        assert result.returncode in (0, 6), result
        return result if result.returncode == 0 else None
    return wait_until(once, 60, "a delivered test message")


def test_uplink_delivered(world):
    stream = world.home.subscribe_home("t")
    out = delivered(world, *UPLINK, f"{BLOCK + 5:08X}").stdout
    assert re.search(rf"routed +{HOME:06X}", out) and re.search(rf"sent +{HOME:06X}", out), out
    assert "delivered: 1 copy was sent" in out and f"DevAddr {BLOCK + 5:08X}, FPort 1" in out
    got = stream.next()
    while got.message.phy_payload.plain[1:5] != (BLOCK + 5).to_bytes(4, "little"):
        got = stream.next()
    assert got.message.gateway_id.plain.startswith("lpx-test-") and got.message.gateway_uplink_token == b"lpx-test"
    identifier = out.split()[1]
    trace = json.loads(world.run(world.home, "trace", identifier, "--output", "json").stdout)
    assert trace["id"] == identifier and {s["event"] for s in trace["steps"]} >= {"routed", "sent"}
    rows = list(csv.DictReader(io.StringIO(world.run(world.forwarder, "trace", identifier, "--output", "csv").stdout)))
    assert [r["Event"] for r in rows][:2] == ["routed", "sent"] and rows[0]["Forwarder"] == f"{FORWARDER:06X}"
    stream.close()


def test_uplink_dropped(world):
    result = world.run(world.forwarder, *UPLINK, "FC03FF01", check=False)  # nobody's block
    assert result.returncode == 6 and "! dropped" in result.stdout and "not delivered" in result.stderr, result
    assert "reason no_route" in result.stdout
    recent = ["trace", "--recent", "--net-id", f"{FORWARDER:06X}", "--drops"]
    assert "FC03FF01" in world.run(world.forwarder, *recent).stdout
    assert any(t["devAddr"] == 0xFC03FF01 for t in json.loads(world.run(world.forwarder, *recent, "--output", "json").stdout))


def test_join_request(world):
    result = world.run(world.forwarder, "test", "uplink", "--forwarder-net-id", f"{FORWARDER:06X}", "--join-eui",
                       "0102030405060708", "--dev-eui", "0102030405060709", check=False)
    assert result.returncode == 6 and "JoinEUI 0102030405060708, DevEUI 0102030405060709" in result.stdout, result


def test_downlink(world):
    words = ["test", "downlink", "--home-network-net-id", f"{HOME:06X}", "--forwarder-net-id", f"{FORWARDER:06X}", "--dev-addr",
             f"{BLOCK + 6:08X}"]
    result = world.run(world.home, *words, check=False)
    assert result.returncode == 6 and "reason no_endpoint" in result.stdout, result
    stream = world.forwarder.subscribe_forwarder("t")

    def once():
        found = world.run(world.home, *words, check=False)
        assert found.returncode in (0, 6), found
        return found if found.returncode == 0 else None
    out = wait_until(once, 60, "a delivered downlink").stdout
    assert "data downlink" in out and "delivered: 1 copy was sent" in out
    assert stream.next().message.gateway_uplink_token == b"lpx-test"
    stream.close()


def test_who_may_see(world):
    assert world.run(world.forwarder, "trace", "no-such-id", check=False).returncode == 3
    result = world.exchange.run_lpx("trace", "--recent", "--net-id", f"{FORWARDER:06X}", check=False)
    assert result.returncode == 4, result  # the administrator is no party
    assert world.run(world.home, "trace", "--recent", "--net-id", f"{FORWARDER:06X}", check=False).returncode == 4


def test_live(world):
    path = world.exchange.folder / "live.txt"
    words = [world.exchange.lpx, "trace", "--live", "--net-id", f"{FORWARDER:06X}"]
    with path.open("w") as out, subprocess.Popen(words, stdout=out, env=world.exchange.lpx_environment(world.env(world.forwarder)),
                                                 cwd=world.exchange.folder) as live:
        def seen():
            assert world.run(world.forwarder, *UPLINK, "FC03FF02", check=False).returncode == 6
            return "FC03FF02" in path.read_text() and "! dropped" in path.read_text()
        wait_until(seen, 60, "the live trace")
        live.terminate()
        assert live.wait(20) == 0
