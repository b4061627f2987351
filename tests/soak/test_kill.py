"""Acknowledged means durable: lpxd is killed again and again under load, on the same data."""
import random
import sqlite3
import threading
import time

import grpc
from harness.members import Admin

SEED = 20261120
WRITERS, NETWORKS_EACH, POLICIES = 6, 300, 40
OWNER = 0xC00013
LETTERS = "JMASL"
CUT_OFF = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


class Model:
    """What each thing may be: one state when its last change was acknowledged or seen, two while a change is under way
    or was cut off. None: the thing does not exist."""

    def __init__(self):
        self.lock, self.allowed, self.acknowledged, self.wrong = threading.Lock(), {}, 0, []

    def state(self, thing):
        with self.lock:
            (state,) = self.allowed.get(thing, {None})
            return state

    def change(self, thing, state, call):
        """Make a change by a call. @return False when the server is gone"""
        with self.lock:
            self.allowed[thing] = self.allowed.get(thing, {None}) | {state}
        try:
            call()
        except grpc.RpcError as error:
            if error.code() not in CUT_OFF:
                self.wrong.append(f"{thing} to {state}: {error.code()} {error.details()}")
            return False
        with self.lock:
            self.allowed[thing] = {state}
            self.acknowledged += 1
        return True

    def seen(self, kind, found):
        """Compare with all that the server has of a kind."""
        for thing in [t for t in self.allowed if t[0] == kind] + [(kind, name) for name in found]:
            state = found.get(thing[1])
            allowed = self.allowed.get(thing, {None})
            assert state in allowed, f"{thing} is {state!r}, may be {allowed}"
            self.allowed[thing] = {state}


def write_networks(exchange, model, rng, index):
    admin, pb = Admin(exchange), exchange.pb
    name_value = type(pb.iam1.UpdateNetworkRequest().name)
    while True:
        net_id = 0xC10000 + index * 0x1000 + rng.randrange(NETWORKS_EACH)
        name, old = f"n{net_id:x} {rng.randrange(1 << 30):x}", model.state(("network", net_id))
        if old is None:
            going_on = model.change(("network", net_id), name, lambda: admin.create_network(net_id, name=name))
        elif rng.random() < 0.3:
            request = pb.iam1.NetworkRequest(net_id=net_id)
            going_on = model.change(("network", net_id), None,
                                    lambda: admin.networks.DeleteNetwork(request, metadata=admin.metadata))
        else:
            update = pb.iam1.UpdateNetworkRequest(net_id=net_id, name=name_value(value=name))
            going_on = model.change(("network", net_id), name,
                                    lambda: admin.networks.UpdateNetwork(update, metadata=admin.metadata))
        if not going_on:
            admin.channel.close()
            return


def write_policies(exchange, model, rng, member):
    policies = exchange.pb.routing1.PolicyManagerStub(channel := exchange.channel())
    member.policies = policies
    while True:
        home = 0xC20000 + rng.randrange(POLICIES)
        flags = "".join(c for c in LETTERS if rng.random() < 0.5)
        if not model.change(("policy", home), flags, lambda: member.set_policy(home, uplink=flags)):
            channel.close()
            return


def make_key(admin, model, keys):
    """A key whose making was cut off is nobody's: its id is known by the answer alone."""
    try:
        key = admin.create_key(OWNER)
    except grpc.RpcError as error:
        if error.code() not in CUT_OFF:
            model.wrong.append(f"key: {error.code()} {error.details()}")
        return False
    with model.lock:
        keys[key.key_id] = key.key
        model.allowed["key", key.key_id] = {"works"}
        model.acknowledged += 1
    return True


def write_keys(exchange, model, rng, keys):
    admin, going_on = Admin(exchange), True
    while going_on:
        working = [key for key in keys if model.state(("key", key)) is not None]
        if working and rng.random() < 0.4:
            key = rng.choice(working)
            going_on = model.change(("key", key), None, lambda: admin.delete_key(key))
        else:
            going_on = make_key(admin, model, keys)
    admin.channel.close()


def check_networks(exchange, model):
    admin, found = Admin(exchange), {}
    while True:
        page = admin.networks.ListNetworks(exchange.pb.iam1.ListNetworksRequest(offset=len(found), limit=500),
                                           metadata=admin.metadata)
        found.update({n.net_id: n.name for n in page.networks})
        if not page.networks or len(found) >= page.total:
            break
    admin.channel.close()
    model.seen("network", {net_id: name for net_id, name in found.items() if 0xC10000 <= net_id < 0xC20000})


def check_policies(exchange, model, member):
    channel = exchange.channel()
    listed = exchange.pb.routing1.PolicyManagerStub(channel).ListHomeNetworkPolicies(
        exchange.pb.routing1.ListHomeNetworkPoliciesRequest(forwarder_net_id=OWNER, limit=POLICIES * 2),
        metadata=member.metadata)
    channel.close()
    names = {"J": "join_request", "M": "mac_data", "A": "application_data", "S": "signal_quality", "L": "localization"}
    model.seen("policy", {p.home_network_net_id: "".join(c for c in LETTERS if getattr(p.uplink, names[c]))
                          for p in listed.policies})


def check_keys(exchange, model, keys):
    """A key works exactly when it should; those that are gone are forgotten."""
    found = {}
    for key, secret in keys.items():
        form = {"grant_type": "client_credentials", "client_id": key, "client_secret": secret, "scope": "networks"}
        status, _, _ = exchange.post_token({**form, "audience": "127.0.0.1"})
        assert status in (200, 400, 401), status
        if status == 200:
            found[key] = "works"
    model.seen("key", found)
    for key in [k for k in keys if k not in found]:
        del keys[key], model.allowed["key", key]


def test_nothing_acknowledged_is_lost(exchange, rounds, tell):
    model, keys, slowest_start = Model(), {}, 0.0
    exchange.start()
    admin = Admin(exchange)
    admin.create_network(OWNER)
    member = admin.member(OWNER)
    member.channel.close()
    admin.channel.close()
    for number in range(rounds):
        rng = random.Random(SEED + number)
        jobs = [(write_networks, i) for i in range(WRITERS)] + [(write_policies, member), (write_keys, keys)]
        threads = [threading.Thread(target=job, args=(exchange, model, random.Random(rng.random()), what))
                   for job, what in jobs]
        before, wanted = model.acknowledged, rng.randrange(20, 400)
        for thread in threads:
            thread.start()
        while model.acknowledged < before + wanted and any(t.is_alive() for t in threads):
            time.sleep(0.001)
        exchange.kill()
        for thread in threads:
            thread.join(60)
        assert model.wrong == []
        since = time.monotonic()
        exchange.start()
        slowest_start = max(slowest_start, time.monotonic() - since)
        check_networks(exchange, model)
        check_policies(exchange, model, member)
        check_keys(exchange, model, keys)
        while len(keys) > 40:
            key = next(iter(keys))
            del keys[key], model.allowed["key", key]
    exchange.stop()
    with sqlite3.connect(exchange.dir / "lpx.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    tell(rounds=rounds, changes_acknowledged=model.acknowledged, slowest_start_ms=round(slowest_start * 1000))
