"""Malformed and hostile bytes: the connection or call fails alone, and others go on."""
import os
import random
import socket
import ssl
import struct

import pytest
from harness.members import Admin

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def tls(exchange, alpn=("h2",)):
    context = ssl.create_default_context(cafile=exchange.ca_file)
    context.set_alpn_protocols(list(alpn))
    raw = socket.create_connection(("127.0.0.1", exchange.grpc_port), timeout=20)
    return context.wrap_socket(raw, server_hostname="localhost")


def read_to_end(connection):
    """All bytes until the server closes."""
    data = b""
    try:
        while True:
            more = connection.recv(65536)
            if not more:
                return data
            data += more
    except (ConnectionError, ssl.SSLError, socket.timeout):
        return data


@pytest.fixture(scope="module")
def bystander(shared_exchange):
    admin = Admin(shared_exchange)
    admin.create_network(0xC00080)
    return shared_exchange, admin


@pytest.fixture(autouse=True)
def others_go_on(bystander):
    """After each attack the server still answers somebody else, and is the same process."""
    exchange, admin = bystander
    pid = exchange.process.pid
    yield
    got = admin.networks.GetNetwork(exchange.pb.iam1.NetworkRequest(net_id=0xC00080), metadata=admin.metadata)
    assert got.network.net_id == 0xC00080
    assert exchange.process.poll() is None and exchange.process.pid == pid


ATTACKS = {
    "not http/2": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 4,
    "frame longer than allowed": PREFACE + SETTINGS + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
    "data on an idle stream": PREFACE + SETTINGS + frame(0, 1, 1, b"x"),
    "headers with broken hpack": PREFACE + SETTINGS + frame(1, 5, 1, b"\xff" * 40),
    "continuation without headers": PREFACE + SETTINGS + frame(9, 4, 1, b""),
    "even stream": PREFACE + SETTINGS + frame(1, 5, 2, b"\x82"),
    "window overflow": PREFACE + SETTINGS + frame(8, 0, 0, struct.pack(">I", 0x7FFFFFFF)) * 2,
    "settings of wrong length": PREFACE + frame(4, 0, 0, b"\x00" * 5),
    "goaway garbage": PREFACE + SETTINGS + frame(7, 0, 1, b"abc"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_protocol_violations_end_the_connection(bystander, name):
    with tls(bystander[0]) as connection:
        connection.sendall(ATTACKS[name])
        read_to_end(connection)


def flood(exchange, head, repeated, rounds=20000):
    """Send until the server has had enough."""
    with tls(exchange) as connection:
        connection.sendall(head)
        try:
            for _ in range(rounds // 100):
                connection.sendall(repeated * 100)
        except (ConnectionError, ssl.SSLError, socket.timeout):
            pass
        return read_to_end(connection)


GET = b"\x83\x87\x84\x01\x01x"  # POST, https, /, :authority x


def test_settings_flood(bystander):
    answer = flood(bystander[0], PREFACE + SETTINGS, SETTINGS)
    assert b"\x00\x00\x00\x0b" in answer  # ENHANCE_YOUR_CALM


def test_ping_flood(bystander):
    answer = flood(bystander[0], PREFACE + SETTINGS, frame(6, 0, 0, b"12345678"))
    assert b"\x00\x00\x00\x0b" in answer


def test_continuation_flood(bystander):
    assert flood(bystander[0], PREFACE + SETTINGS + frame(1, 0, 1, GET), frame(9, 0, 1, b"")) is not None


def test_rapid_reset(bystander):
    attack = PREFACE + SETTINGS
    with tls(bystander[0]) as connection:
        connection.sendall(attack)
        try:
            for stream in range(1, 40001, 2):
                connection.sendall(frame(1, 4, stream, GET) + frame(3, 0, stream, struct.pack(">I", 8)))
        except (ConnectionError, ssl.SSLError, socket.timeout):
            pass
        answer = read_to_end(connection)
    assert b"\x00\x00\x00\x0b" in answer


def test_wrong_alpn_is_refused(bystander):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        tls(bystander[0], ["http/1.1"])


def test_random_bytes(bystander):
    rng = random.Random(7)
    for port in (bystander[0].grpc_port, bystander[0].plain_port, bystander[0].http_port):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                try:
                    connection.sendall(rng.randbytes(rng.randrange(1, 4000)))
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass
                except ConnectionError:
                    pass


def test_http_server_takes_malformed_requests(bystander):
    exchange = bystander[0]
    context = ssl.create_default_context(cafile=exchange.ca_file)
    for text in (b"\r\n\r\n", b"POST /token HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                 b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
                 b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", os.urandom(2000)):
        raw = socket.create_connection(("127.0.0.1", exchange.http_port), timeout=20)
        with context.wrap_socket(raw, server_hostname="localhost") as connection:
            try:
                connection.sendall(text)
                connection.shutdown(socket.SHUT_WR)
            except (ConnectionError, ssl.SSLError):
                pass
            read_to_end(connection)
