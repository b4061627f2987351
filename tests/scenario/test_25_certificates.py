"""Client certificates beside tokens: issued, registered, revoked, expired; alone and with a token. The client is
grpcio's own TLS, which shares no code with the exchange."""
import base64
import itertools
import json
import os
import ssl
import stat
import time
import urllib.error
import urllib.request

import grpc
import pytest
from harness.certs import CertMember, Certificates, ForeignCA, Pair, openssl
from harness.exchange import free_ports, wait_until
from harness.frames import data_frame, uplink
from harness.members import RIGHTS, Admin

numbers = itertools.count(0x500)
READ, WRITE = RIGHTS["READ_TRAFFIC"], RIGHTS["WRITE_TRAFFIC"]


class World:
    """A forwarder and a home network without API keys."""

    def __init__(self, exchange, folder):
        self.exchange, self.pb, self.admin = exchange, exchange.pb, Admin(exchange)
        self.certificates = Certificates(self.admin, folder)
        self.forwarder_id, self.home_id = 0xC01000 + next(numbers), 0x600000 + next(numbers)
        self.base = 0xE0000000 | (self.home_id & 0x7FF) << 17
        self.admin.create_network(self.forwarder_id)
        self.admin.create_network(self.home_id, blocks=[(self.base, 15)])

    def uplink(self):
        return uplink(self.pb, data_frame(self.base + 1))


@pytest.fixture
def world(shared_exchange, tmp_path):
    return World(shared_exchange, tmp_path)


def refused(call, code, words=""):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert caught.value.code() == code, caught.value
    assert words in caught.value.details(), caught.value.details()
    return caught.value


def list_policies(member):
    """A harmless call of a member."""
    request = member.pb.routing1.ListDefaultPoliciesRequest()
    return member.policies.ListDefaultPolicies(request, metadata=member.metadata, timeout=30)


def handshake_fails(exchange, pair, port=None):
    refused(lambda: list_policies(CertMember(exchange, pair, 0x13, port=port)), grpc.StatusCode.UNAVAILABLE)


def test_traffic_with_certificates_alone(world):
    forwarder = CertMember(world.exchange, world.certificates.issue(world.forwarder_id), world.forwarder_id)
    pair = world.certificates.issue(world.home_id)
    home = CertMember(world.exchange, pair, world.home_id)
    stream = home.subscribe_home("g")
    sent = forwarder.publish_uplink(world.uplink())
    assert stream.next().id == sent
    stream.close()
    wait_until(lambda: world.certificates.find(pair).HasField("authenticated_at"), what="the time of the last use")
    assert world.certificates.find(pair).authenticated_at.seconds > 0


def test_a_certificate_is_its_network_with_its_rights(world):
    pair = world.certificates.issue(world.forwarder_id, rights=[READ])
    member = CertMember(world.exchange, pair, world.forwarder_id)
    refused(lambda: member.publish_uplink(world.uplink()), grpc.StatusCode.PERMISSION_DENIED, "WRITE_TRAFFIC")
    stranger = CertMember(world.exchange, pair, world.home_id)
    refused(lambda: next(iter(stranger.home.Subscribe(
        world.pb.routing1.SubscribeHomeNetworkRequest(home_network_net_id=world.home_id), timeout=30))),
        grpc.StatusCode.PERMISSION_DENIED, f"{world.forwarder_id:06X}")


def test_a_tenant_a_cluster_and_a_network_that_issues(world):
    world.admin.create_tenant(world.forwarder_id, "one")
    tenant = CertMember(world.exchange, world.certificates.issue(world.forwarder_id, tenant_id="one"),
                        world.forwarder_id, "one")
    assert tenant.publish_uplink(world.uplink())
    tenant.tenant_id = ""
    refused(lambda: tenant.publish_uplink(world.uplink()), grpc.StatusCode.PERMISSION_DENIED, "one")
    cluster = world.certificates.issue(0, rights=[RIGHTS["READ_ROUTING_POLICY"]], cluster_only=True, cluster_id="eu1")
    list_policies(CertMember(world.exchange, cluster, 0))
    # A network's certificate is as good as its API key: it issues for itself, and only what it has.
    network = CertMember(world.exchange, world.certificates.issue(world.forwarder_id, rights=[READ]), world.forwarder_id)
    issue = world.pb.lpx_iam.ClientCertificatesStub(network.channel).IssueCertificate
    request = world.pb.lpx_iam.IssueCertificateRequest
    assert issue(request(net_id=world.forwarder_id, rights=[READ])).certificate.net_id == world.forwarder_id
    refused(lambda: issue(request(net_id=world.forwarder_id, rights=[WRITE])), grpc.StatusCode.PERMISSION_DENIED)
    refused(lambda: issue(request(net_id=world.home_id, rights=[READ])), grpc.StatusCode.PERMISSION_DENIED)


def test_revoking_ends_streams_and_later_calls(world):
    pair, other = world.certificates.issue(world.home_id), world.certificates.issue(world.home_id)
    member, bystander = (CertMember(world.exchange, p, world.home_id) for p in (pair, other))
    stream, stays = member.subscribe_home("a"), bystander.subscribe_home("b")
    world.certificates.revoke(pair)
    assert stream.next() is None
    assert stream.error.code() == grpc.StatusCode.UNAUTHENTICATED and "revoked" in stream.error.details()
    refused(lambda: list_policies(member), grpc.StatusCode.UNAUTHENTICATED, "revoked")
    fresh = CertMember(world.exchange, pair, world.home_id)
    refused(lambda: list_policies(fresh), grpc.StatusCode.UNAUTHENTICATED, pair.fingerprint)
    assert world.certificates.find(pair).HasField("revoked_at")
    # The other certificate of the same network is not touched.
    forwarder = CertMember(world.exchange, world.certificates.issue(world.forwarder_id), world.forwarder_id)
    sent = forwarder.publish_uplink(world.uplink())
    assert stays.next().id == sent
    stays.close()


def test_deleting_the_network_ends_its_certificates(world):
    pair = world.certificates.issue(world.home_id)
    stream = CertMember(world.exchange, pair, world.home_id).subscribe_home("g")
    world.admin.networks.DeleteNetwork(world.pb.iam1.NetworkRequest(net_id=world.home_id), metadata=world.admin.metadata)
    assert stream.next() is None and stream.error.code() == grpc.StatusCode.UNAUTHENTICATED


def test_what_is_no_client_fails_the_handshake(world, tmp_path):
    data = world.exchange.dir
    handshake_fails(world.exchange, Pair(data / "server.pem", data / "server-key.pem"))  # same CA, but for servers
    handshake_fails(world.exchange, ForeignCA(tmp_path / "foreign").issue("nobody"))


def test_a_certificate_and_a_token(world):
    member = world.admin.member(world.forwarder_id, rights=[READ, WRITE])
    both = CertMember(world.exchange, world.certificates.issue(world.forwarder_id, rights=[WRITE]), world.forwarder_id,
                      metadata=member.metadata)
    assert both.publish_uplink(world.uplink())
    refused(lambda: next(iter(both.forwarder.Subscribe(
        world.pb.routing1.SubscribeForwarderRequest(forwarder_net_id=world.forwarder_id), metadata=both.metadata,
        timeout=30))), grpc.StatusCode.PERMISSION_DENIED, "READ_TRAFFIC")  # the certificate has it not
    other = CertMember(world.exchange, world.certificates.issue(world.home_id), world.forwarder_id, metadata=member.metadata)
    refused(lambda: other.publish_uplink(world.uplink()), grpc.StatusCode.PERMISSION_DENIED, f"{world.home_id:06X}")
    # An administrator with any good certificate is an administrator.
    admin = world.pb.iam1.NetworkRegistryStub(both.channel)
    assert admin.ListNetworks(world.pb.iam1.ListNetworksRequest(), metadata=world.admin.metadata).total > 0


def test_json_with_a_certificate(world):
    pair = world.certificates.issue(world.forwarder_id)
    context = ssl.create_default_context(cafile=world.exchange.ca_file)
    context.load_cert_chain(pair.cert_file, pair.key_file)
    url = f"https://127.0.0.1:{world.exchange.http_port}/org.packetbroker.iam.v1.NetworkRegistry/GetNetwork"

    def ask(net_id):
        request = urllib.request.Request(url, json.dumps({"netId": net_id}).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, context=context, timeout=20) as answer:
            return json.loads(answer.read())

    assert ask(world.forwarder_id)["network"]["netId"] == world.forwarder_id
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(world.home_id)
    assert caught.value.code == 403


def test_a_ca_that_the_administrator_names(exchange, tmp_path):
    first, second = ForeignCA(tmp_path / "first", "First"), ForeignCA(tmp_path / "second", "Second")
    bundle = tmp_path / "clients.pem"
    bundle.write_bytes(first.cert_file.read_bytes())
    exchange.start(tls__client_ca_files=bundle)
    world = World(exchange, tmp_path)
    pair, later = first.issue("one"), second.issue("two")
    # One that ends soon, with a stream on it; the end is looked for last.
    ends = time.time() + 8
    short = first.issue("short", seconds=8)
    world.certificates.register(short, world.home_id)
    stream = CertMember(exchange, short, world.home_id).subscribe_home("g")
    # A good chain is not enough: nobody knows whom it stands for.
    refused(lambda: list_policies(CertMember(exchange, pair, world.home_id)), grpc.StatusCode.UNAUTHENTICATED,
            pair.fingerprint)
    exchange.run_lpx("cert", "register", "--cert", str(pair.cert_file), "--net-id", f"{world.home_id:06X}", "--rights",
                     "READ_TRAFFIC,READ_ROUTING_POLICY")
    list_policies(CertMember(exchange, pair, world.home_id))
    # One that is registered while its first call waits for just that.
    third = first.issue("three")
    early = CertMember(exchange, third, world.home_id)
    call = early.policies.ListDefaultPolicies.future(world.pb.routing1.ListDefaultPoliciesRequest(), timeout=30)
    world.certificates.register(third, world.home_id)
    call.result(30)
    # Another CA, after SIGHUP.
    handshake_fails(exchange, later)
    world.certificates.register(later, world.home_id)
    bundle.write_bytes(first.cert_file.read_bytes() + second.cert_file.read_bytes())
    exchange.reload()
    wait_until(lambda: "tls_reloaded" in exchange.log(), what="the reload")
    list_policies(CertMember(exchange, later, world.home_id))
    list_policies(CertMember(exchange, pair, world.home_id))
    # Expired: before it is registered, while a stream stands, at the handshake.
    refused(lambda: world.certificates.register(first.issue("old", seconds=-1), world.home_id),
            grpc.StatusCode.INVALID_ARGUMENT, "expired")
    assert stream.next(60) is None and time.time() >= ends - 1
    assert stream.error.code() == grpc.StatusCode.UNAUTHENTICATED and "not any more" in stream.error.details()
    handshake_fails(exchange, short)
    exchange.stop()


def test_listeners_that_want_more(exchange, tmp_path):
    port, = free_ports(1)
    exchange.start(grpc__mutual_listen=f"127.0.0.1:{port}", grpc__mutual_needs_token="true", tls__client_own_ca="true")
    world = World(exchange, tmp_path)
    pair, member = world.certificates.issue(world.forwarder_id), world.admin.member(world.forwarder_id)
    handshake_fails(exchange, None, port)
    alone = CertMember(exchange, pair, world.forwarder_id, port=port)
    refused(lambda: list_policies(alone), grpc.StatusCode.UNAUTHENTICATED, "token")
    both = CertMember(exchange, pair, world.forwarder_id, port=port, metadata=member.metadata)
    assert both.publish_uplink(world.uplink())
    assert CertMember(exchange, pair, world.forwarder_id).publish_uplink(world.uplink())  # the other listener
    exchange.stop()
    exchange.start(grpc__mutual_listen=f"127.0.0.1:{port}")
    handshake_fails(exchange, None, port)
    list_policies(CertMember(exchange, pair, world.forwarder_id, port=port))
    exchange.stop()
    exchange.start(tls__client_own_ca="false")  # certificates are not asked for, and none counts
    refused(lambda: list_policies(CertMember(exchange, pair, world.forwarder_id)), grpc.StatusCode.UNAUTHENTICATED,
            "credentials")
    exchange.stop()
    with pytest.raises(AssertionError, match="needs a CA of clients"):
        exchange.start(tls__client_own_ca="false", grpc__mutual_listen=f"127.0.0.1:{port}")


def test_the_command_line(world, tmp_path):
    cert, key, request = tmp_path / "client.pem", tmp_path / "client-key.pem", tmp_path / "client.csr"
    net_id, home_id = f"{world.forwarder_id:06X}", f"{world.home_id:06X}"
    run = world.exchange.run_lpx
    printed = run("cert", "issue", "--net-id", net_id, "--rights", "READ_TRAFFIC,WRITE_TRAFFIC", "--days", "30",
                  "--out-cert", str(cert), "--out-key", str(key)).stdout
    pair = Pair(cert, key)
    assert pair.fingerprint in printed and "PRIVATE KEY" not in printed
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    listed = run("cert", "list", "--net-id", net_id).stdout
    assert pair.fingerprint in listed and "VALID" in listed
    # With a signing request the key never leaves its owner.
    home_cert, home_key = tmp_path / "home.pem", tmp_path / "home-key.pem"
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ignored", "-keyout", home_key, "-out", request)
    run("cert", "issue", "--net-id", home_id, "--rights", "READ_TRAFFIC", "--csr", str(request), "--out-cert",
        str(home_cert))
    stream = CertMember(world.exchange, Pair(home_cert, home_key), world.home_id).subscribe_home("g")
    # Publish by the command line with the certificate alone: its home has no admin.yaml and no API key.
    message = json.dumps({"phyPayload": {"plain": base64.b64encode(data_frame(world.base + 1)).decode()},
                          "gatewayRegion": "EU_863_870", "frequency": 868100000})
    alone = {"LPX_DATA_DIR": str(tmp_path / "none"), "PB_CA_FILE": str(world.exchange.ca_file),
             "PB_CLIENT_CERT_FILE": str(cert), "PB_CLIENT_KEY_FILE": str(key)}
    run("pub", "--forwarder-net-id", net_id, stdin=message, env=alone)
    assert stream.next().forwarder_net_id == world.forwarder_id
    stream.close()
    run("cert", "revoke", "--fingerprint", pair.fingerprint)
    failed = run("pub", "--forwarder-net-id", net_id, stdin=message, env=alone, check=False)
    assert failed.returncode != 0 and "revoked" in failed.stderr
    assert pair.fingerprint not in run("cert", "list", "--net-id", net_id).stdout
    assert "REVOKED" in run("cert", "list", "--net-id", net_id, "--with-revoked").stdout
    usage = run("cert", "issue", "--net-id", net_id, check=False)
    assert usage.returncode != 0 and "--out-cert" in usage.stderr
