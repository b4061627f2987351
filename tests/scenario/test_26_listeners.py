"""Listeners behind a load balancer: the PROXY protocol, version 2, from those who may speak it. The balancer is played
here: it writes the header and then passes bytes on."""
import json
import socket
import struct
import threading

import grpc
import pytest
from harness.exchange import free_ports, wait_until
from harness.members import Admin

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def header(source, port, command=0x21):
    """A header that names this client."""
    v6 = ":" in source
    family = socket.AF_INET6 if v6 else socket.AF_INET
    body = socket.inet_pton(family, source) + socket.inet_pton(family, "::1" if v6 else "203.0.113.1")
    body += struct.pack("!HH", port, 1900) + b"\x01\x00\x02h2"
    return SIGNATURE + bytes([command, 0x21 if v6 else 0x11]) + struct.pack("!H", len(body)) + body


LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


class Balancer:
    """Passes connections on to a port, each with this header in front."""

    def __init__(self, port, first):
        self.port, self.first = port, first
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            server.sendall(self.first)
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    @staticmethod
    def _pass_on(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


def answer_to(port, *parts):
    """What comes back for these bytes until the server ends the connection, or has answered a request."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        received = b""
        try:
            for part in parts:
                connection.sendall(part)
            while data := connection.recv(65536):
                received += data
        except ConnectionError:
            pass
        return received


def outcome(exchange, name):
    return exchange.metrics()[f'lpx_proxy_connections_total{{outcome="{name}"}}']


GET = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def call_as(exchange, port, first):
    """A call that fails, and so is logged with the peer; the name of the network tells the calls apart."""
    balancer = Balancer(port, first)
    try:
        with grpc.insecure_channel(balancer.address) as channel:
            stub = exchange.pb.iam1.NetworkRegistryStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                stub.GetNetwork(exchange.pb.iam1.NetworkRequest(net_id=0x13), timeout=30)
            assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    finally:
        balancer.close()


def test_behind_a_balancer(exchange):
    grpc_port, http_port = free_ports(2)
    exchange.start(grpc__proxy_listen=f"127.0.0.1:{grpc_port}", http__proxy_listen=f"127.0.0.1:{http_port}",
                   server__proxy_from="10.0.0.0/8,127.0.0.1", log__level="debug")
    call_as(exchange, grpc_port, header("192.0.2.7", 4711))
    wait_until(lambda: "192.0.2.7:4711" in exchange.log(), what="the client's address in the log")
    call_as(exchange, grpc_port, header("2001:db8::7", 4712))
    wait_until(lambda: "[2001:db8::7]:4712" in exchange.log(), what="the client's IPv6 address in the log")
    call_as(exchange, grpc_port, LOCAL)  # the balancer itself
    # All calls work there, with credentials in plain text on the way from the balancer.
    balancer = Balancer(grpc_port, header("192.0.2.8", 4713))
    admin = Admin(exchange)
    with grpc.insecure_channel(balancer.address) as channel:
        networks = exchange.pb.iam1.NetworkRegistryStub(channel)
        networks.CreateNetwork(exchange.pb.iam1.CreateNetworkRequest(network=exchange.pb.v3.Network(net_id=0x13)),
                               metadata=admin.metadata)
    balancer.close()
    # HTTP: header and request in one segment, and byte by byte.
    for parts in ([header("192.0.2.9", 4714) + GET], [bytes([b]) for b in header("192.0.2.9", 4714) + GET]):
        head, body = answer_to(http_port, *parts).split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200") and json.loads(body)["keys"]
    assert outcome(exchange, "accepted") == 6
    assert outcome(exchange, "malformed") == outcome(exchange, "stranger") == 0
    exchange.stop()


def test_what_is_refused(exchange):
    port, = free_ports(1)
    exchange.start(http__proxy_listen=f"127.0.0.1:{port}", server__proxy_from="127.0.0.0/8")
    bad = [b"PROXY TCP4 192.0.2.7 203.0.113.1 4711 443\r\n" + GET,  # version 1
           GET,  # a client that reached the port directly
           header("192.0.2.7", 1)[:-4] + b"\x00\x09h2" + GET,  # a TLV that is longer than the header
           SIGNATURE + b"\x21\x11\xff\xff" + bytes(100)]
    for count, first in enumerate(bad, 1):
        assert answer_to(port, first) == b""
        wait_until(lambda: outcome(exchange, "malformed") == count, what="the count of bad headers")
    assert answer_to(port, header("192.0.2.7", 1) + GET).startswith(b"HTTP/1.1 200")
    exchange.stop()


def test_from_other_addresses(exchange):
    port, = free_ports(1)
    exchange.start(http__proxy_listen=f"127.0.0.1:{port}", server__proxy_from="10.0.0.0/8")
    assert answer_to(port, header("192.0.2.7", 1) + GET) == b""
    assert outcome(exchange, "stranger") == 1 and outcome(exchange, "accepted") == 0
    exchange.stop()


def test_settings_that_cannot_be(exchange):
    port, = free_ports(1)
    with pytest.raises(AssertionError, match="server.proxy-from"):
        exchange.start(grpc__proxy_listen=f"127.0.0.1:{port}")
    with pytest.raises(AssertionError, match="10.0.0.0/8"):
        exchange.start(grpc__proxy_listen=f"127.0.0.1:{port}", server__proxy_from="10.0.0.1/8")
