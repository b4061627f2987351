"""Our gRPC server and client against grpcio (gRPC C-core): every kind of call, metadata, deadlines, cancellation, gzip,
large messages, keepalive, TLS, draining."""
import concurrent.futures
import signal
import struct
import subprocess
import threading
import zlib

import grpc
import pytest

LIMITS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
BIG = bytes(range(256)) * 40960  # 10 MiB


@pytest.fixture(scope="module")
def program(build):
    return str(build / "src/wire/grpc/grpc_echo")


class Server:
    def __init__(self, program, *args):
        self.process = subprocess.Popen([program, "serve", *args], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])
        self.address = f"localhost:{self.port}"

    def stop(self):
        """End it the hard way when it does not end by itself; its exit code tells of memory errors."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()


@pytest.fixture(scope="module")
def server(program):
    server = Server(program)
    yield server
    assert server.stop() == 0


def open_channel(address, *options, **more):
    return grpc.insecure_channel(address, options=[*LIMITS, *options], **more)


@pytest.fixture
def channel(server):
    with open_channel(server.address) as channel:
        yield channel


def unary(channel, method="Unary"):
    return channel.unary_unary(f"/echo.Echo/{method}")


def test_unary(channel):
    assert unary(channel)(b"hello", timeout=20) == b"hello"
    assert unary(channel)(b"", timeout=20) == b""


def test_many_at_once(channel):
    calls = [unary(channel).future(b"%d" % i, timeout=60) for i in range(2000)]
    assert [call.result() for call in calls] == [b"%d" % i for i in range(2000)]


def test_large_messages(channel):
    calls = [unary(channel).future(BIG, timeout=60) for _ in range(3)]
    assert all(call.result() == BIG for call in calls)
    exact = bytes(16 * 1024 * 1024)
    assert unary(channel)(exact, timeout=60) == exact


def test_too_large_message(channel):
    with pytest.raises(grpc.RpcError) as error:
        unary(channel)(bytes(16 * 1024 * 1024 + 1), timeout=60)
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert unary(channel)(b"still there", timeout=20) == b"still there"


def test_server_stream(channel):
    payload = b"p" * 1000
    answers = list(channel.unary_stream("/echo.Echo/ServerStream")(struct.pack(">I", 5000) + payload, timeout=60))
    assert answers == [payload] * 5000


def test_client_stream(channel):
    answer = channel.stream_unary("/echo.Echo/ClientStream")((bytes(i) for i in range(1000)), timeout=60)
    assert struct.unpack(">IQ", answer) == (1000, 499500)


def test_paused_stream(channel):
    """The server takes nothing after the first message until it is told; the deadline ends the call."""
    with pytest.raises(grpc.RpcError) as error:
        channel.stream_unary("/echo.Echo/Pauses")((bytes(100000) for _ in range(100)), timeout=1)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_bidi(channel):
    ready = threading.Semaphore(0)

    def requests():
        for i in range(100):
            yield b"%d" % i
            ready.acquire()

    for i, answer in enumerate(channel.stream_stream("/echo.Echo/Bidi")(requests(), timeout=60)):
        assert answer == b"%d" % i
        ready.release()
    assert i == 99


def test_bidi_much(channel):
    messages = [bytes([i]) * 200000 for i in range(100)]
    assert list(channel.stream_stream("/echo.Echo/Bidi")(iter(messages), timeout=60)) == messages


def test_metadata(channel):
    metadata = [("x-text", "some text"), ("x-data-bin", b"\x00\x01\xfe\xff"), ("x-data-bin", b"second")]
    answer = unary(channel, "Meta")(b"", timeout=30, metadata=metadata)
    assert answer == b"some text\0" + b"\x00\x01\xfe\xff" + b"\0" + b"30"
    assert unary(channel, "Meta")(b"", metadata=[("x-text", "t")]) == b"t\0\0none"


def test_long_token(channel):
    token = "Bearer " + "x" * 6000
    for _ in range(3):
        assert unary(channel)(b"a", timeout=20, metadata=[("authorization", token)]) == b"a"


def test_too_much_metadata(channel):
    metadata = [("x-%d" % i, "v" * 1000) for i in range(60)]
    with pytest.raises(grpc.RpcError) as error:
        unary(channel)(b"a", timeout=20, metadata=metadata)
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("code", [c for c in grpc.StatusCode if c != grpc.StatusCode.OK])
def test_status(channel, code):
    number = code.value[0]
    call = unary(channel, "Fail").future(b"detail bytes", timeout=20,
                                         metadata=[("x-code", str(number)), ("x-message", "what happened: 100%")])
    assert call.code() == code
    assert call.details() == "what happened: 100%"
    assert dict(call.trailing_metadata())["grpc-status-details-bin"] == b"detail bytes"


def test_unimplemented(channel):
    call = channel.unary_unary("/echo.Echo/Nothing").future(b"", timeout=20)
    assert call.code() == grpc.StatusCode.UNIMPLEMENTED
    assert call.details() == "no such method"


def test_deadline(channel):
    call = unary(channel, "Hang").future(b"x", timeout=0.3)
    assert call.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_head_comes_before_messages(channel):
    call = channel.unary_stream("/echo.Echo/Hang")(b"x", timeout=60)
    assert call.initial_metadata() is not None
    call.cancel()
    assert call.code() == grpc.StatusCode.CANCELLED


def test_cancel_in_stream(channel):
    for _ in range(20):
        call = channel.unary_stream("/echo.Echo/ServerStream")(struct.pack(">I", 1000000) + b"x" * 100, timeout=60)
        assert next(call) == b"x" * 100
        call.cancel()
        assert call.code() == grpc.StatusCode.CANCELLED
    assert unary(channel)(b"still there", timeout=20) == b"still there"


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.NoCompression])
def test_gzip(server, compression):
    with open_channel(server.address, compression=compression) as channel:
        for message in (b"small", b"a" * 100000, BIG):
            assert unary(channel)(message, timeout=60) == message
        messages = [b"b" * i for i in range(0, 20000, 1000)]
        assert list(channel.stream_stream("/echo.Echo/Bidi")(iter(messages), timeout=60)) == messages


def test_deflate_is_refused(server):
    with open_channel(server.address, compression=grpc.Compression.Deflate) as channel:
        call = unary(channel).future(b"a" * 1000, timeout=20)
        assert call.code() == grpc.StatusCode.UNIMPLEMENTED


def keepalive_channel(server, interval_ms):
    return open_channel(server.address, ("grpc.keepalive_time_ms", interval_ms),
                        ("grpc.keepalive_timeout_ms", 20000), ("grpc.keepalive_permit_without_calls", 1),
                        ("grpc.http2.max_pings_without_data", 0),
                        ("grpc.http2.min_time_between_pings_ms", interval_ms),
                        ("grpc.http2.min_sent_ping_interval_without_data_ms", interval_ms))


def test_keepalive(program):
    """Pings in time keep the call; the deadline ends it."""
    server = Server(program, "--min-ping", "100000")
    with keepalive_channel(server, 150) as channel:
        assert unary(channel, "Hang").future(b"", timeout=3).code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert server.stop() == 0


def test_too_many_pings(program, capfd):
    server = Server(program)
    with keepalive_channel(server, 100) as channel:
        call = unary(channel, "Hang").future(b"", timeout=60)
        assert call.code() == grpc.StatusCode.UNAVAILABLE
    assert server.stop() == 0
    assert "ENHANCE_YOUR_CALM" in (said := capfd.readouterr().err) and "too_many_pings" in said


def test_drain(program):
    """After SIGTERM open calls go on, then the server ends."""
    server = Server(program)
    go_on = threading.Event()

    def requests():
        yield b"before"
        go_on.wait(60)
        yield b"after"

    with open_channel(server.address) as channel:
        call = channel.stream_stream("/echo.Echo/Bidi")(requests(), timeout=60)
        assert next(call) == b"before"
        server.process.send_signal(signal.SIGTERM)
        with open_channel(server.address) as other:  # nobody listens any more, sooner or later
            for _ in range(1000):
                if unary(other).future(b"x", timeout=10).code() == grpc.StatusCode.UNAVAILABLE:
                    break
            else:
                pytest.fail("the server still takes connections")
        go_on.set()
        assert list(call) == [b"after"]
        assert server.process.wait(30) == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
                    str(folder / "key.pem"), "-out", str(folder / "cert.pem")], check=True, capture_output=True)
    return folder


def test_tls(program, certificate):
    server = Server(program, "--tls", str(certificate / "cert.pem"), str(certificate / "key.pem"))
    credentials = grpc.ssl_channel_credentials((certificate / "cert.pem").read_bytes())
    with grpc.secure_channel(server.address, credentials, options=LIMITS) as channel:
        assert unary(channel)(b"hello", timeout=20) == b"hello"
        assert unary(channel)(BIG, timeout=60) == BIG
        answers = channel.unary_stream("/echo.Echo/ServerStream")(struct.pack(">I", 3000) + b"x" * 500, timeout=60)
        assert sum(len(a) for a in answers) == 1500000
    assert server.stop() == 0


# --- our client against grpcio's server ---

class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        method = details.method.rsplit("/", 1)[1]
        if method == "Unary":
            return grpc.unary_unary_rpc_method_handler(lambda request, context: request)
        if method == "ServerStream":
            return grpc.unary_stream_rpc_method_handler(
                lambda request, context: (request[1:] for _ in range(request[0])))
        if method == "ClientStream":
            return grpc.stream_unary_rpc_method_handler(
                lambda requests, context: b"%d" % sum(len(r) for r in requests))
        if method == "Bidi":
            return grpc.stream_stream_rpc_method_handler(lambda requests, context: requests)
        if method == "Meta":
            return grpc.unary_unary_rpc_method_handler(self.meta)
        if method == "Fail":
            return grpc.unary_unary_rpc_method_handler(self.fail)
        if method == "Hang":
            return grpc.unary_stream_rpc_method_handler(self.hang)
        return None

    @staticmethod
    def meta(request, context):
        found = dict(context.invocation_metadata())
        return b"|".join([found["x-text"].encode(), found["x-data-bin"], found["user-agent"].encode(),
                          b"%d" % round(context.time_remaining())])

    @staticmethod
    def fail(request, context):
        context.set_trailing_metadata([("grpc-status-details-bin", b"12345")])
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "gr\u00fcn % rot")

    def hang(self, request, context):
        context.add_callback(self.hung.set)
        yield b"first"
        self.hung.wait(60)

    hung = threading.Event()


@pytest.fixture(scope="module")
def peer(certificate):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), handlers=[Handler()], options=LIMITS)
    plain = server.add_insecure_port("localhost:0")
    pair = ((certificate / "key.pem").read_bytes(), (certificate / "cert.pem").read_bytes())
    secure = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pair]))
    server.start()
    yield f"localhost:{plain}", f"localhost:{secure}"
    server.stop(None)


@pytest.fixture(params=["plain", "tls", "gzip"])
def call(request, program, peer, certificate):
    def run(method, *args):
        more = {"plain": [], "gzip": ["--gzip"], "tls": ["--tls", str(certificate / "cert.pem")]}[request.param]
        address = peer[1] if request.param == "tls" else peer[0]
        result = subprocess.run([program, "call", address, "/echo.Echo/" + method, *more, *args], check=True, timeout=60,
                                capture_output=True, text=True)
        lines = result.stdout.splitlines()
        return lines[:-1], lines[-1]
    return run


def line_of(message):
    return f"message {len(message)} {zlib.crc32(message):08x}"


def test_client_unary(call):
    assert call("Unary", "--message", "hello") == ([line_of(b"hello")], "status 0 0 ")


def test_client_large(call):
    size = 10 * 1024 * 1024
    assert call("Unary", "--zeros", str(size)) == ([line_of(bytes(size))], "status 0 0 ")


def test_client_server_stream(call):
    assert call("ServerStream", "--message", "dabc") == ([line_of(b"abc")] * ord("d"), "status 0 0 ")


def test_client_client_stream(call):
    assert call("ClientStream", *(["--zeros", "300000"] * 20)) == ([line_of(b"6000000")], "status 0 0 ")


def test_client_bidi(call):
    texts = [f"message {i}" for i in range(30)]
    args = [a for text in texts for a in ("--message", text)]
    assert call("Bidi", *args) == ([line_of(t.encode()) for t in texts], "status 0 0 ")


def test_client_metadata(call):
    messages, status = call("Meta", "--message", "x", "--meta", "x-text", "tt", "--meta", "x-data-bin", "b\x02b",
                            "--timeout", "30000000")
    assert status == "status 0 0 "
    assert messages == [line_of(b"tt|b\x02b|lpx|30")]


def test_client_failure(call):
    assert call("Fail", "--message", "x") == ([], "status 9 5 gr\u00fcn % rot")


def test_client_unimplemented(call):
    assert call("Nothing")[1].startswith("status 12 0 ")


def test_client_deadline(call):
    Handler.hung.clear()
    messages, status = call("Hang", "--message", "x", "--timeout", "500000")
    assert messages == [line_of(b"first")]
    assert status.startswith("status 4 0 ")
    assert Handler.hung.wait(20)


def test_client_cancel(call):
    Handler.hung.clear()
    messages, status = call("Hang", "--message", "x", "--cancel-after", "1")
    assert messages == [line_of(b"first")]
    assert status.startswith("status 1 0 ")
    assert Handler.hung.wait(20)
