"""Random requests for port 1901. A target makes requests of one kind; the list of targets is open (TARGETS)."""
import base64
import http.client
import io
import json
import math
import random
import socket
import ssl
import urllib.parse

from google.protobuf.descriptor import FieldDescriptor as Field
from harness.api import ROOT

NET_IDS = [0xC00170 + i for i in range(6)]
TENANTS = ["acme", "others", "a", "tenant-with-a-long-name"]
CLUSTERS = ["eu1", "us1", "eu1.example.org"]
WORDS = ["", "x", "FC010000/16", "26AA0000/16", "EC656E0000000000/24", "ä€😀", "\u0000", "\ud800", "../..", "a" * 300,
         "%s%n", "'; DROP TABLE networks; --", "-1", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "1.5s", "null"]
SIGNED, UNSIGNED = [0, 1, -1, 2**31 - 1, -2**31, 2**63 - 1, -2**63, 2**63], [0, 1, 255, 2**24 - 1, 2**24, 2**32 - 1, 2**32, 2**64 - 1, 2**64]
WRONG = [None, True, {}, [], "", 0, 1e400, "NaN", [[]], {"": {}}]


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.whole = True  # False: it may wait for more, so that no answer is due

    def bytes(self):
        lines = [f"{self.method} {self.path} HTTP/1.1".encode("utf-8", "surrogatepass"), b"Host: localhost"]
        lines += [f"{name}: {value}".encode("utf-8", "surrogatepass") for name, value in self.headers]
        return b"\r\n".join(lines) + f"\r\nContent-Length: {len(self.body)}\r\n\r\n".encode() + self.body


def mutate(rng, data):
    """A few bytes of it changed."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(data)) if data else 0
        kind = rng.randrange(5)
        if kind == 0:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 4)))
        elif kind == 1:
            del data[at:at + rng.randint(1, 8)]
        elif kind == 2 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 3:
            data[at:at] = data[at:at + rng.randint(1, 30)] * rng.choice([1, 2, 50])
        else:
            data[at:at] = rng.choice([b'"', b"{", b"[", b"}", b"\\u12", b"[" * 200, b"1e999", b"\xff\xfe", b","])
    return bytes(data)


class Values:
    """JSON values of protobuf fields: mostly right, sometimes odd, now and then wrong."""

    def __init__(self, rng):
        self.rng = rng
        self.key_ids = []  # of keys that exist, or did
        self.odd = 0.15    # how often a value is one that nobody would send

    def text(self, name):
        if self.rng.random() < self.odd:
            return self.rng.choice(WORDS)
        if name.endswith("tenant_id"):
            return TENANTS[0] if self.rng.random() < 0.6 else self.rng.choice(TENANTS + [""])
        if name.endswith("cluster_id"):
            return CLUSTERS[0] if self.rng.random() < 0.6 else self.rng.choice(CLUSTERS + [""])
        if name.endswith("key_id") and self.key_ids:
            return self.rng.choice(self.key_ids)
        return self.rng.choice(["", "Name", "https://example.org/x", "a@example.org"])

    def number(self, field, pool):
        if field.name.endswith("net_id") or field.name == "value":
            return NET_IDS[0] if self.rng.random() < 0.6 else self.rng.choice(NET_IDS + [0, 0x13])
        if self.rng.random() >= self.odd:
            return self.rng.randint(0, 100)
        number = self.rng.choice(pool)
        return str(number) if self.rng.random() < 0.3 else number

    def single(self, field, depth):
        rng = self.rng
        if rng.random() < self.odd / 4:
            return rng.choice(WRONG)
        if field.message_type is not None:
            return self.message(field.message_type, depth + 1)
        if field.enum_type is not None:
            values = field.enum_type.values
            return rng.choice([99, -1, "NO_SUCH_NAME"] if rng.random() < self.odd else [rng.choice(values).name, rng.choice(values).number])
        if field.type == Field.TYPE_STRING:
            return self.text(field.name)
        if field.type == Field.TYPE_BYTES:
            data = bytes(rng.randrange(256) for _ in range(rng.choice([0, 1, 4, 8, 16, 23, 64, 300])))
            return rng.choice([base64.b64encode, base64.urlsafe_b64encode])(data).decode() if rng.random() >= self.odd / 4 else "*"
        if field.type == Field.TYPE_BOOL:
            return rng.random() < 0.5
        if field.type in (Field.TYPE_DOUBLE, Field.TYPE_FLOAT):
            return rng.choice([0, 0.5, -120.25, 868100000, 1e300, "NaN", "Infinity", math.pi])
        signed = field.type in (Field.TYPE_INT32, Field.TYPE_INT64, Field.TYPE_SINT32, Field.TYPE_SINT64)
        return self.number(field, SIGNED if signed else UNSIGNED)

    def message(self, descriptor, depth=0):
        if depth > 6:
            return {}
        rng = self.rng
        if descriptor.full_name == "google.protobuf.Timestamp":
            return rng.choice(["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5+01:00", "0001-01-01T00:00:00Z", "yesterday"][:4 if rng.random() < self.odd else 2])
        if descriptor.full_name == "google.protobuf.Duration":
            return rng.choice(["1s", "0.000000001s", "-315576000000s", "1"])
        if descriptor.file.name == "google/protobuf/wrappers.proto":
            return self.single(descriptor.fields[0], depth)
        value = {}
        for field in descriptor.fields:
            if rng.random() < 0.35:
                continue
            if field.label == Field.LABEL_REPEATED:
                items = [self.single(field, depth) for _ in range(rng.choice([0, 1, 1, 2, 3, 40 if depth == 0 else 3]))]
                value[field.camelcase_name] = items if rng.random() >= self.odd / 4 else {"x": 1}
            else:
                value[rng.choice([field.camelcase_name, field.camelcase_name, field.name])] = self.single(field, depth)
        if rng.random() < self.odd / 4:
            value[rng.choice(["nothing", "", "__proto__", "ä"])] = rng.choice(WRONG)
        return value


class JsonRpc:
    """One unary method as JSON."""

    def __init__(self, method):
        self.name, self.method = method.path, method

    def make(self, rng, values):
        values.odd = rng.choice([0, 0, 0.02, 0.2])
        body = json.dumps(values.message(self.method.request.DESCRIPTOR), ensure_ascii=rng.random() < 0.5)
        body = body.encode("utf-8", "surrogatepass")
        if values.odd and rng.random() < 0.3:
            body = mutate(rng, body)
        headers = [("Content-Type", rng.choice(["application/json"] * 40 + ["application/json; charset=utf-8", "text/plain", ""]))]
        return Request("POST", self.method.path, headers, body)


class BinaryRpc(JsonRpc):
    """The same with random protobuf: fields of right numbers with any wire type and content."""

    def make(self, rng, values):
        request = super().make(rng, values)
        body = bytearray()
        for _ in range(rng.randint(0, 6)):
            number, wire = rng.choice([f.number for f in self.method.request.DESCRIPTOR.fields] + [1, 15, 99]), rng.choice([0, 2, 2, 5, 1, 3, 7])
            body += bytes([(number & 15) << 3 | wire]) + rng.choice([b"\0", b"\1", b"\xff" * 10, b"\x03abc", b"\x7f", bytes(rng.randrange(256) for _ in range(9))])
        request.body = bytes(body)
        request.headers = [("Content-Type", "application/proto")]
        return request


class Rest:
    """GET of a path of an OpenAPI document, with its parameters in this and that form."""

    def __init__(self, base, path, operation):
        self.name, self.base, self.path, self.parameters = base + path, base, path, operation.get("parameters", [])

    def value(self, rng, name, schema):
        if rng.random() < 0.15:
            return rng.choice(WORDS + ["%", "%zz", "a,b", "[]", "1e999", "NaN", "+", "\n"])
        if "netid" in name.lower():
            return f"{rng.choice(NET_IDS):06X}"
        if name.lower().endswith(("tenantid", "clusterid")):
            return rng.choice(TENANTS + CLUSTERS)
        kind = schema.get("type", "string")
        if kind in ("integer", "number"):
            return str(rng.choice([0, 1, 10, 1000, -1, 52.37, -180, 2**31, 2**64]))
        return rng.choice(["true", "false", "2026-01-01T00:00:00Z", "gateway-1", "0004A30B001C0530", ""])

    def make(self, rng, values):
        path, query = self.path, []
        for parameter in self.parameters:
            name, schema = parameter["name"], parameter.get("schema", {})
            parts = [(sub, self.value(rng, sub, inner)) for sub, inner in schema.get("properties", {}).items() if rng.random() < 0.85]
            if parameter["in"] == "path":
                joined = ",".join(f"{k}={v}" for k, v in parts) if rng.random() < 0.8 else ",".join(v for _, v in parts)
                path = path.replace("{" + name + "}", urllib.parse.quote(joined, safe="=,", errors="surrogatepass"))
            elif rng.random() < 0.35:
                form = rng.randrange(4) if parts else 4
                pairs = [[(k, v) for k, v in parts], [(f"{name}[{k}]", v) for k, v in parts],
                         [(name, ",".join(f"{k},{v}" for k, v in parts))], [(name, ",".join(v for _, v in parts))],
                         [(name, self.value(rng, name, schema))] * rng.choice([1, 1, 1, 2])][form]
                query += [f"{urllib.parse.quote(k)}={urllib.parse.quote(v, safe=',:', errors='surrogatepass')}" for k, v in pairs]
        rng.shuffle(query)
        text = "&".join(query)
        if rng.random() < 0.05:
            text = "".join(chr(c) for c in mutate(rng, text.encode()) if 0x21 <= c < 0x7f)
        return Request(rng.choice(["GET"] * 9 + ["HEAD"]), self.base + path + ("?" + text if text else ""), [], b"")


def rest_targets(base, document):
    """The GET operations of an OpenAPI document."""
    paths = json.loads(document.read_text())["paths"]
    return [Rest(base, path, operations["get"]) for path, operations in paths.items() if "get" in operations]


class AnyPath:
    """Paths, methods and queries that nobody offers, and those of other handlers with odd contents."""
    name = "paths"

    def make(self, rng, values):
        path = rng.choice(["/", "/token", "/.well-known/jwks.json", "/org.packetbroker", "/org.", "/grpc.health.v1.Health/",
                           "/org.packetbroker.iam.v1.NetworkRegistry/ListNetworks/", "/" + "a" * rng.choice([5, 3000]),
                           "/%00", "/org.packetbroker.iam.v1.NetworkRegistry%2fListNetworks", "/api/v2/gateways", "/console"])
        path += rng.choice(["", "", "?", "?limit=1", "?" + "&".join(f"a{i}=%ff" for i in range(50)), "?%%%=+"])
        body = rng.choice([b"", b"grant_type=client_credentials&client_id=a&client_secret=b", b"{}", bytes(rng.randrange(256) for _ in range(64))])
        content = rng.choice(["application/x-www-form-urlencoded", "application/json", "x"])
        return Request(rng.choice(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "BREW"]), path, [("Content-Type", content)], body)


class Broken:
    """What is no HTTP request, or half of one."""
    name = "broken"

    def make(self, rng, values):
        request = AnyPath().make(rng, values)
        raw = mutate(rng, request.bytes())
        request.bytes, request.whole = lambda: raw[:rng.randint(0, len(raw))] if rng.random() < 0.3 else raw, False
        return request


def targets(api):
    """All targets; a new kind of handler gets a line here."""
    unary = [method for method in api.methods.values() if method.unary]
    rest = rest_targets("/api/v2", ROOT / "src/mapper/openapi.json")
    return [*(JsonRpc(method) for method in unary), *(BinaryRpc(method) for method in unary), *rest * 3, AnyPath(), Broken()]


def decorate(rng, request, credentials):
    """Headers that any request may have."""
    kind = rng.choice(["nobody"] + [kind for kind in credentials if kind != "nobody"] * 3)
    if credentials[kind]:
        request.headers.append(("Authorization", credentials[kind]))
    elif rng.random() < 0.2:
        request.headers.append(("Authorization", rng.choice(["Bearer a.b.c", "Bearer", "Basic !!", "Basic YTpi", "x" * 9000, "Bearer " + "e" * 5000])))
    for name, choices in (("Connect-Protocol-Version", ["1", "1", "2", ""]), ("Connect-Timeout-Ms", ["1000", "0", "1", "-1", "99999999999", "x"]),
                          ("Accept-Encoding", ["gzip", "gzip;q=0", "*", "br, gzip;q=0.5", ";;,q="]), ("Origin", ["https://a.example", "null"]),
                          ("Content-Encoding", ["identity", "gzip", "br"]), ("Expect", ["100-continue"]), ("X-" + "y" * 20, ["z" * 500])):
        if rng.random() < 0.04:
            request.headers.append((name, rng.choice(choices)))
    return kind


class Wire:
    """A TLS connection that is made anew whenever it ends."""

    def __init__(self, exchange):
        self.port, self.context = exchange.http_port, ssl.create_default_context(cafile=exchange.ca_file)
        self.socket = None

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def ask(self, request, seconds=30):
        """@return (status, body), or None when the server rightly ended the connection without an answer"""
        if self.socket is None:
            plain = socket.create_connection(("127.0.0.1", self.port), timeout=seconds)
            self.socket = self.context.wrap_socket(plain, server_hostname="127.0.0.1")
        try:
            self.socket.sendall(request.bytes())
            if not request.whole:
                self.close()
                return None
            answer = http.client.HTTPResponse(self.socket, method=request.method)
            answer.begin()
            while answer.status == 100:
                answer.begin()
            status, body, keep = answer.status, answer.read(), not answer.will_close
            answer.close()
            if not keep:
                self.close()
            return status, body
        except (ConnectionError, ssl.SSLEOFError, http.client.HTTPException, io.UnsupportedOperation):
            self.close()
            return None


def random_of(seed):
    return random.Random(seed)
