"""Every rpc of api/ by every kind of caller, on the real server: the outcome is what docs/authorisation.md says."""
import base64
import json
import re
import sqlite3
import subprocess
import time

import grpc
import pytest
from harness.api import ROOT, load_api
from harness.members import Admin

OWN, OTHER = 0xC00160, 0xC00161
TENANT, SIBLING = "acme", "others"
CALLERS = ("nobody", "bad", "expired", "admin", "cluster", "cluster-without", "network", "network-without", "tenant",
           "other-network", "other-tenant", "sibling-tenant")
REFUSALS = {"RPC_NO_CREDENTIALS", "RPC_WRONG_SUBJECT", "RPC_MISSING_RIGHT", "RPC_NOT_OWN"}
LET_IN, UNAUTHENTICATED, DENIED, AS_STORED = "let in", "UNAUTHENTICATED", "PERMISSION_DENIED", "as stored"


class Row:
    """One line of the document."""

    def __init__(self, service, cells):
        self.path = f"/{service}/{cells[0]}"
        self.who = dict(zip(("nobody", "admin", "cluster", "network", "tenant"), (cell == "yes" for cell in cells[1:6])))
        self.right = None if cells[6] == "-" else cells[6]
        self.fields = re.findall(r"`([^`]+)`", cells[7])
        self.as_stored, self.may_leave_out = "as stored" in cells[7], "left out" in cells[7]

    def expected(self, caller):
        if caller in ("bad", "expired"):
            return UNAUTHENTICATED
        if caller == "nobody":
            return LET_IN if self.who["nobody"] else UNAUTHENTICATED
        kind = {"other-network": "network", "other-tenant": "tenant", "sibling-tenant": "tenant"}.get(caller, caller)
        without = kind.endswith("-without")
        if not self.who[kind.removesuffix("-without")] or (without and self.right is not None):
            return DENIED
        foreign = {"other-network": self.fields[:1], "other-tenant": self.fields[:1], "sibling-tenant": self.tenant_field}
        if foreign.get(caller):
            return DENIED
        return AS_STORED if self.as_stored else LET_IN

    @property
    def tenant_field(self):
        return [field for field in self.fields if field.endswith("tenant_id")]


def read_document():
    rows, service = {}, None
    for line in (ROOT / "docs/authorisation.md").read_text().splitlines():
        if line.startswith("## "):
            service = line[3:].strip()
        elif line.startswith("| ") and not line.startswith(("| method", "| ---")):
            row = Row(service, [cell.strip() for cell in line.strip("|").split("|")])
            assert row.path not in rows, f"{row.path} has two rows"
            rows[row.path] = row
    return rows


API, ROWS = load_api(), read_document()


def test_every_rpc_has_its_row():
    assert sorted(API.methods) == sorted(ROWS)


def test_every_rpc_is_served(world):
    unserved = {path for path in API.methods if world.outcome(path, "admin") is None}
    assert not unserved


def expired_token(exchange, token):
    """The token as it would be a day later: signed by the exchange's own key, with its time moved into the past."""
    head, claims, _ = token.split(".")
    parsed = json.loads(base64.urlsafe_b64decode(claims + "=="))
    for name in ("iat", "nbf", "exp"):
        parsed[name] -= 86400
    kid = json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]
    database = sqlite3.connect(exchange.dir / "lpx.db")
    jwk, = database.execute("SELECT jwk FROM signing_keys WHERE kid = ?", (kid,)).fetchone()
    database.close()
    d = base64.urlsafe_b64decode(json.loads(jwk)["d"] + "==").rjust(32, b"\0")
    sec1 = bytes.fromhex("30310201010420") + d + bytes.fromhex("a00a06082a8648ce3d030107")
    pem = exchange.folder / "signing-key.pem"
    pem.write_bytes(b"-----BEGIN EC PRIVATE KEY-----\n" + base64.encodebytes(sec1) + b"-----END EC PRIVATE KEY-----\n")
    signed = head + "." + base64.urlsafe_b64encode(json.dumps(parsed).encode()).rstrip(b"=").decode()
    der = subprocess.run(["openssl", "dgst", "-sha256", "-sign", pem], input=signed.encode(), capture_output=True,
                         check=True).stdout
    pem.unlink()
    raw, at = b"", 2
    for _ in range(2):
        size = der[at + 1]
        raw += der[at + 2:at + 2 + size].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + size
    return signed + "." + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class World:
    """An exchange with two networks, tenants and a cluster, and a token for each kind of caller."""

    def __init__(self, exchange):
        self.exchange, self.channel = exchange, exchange.channel()
        self.admin = Admin(exchange)
        self.rights = {v.name: v.number for v in exchange.pb.v3.Right.DESCRIPTOR.values}
        self.tokens = {}
        for net_id in (OWN, OTHER):
            self.admin.create_network(net_id)
        for net_id, tenant in ((OWN, TENANT), (OWN, SIBLING), (OTHER, TENANT)):
            self.admin.create_tenant(net_id, tenant)

    def token(self, caller, right):
        """A token of this kind of caller, with all rights; "-without": without this one, or with none when none is needed."""
        without = caller.endswith("-without")
        if (caller, right if without else None) in self.tokens:
            return self.tokens[caller, right if without else None]
        rights = [number for name, number in self.rights.items() if not without or (right is not None and name != right)]
        place = {"network": (OWN, ""), "network-without": (OWN, ""), "tenant": (OWN, TENANT), "other-network": (OTHER, ""),
                 "other-tenant": (OTHER, TENANT), "sibling-tenant": (OWN, SIBLING), "expired": (OWN, "")}
        if caller in place:
            key = self.admin.create_key(*place[caller], rights=rights)
        else:
            stub = self.exchange.pb.iam2.ClusterAPIKeyVaultStub(self.channel)
            request = self.exchange.pb.iam2.CreateClusterAPIKeyRequest(cluster_id="eu1", rights=rights)
            key = stub.CreateAPIKey(request, metadata=self.admin.metadata).key
        token = self.exchange.token(key.key_id, key.key)
        if caller == "expired":
            token = expired_token(self.exchange, token)
        self.tokens[caller, right if without else None] = token
        return token

    def metadata(self, caller, right):
        if caller == "nobody":
            return ()
        if caller == "admin":
            return self.admin.metadata
        token = "a.b.c" if caller == "bad" else self.token(caller, right)
        return (("authorization", f"Bearer {token}"),)

    def request(self, path):
        """A request that names the network and tenant of the test wherever its row looks; what else it would need is
        left out, so that who is let in is refused for that."""
        request = API.methods[path].request()
        for field in ROWS[path].fields:
            *parents, leaf = field.split(".")
            message = request
            for parent in parents:
                message = getattr(message, parent)
            if leaf.endswith("tenant_id"):
                setattr(message, leaf, TENANT)
            elif leaf.endswith("cluster_id"):
                setattr(message, leaf, "eu1")
            else:
                setattr(message, leaf, OWN)
        return request

    def outcome(self, path, caller):
        """LET_IN, UNAUTHENTICATED or DENIED; AS_STORED: the method itself denied; None: there is no such method."""
        method = API.methods[path]
        call = None
        try:
            call = method.call(self.channel, self.request(path), self.metadata(caller, ROWS[path].right))
            if not method.unary:
                call.initial_metadata()  # comes alone when the stream stands, with the refusal otherwise
                if call.is_active():
                    return LET_IN
                next(call)
            return LET_IN
        except StopIteration:
            return LET_IN
        except grpc.RpcError as error:
            return self.refusal(error)
        finally:
            if call is not None and not method.unary:
                call.cancel()

    def refusal(self, error):
        details = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
        status = API.message_class("google.rpc.Status").FromString(details)
        info = API.message_class("google.rpc.ErrorInfo")
        reasons = {info.FromString(detail.value).reason for detail in status.details}
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            return UNAUTHENTICATED
        if "RPC_UNKNOWN_METHOD" in reasons:
            return None
        if error.code() == grpc.StatusCode.PERMISSION_DENIED:
            return DENIED if reasons & REFUSALS else AS_STORED
        assert error.code() not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN), error
        return LET_IN


@pytest.fixture(scope="module")
def world(shared_exchange):
    return World(shared_exchange)


def last_first(path):
    """What ends the tenant comes last: its keys end with it."""
    return path.endswith("/DeleteTenant"), path


@pytest.mark.parametrize("caller", CALLERS)
def test_every_rpc_lets_in_whom_the_document_says(world, caller):
    wrong = {}
    for path in sorted(ROWS, key=last_first):
        if path.endswith("/DeleteTenant") and ROWS[path].expected(caller) == LET_IN:
            continue  # below
        want, got = ROWS[path].expected(caller), world.outcome(path, caller)
        allowed = {LET_IN: {LET_IN}, AS_STORED: {LET_IN, AS_STORED, DENIED}}.get(want, {want})
        if got is None and path in MISSING:
            continue
        if got not in allowed:
            wrong[path] = f"{got}, not {want}"
    assert not wrong, f"by {caller}: {wrong}"


@pytest.mark.parametrize("caller", ["admin", "network", "network-without", "tenant"])
def test_a_tenant_may_be_ended_by_itself_and_those_above(world, caller):
    path = "/org.packetbroker.iam.v1.TenantRegistry/DeleteTenant"
    assert ROWS[path].expected(caller) == LET_IN
    assert world.outcome(path, caller) == LET_IN
    if caller != "tenant":
        world.admin.create_tenant(OWN, TENANT)
        world.tokens = {key: token for key, token in world.tokens.items() if key[0] != "tenant"}


def test_an_expired_token_was_good_but_for_its_time(world):
    """What 'expired' shows above would mean nothing if its signature were wrong."""
    path = "/org.packetbroker.iam.v1.NetworkRegistry/GetNetwork"
    token = world.token("expired", None)
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["exp"] < time.time()
    with pytest.raises(grpc.RpcError) as error:
        API.methods[path].call(world.channel, world.request(path), (("authorization", f"Bearer {token}"),))
    assert "expire" in error.value.details().lower()
