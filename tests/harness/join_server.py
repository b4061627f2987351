"""A Join Server that speaks LoRaWAN Backend Interfaces and answers as a test tells it, over HTTP or HTTPS in threads."""
import base64
import http.server
import json
import pathlib
import ssl
import subprocess
import threading

from harness.certs import openssl


def found(net_id, tenant="", address=""):
    """Answer: the device is this network's."""
    def answer(question):
        stack = {name: value for name, value in (("HTenantID", tenant), ("HNSAddress", address)) if value}
        return 200, reply(question, "Success", HNetID=f"{net_id:06X}",
                          VSExtension={"VendorID": "EC656E", "Object": {"TTSV3": stack}})
    return answer


def refused(code, status=200):
    """Answer: a result code."""
    return lambda question: (status, reply(question, code))


def raw(status, body):
    """Answer: anything at all."""
    return lambda question: (status, body)


def changed(answer, **members):
    """Another answer with members changed."""
    def wrapped(question):
        status, body = answer(question)
        return status, {**body, **members}
    return wrapped


def reply(question, code, **members):
    body = {"ProtocolVersion": question.body["ProtocolVersion"], "TransactionID": question.body["TransactionID"],
            "MessageType": "HomeNSAns", "SenderID": question.body["ReceiverID"], "ReceiverID": question.body["SenderID"],
            "Result": {"ResultCode": code}, **members}
    if "SenderNSID" in question.body:
        body["ReceiverNSID"] = question.body["SenderNSID"]
    return body


class Question:
    """One request: its parsed body, its headers, and the name in the client's certificate."""

    def __init__(self, body, headers, client):
        self.body, self.headers, self.client = body, headers, client
        self.dev_eui = int(body["DevEUI"], 16)


class JoinServer:
    def __init__(self, folder, tls=True, client_ca=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.questions, self.answer, self.released = [], refused("UnknownDevEUI"), threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads, self.server.block_on_close = True, False
        self.port, self.ca = self.server.server_port, b""
        self.address = f"{'https' if tls else 'http'}://localhost:{self.port}/lookup"
        if tls:
            self._wrap(client_ca)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def silence(self):
        """From now on requests get no answer, until close or speak."""
        def wait(question):
            self.released.wait()
            return 503, b""
        self.released.clear()
        self.answer = wait

    def speak(self, answer):
        self.answer = answer
        self.released.set()

    def asked(self, dev_eui):
        return [q for q in self.questions if q.dev_eui == dev_eui]

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(20)

    def _wrap(self, client_ca):
        cert, key = self.folder / "server.pem", self.folder / "server-key.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30, "-subj",
                "/CN=Join Server", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        # The handshake belongs to the connection's own thread.
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.ca = cert.read_bytes()

    def _handler(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.headers["Content-Type"] == "application/json" and self.path == "/lookup"
                peer = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
                name = dict(part[0] for part in peer["subject"]).get("commonName", "") if peer else ""
                question = Question(body, dict(self.headers.items()), name)
                outer.questions.append(question)
                status, answer = outer.answer(question)
                text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def handle(self):
                try:
                    super().handle()
                except (OSError, ssl.SSLError):
                    pass  # the client gave up

            def log_message(self, *words):
                pass

        return Handler


def verify_token(exchange, token, folder):
    """Claims of a token, verified by the exchange's published keys as The Things Stack does."""
    def decode(text):
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    def integer(raw_bytes):
        value = raw_bytes.lstrip(b"\0") or b"\0"
        value = b"\0" + value if value[0] & 0x80 else value
        return b"\x02" + bytes([len(value)]) + value

    head, claims, signature = token.split(".")
    kid = json.loads(decode(head))["kid"]
    key = next(k for k in exchange.get_json("/.well-known/jwks.json")["keys"] if k["kid"] == kid)
    spki = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200" + "04") + decode(key["x"]) + decode(key["y"])
    pem, sig = pathlib.Path(folder) / "jwk.pem", pathlib.Path(folder) / "token.sig"
    pem.write_bytes(b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(spki) + b"-----END PUBLIC KEY-----\n")
    both = decode(signature)
    parts = integer(both[:32]) + integer(both[32:])
    sig.write_bytes(b"\x30" + bytes([len(parts)]) + parts)
    subprocess.run(["openssl", "dgst", "-sha256", "-verify", pem, "-signature", sig], input=f"{head}.{claims}".encode(),
                   check=True, capture_output=True)
    return json.loads(decode(claims))
