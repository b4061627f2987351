"""The fronts of every call: JSON over HTTP, health, reflection, metrics."""
import base64
import gzip
import http.client
import json
import signal
import ssl
import threading

import grpc
import pytest
from google.protobuf import json_format
from harness.api import load_api
from harness.exchange import wait_until
from harness.frames import data_frame, uplink
from harness.members import Admin

HEALTH, LIST = "/grpc.health.v1.Health/Check", "/org.packetbroker.iam.v1.NetworkRegistry/ListNetworks"
GET, CREATE = "/org.packetbroker.iam.v1.NetworkRegistry/GetNetwork", "/org.packetbroker.iam.v1.NetworkRegistry/CreateNetwork"
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3


class Web:
    """A client of port 1901 that keeps its connection."""

    def __init__(self, exchange):
        context = ssl.create_default_context(cafile=exchange.ca_file)
        self.connection = http.client.HTTPSConnection("127.0.0.1", exchange.http_port, timeout=30, context=context)
        self.admin = {"Authorization": exchange.admin_metadata()[0][1]}

    def ask(self, method, path, body=None, **headers):
        """@return (status, headers, body)"""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def post(self, path, message, **headers):
        """@return (status, parsed JSON)"""
        headers = {"Content_Type": "application/json", **headers}
        body = message if isinstance(message, (bytes, str)) else json.dumps(message)
        status, answered, body = self.ask("POST", path, body, **headers)
        assert answered["Content-Type"] == "application/json"
        return status, json.loads(body)


@pytest.fixture(scope="module")
def api():
    return load_api()


@pytest.fixture
def web(shared_exchange):
    web = Web(shared_exchange)
    yield web
    web.connection.close()


@pytest.fixture(scope="module")
def network(shared_exchange):
    return Admin(shared_exchange).create_network(0xC00115, "Fifteen")


# JSON


def test_a_method_answers_json(web, network):
    status, answer = web.post(GET, {"netId": network.net_id}, **web.admin)
    assert status == 200, answer
    assert answer["network"]["netId"] == network.net_id and answer["network"]["name"] == "Fifteen"
    assert "listed" not in answer["network"]  # what is not set is left out
    assert web.post(GET, {"net_id": network.net_id}, **web.admin)[0] == 200  # the names of the .proto file too


def test_a_method_writes_and_its_empty_answer_is_an_object(web):
    status, answer = web.post(CREATE, {"network": {"netId": 0xC00116, "name": "By JSON"}}, **web.admin)
    assert status == 200 and answer["network"]["name"] == "By JSON"
    status, answer = web.post("/org.packetbroker.iam.v1.NetworkRegistry/DeleteNetwork", {"netId": 0xC00116}, **web.admin)
    assert (status, answer) == (200, {})


def test_binary_messages_work_too(web, api, network):
    method = api.methods[GET]
    status, headers, body = web.ask("POST", GET, method.request(net_id=network.net_id).SerializeToString(),
                                    Content_Type="application/proto", **web.admin)
    assert status == 200 and headers["Content-Type"] == "application/proto"
    assert method.response.FromString(body).network.name == "Fifteen"


def test_errors_say_what_grpc_says(web, shared_exchange, api):
    status, answer = web.post(GET, {"netId": 0xC0FFEE}, **web.admin)
    assert status == 404 and answer["code"] == "not_found"
    with pytest.raises(grpc.RpcError) as error:
        api.methods[GET].call(shared_exchange.channel(), api.methods[GET].request(net_id=0xC0FFEE),
                              shared_exchange.admin_metadata())
    assert answer["message"] == error.value.details()
    detail, = answer["details"]
    info = api.message_class("google.rpc.ErrorInfo").FromString(base64.b64decode(detail["value"] + "=="))
    assert detail["type"] == "google.rpc.ErrorInfo" and info.domain == "lpx"
    assert detail["debug"] == {"reason": info.reason, "domain": "lpx"}


@pytest.mark.parametrize("path, body, headers, status, code", [
    (LIST, "{}", {}, 401, "unauthenticated"),
    (LIST, "{}", {"Authorization": "Bearer a.b.c"}, 401, "unauthenticated"),
    (LIST, "{}", {"Authorization": "Basic YWRtaW46d3Jvbmc="}, 401, "unauthenticated"),
    (LIST, "{}", {"Authorization": "Digest x"}, 401, "unauthenticated"),
    ("/org.packetbroker.iam.v1.NetworkRegistry/Nothing", "{}", {}, 404, "unimplemented"),
    ("/org.packetbroker.nothing.v1.X/Y", "{}", {}, 404, "unimplemented"),
    ("/grpc.health.v1.Health/Watch", "{}", {}, 501, "unimplemented"),
    (HEALTH, "{}", {"Content_Type": "text/plain"}, 415, "invalid_argument"),
    (HEALTH, "{}", {"Content_Type": "application/connect+json"}, 415, "invalid_argument"),
    (HEALTH, "{}", {"Content_Encoding": "gzip"}, 501, "unimplemented"),
    (HEALTH, "{}", {"Connect_Protocol_Version": "2"}, 400, "invalid_argument"),
    (HEALTH, "{}", {"Connect_Timeout_Ms": "soon"}, 400, "invalid_argument"),
    (HEALTH, "{}", {"Connect_Timeout_Ms": "12345678901"}, 400, "invalid_argument"),
    (HEALTH, "", {}, 400, "invalid_argument"),
    (HEALTH, "{", {}, 400, "invalid_argument"),
    (HEALTH, "[]", {}, 400, "invalid_argument"),
    (HEALTH, '{"nothing": 1}', {}, 400, "invalid_argument"),
    (HEALTH, '{"service": 1}', {}, 400, "invalid_argument"),
    (HEALTH, '{"service": "no.such.Service"}', {}, 404, "not_found"),
])
def test_errors_have_the_statuses_of_the_protocol(web, path, body, headers, status, code):
    got, answer = web.post(path, body, **headers)
    assert (got, answer["code"]) == (status, code), answer
    assert answer["message"]


def test_headers_of_errors(web):
    assert web.ask("POST", LIST, "{}", Content_Type="application/json")[1]["WWW-Authenticate"] == "Bearer"
    assert "application/json" in web.ask("POST", HEALTH, "{}", Content_Type="text/plain")[1]["Accept-Post"]
    status, headers, _ = web.ask("GET", HEALTH)
    assert status == 405 and headers["Allow"] == "POST"


def test_the_protocol_version_may_be_named(web):
    assert web.post(HEALTH, {}, Connect_Protocol_Version="1", Connect_Timeout_Ms="10000") == (200, {"status": "SERVING"})


def test_no_time_is_little_time(web):
    """Whatever comes first: the answer or the end of the time."""
    status, answer = web.post(LIST, {}, Connect_Timeout_Ms="0", Authorization="Basic YWRtaW46d3Jvbmcx")
    assert (status, answer["code"]) in ((504, "deadline_exceeded"), (401, "unauthenticated"))
    assert web.post(HEALTH, {})[0] == 200


def test_answers_are_compressed_for_who_wants_it(web):
    for number in range(40):
        web.post(CREATE, {"network": {"netId": 0xC00200 + number, "name": f"Network of many {number}"}}, **web.admin)
    plain = web.ask("POST", LIST, '{"limit": 50}', Content_Type="application/json", **web.admin)
    packed = web.ask("POST", LIST, '{"limit": 50}', Content_Type="application/json", Accept_Encoding="gzip", **web.admin)
    assert plain[0] == packed[0] == 200, plain
    assert plain[1]["Content-Encoding"] is None and packed[1]["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in plain[1].get_all("Vary") and "Accept-Encoding" in packed[1].get_all("Vary")
    assert json.loads(plain[2]) == json.loads(gzip.decompress(packed[2]))


def test_an_uplink_as_json_reaches_its_home_network(web, shared_exchange):
    admin, home_id, base = Admin(shared_exchange), 0x600115, 0xE0000000 | 0x115 << 17
    admin.create_network(0xC00117)
    admin.create_network(home_id, blocks=[(base, 15)])
    forwarder, home = admin.member(0xC00117), admin.member(home_id)
    stream, phy = home.subscribe_home("json"), data_frame(base + 1)

    status, answer = web.post("/org.packetbroker.routing.v1.ForwarderData/Publish",
                              {"forwarderNetId": 0xC00117, "message": json_format.MessageToDict(uplink(shared_exchange.pb, phy))},
                              Authorization=f"Bearer {forwarder.token}")
    assert status == 200, answer
    got = stream.next()
    assert got.id == answer["id"] and got.message.phy_payload.plain == phy
    stream.call.cancel()


def test_many_clients_at_once(shared_exchange, network):
    failures = []

    def work():
        web = Web(shared_exchange)
        for _ in range(20):
            status, answer = web.post(GET, {"netId": network.net_id}, **web.admin)
            if status != 200:
                failures.append(answer)
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_pages_of_other_origins_get_in_only_when_allowed(web, exchange):
    status, headers, _ = web.ask("OPTIONS", HEALTH, Origin="https://console.example.org")
    assert status == 405 and headers["Access-Control-Allow-Origin"] is None
    exchange.settings["http.cors-origins"] = "https://console.example.org"
    own = Web(exchange.start())
    status, headers, _ = own.ask("OPTIONS", HEALTH, Origin="https://console.example.org",
                                 Access_Control_Request_Method="POST")
    assert status == 204 and headers["Access-Control-Allow-Origin"] == "https://console.example.org"
    assert "Authorization" in headers["Access-Control-Allow-Headers"] and headers["Access-Control-Allow-Methods"] == "POST"
    assert headers["Access-Control-Allow-Credentials"] is None
    for origin, allowed in (("https://console.example.org", "https://console.example.org"), ("https://evil.example", None)):
        status, headers, _ = own.ask("POST", HEALTH, "{}", Content_Type="application/json", Origin=origin)
        assert status == 200 and headers["Access-Control-Allow-Origin"] == allowed and headers["Vary"] == "Origin"
    status, headers, _ = own.ask("POST", LIST, "{}", Content_Type="application/json", Origin="https://console.example.org")
    assert status == 401 and headers["Access-Control-Allow-Origin"] == "https://console.example.org"


# Health


def check(api, channel, service=""):
    method = api.methods[HEALTH]
    return method.call(channel, method.request(service=service)).status


def test_health_knows_each_service(shared_exchange, api):
    channel = shared_exchange.channel()
    for service in ("", "grpc.health.v1.Health", "org.packetbroker.routing.v1.ForwarderData"):
        assert check(api, channel, service) == SERVING
    with pytest.raises(grpc.RpcError) as error:
        check(api, channel, "org.packetbroker.routing.v1.Forwarder")
    assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_watchers_hear_of_the_end(exchange, api):
    exchange.start(**{"server.drain": "20s"})
    channel, watch = exchange.channel(), api.methods["/grpc.health.v1.Health/Watch"]
    known, unknown = (watch.call(channel, watch.request(service=name)) for name in ("", "no.such.Service"))
    assert next(known).status == SERVING and next(unknown).status == SERVICE_UNKNOWN
    exchange.process.send_signal(signal.SIGTERM)
    assert next(known).status == NOT_SERVING
    for stream in (known, unknown):
        with pytest.raises(grpc.RpcError) as error:
            next(stream)
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    channel.close()
    exchange.stop()


def test_health_of_a_process_with_fewer_roles(exchange, api):
    exchange.start(roles="iam")
    channel = exchange.channel()
    assert check(api, channel, "org.packetbroker.iam.v1.NetworkRegistry") == SERVING
    with pytest.raises(grpc.RpcError) as error:
        check(api, channel, "org.packetbroker.routing.v1.ForwarderData")
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    assert "org.packetbroker.routing.v1.ForwarderData" not in Reflection(api, channel, "v1").services()


# Reflection


class Reflection:
    def __init__(self, api, channel, version):
        self.method, self.channel = api.methods[f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"], channel

    def ask(self, *requests):
        method = self.method
        stream = self.channel.stream_stream(method.path, method.request.SerializeToString, method.response.FromString)
        return list(stream(iter([method.request(**request) for request in requests]), timeout=20))

    def services(self):
        answer, = self.ask({"list_services": ""})
        return sorted(service.name for service in answer.list_services_response.service)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_lists_what_is_served(shared_exchange, api, version):
    services = Reflection(api, shared_exchange.channel(), version).services()
    assert set(services) <= set(api.services)
    assert {"grpc.health.v1.Health", f"grpc.reflection.{version}.ServerReflection",
            "org.packetbroker.iam.v2.NetworkAPIKeyVault", "org.packetbroker.routing.v1.HomeNetworkData"} <= set(services)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_is_enough_to_call_every_service(shared_exchange, api, version):
    from google.protobuf import descriptor_pb2, descriptor_pool
    reflection = Reflection(api, shared_exchange.channel(), version)
    services = reflection.services()
    answers = reflection.ask(*({"file_containing_symbol": name} for name in services))
    assert [answer.original_request.file_containing_symbol for answer in answers] == services
    for service, answer in zip(services, answers):
        files = {}
        for raw in answer.file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(raw)
            files[file.name] = file
        pool, added = descriptor_pool.DescriptorPool(), set()

        def add(name):
            if name not in added:
                added.add(name)
                for other in files[name].dependency:
                    add(other)
                pool.Add(files[name])
        for name in list(files):
            add(name)
        methods = pool.FindServiceByName(service).methods
        assert {f"/{service}/{m.name}" for m in methods} == {p for p, m in api.methods.items() if m.service == service}


def test_reflection_answers_one_question_after_the_other(shared_exchange, api):
    names = [file.name for file in api.files]
    answers = Reflection(api, shared_exchange.channel(), "v1").ask(
        *({"file_by_filename": name} for name in names * 20),
        {"file_by_filename": "no/such.proto"}, {"file_containing_symbol": "no.such.Symbol"},
        {"all_extension_numbers_of_type": "org.packetbroker.v3.Network"},
        {"all_extension_numbers_of_type": "no.such.Type"},
        {"file_containing_extension": {"containing_type": "org.packetbroker.v3.Network", "extension_number": 1}}, {})
    assert len(answers) == len(names) * 20 + 6
    for name, answer in zip(names * 20, answers):
        assert answer.file_descriptor_response.file_descriptor_proto, name
    file, symbol, none, no_type, extension, nothing = answers[-6:]
    assert none.all_extension_numbers_response.base_type_name == "org.packetbroker.v3.Network"
    assert not none.all_extension_numbers_response.extension_number
    assert {a.error_response.error_code for a in (file, symbol, no_type, extension, nothing)} == {5}


def test_a_reader_that_is_slow_holds_its_questions_up(shared_exchange, api):
    """Far more answers than any buffer holds, read only after all is asked: they all come, in order."""
    method = api.methods["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"]
    channel, count = shared_exchange.channel(), 400
    stream = channel.stream_stream(method.path, method.request.SerializeToString, method.response.FromString)
    answers = stream(iter([method.request(host=str(number), file_containing_symbol="org.packetbroker.routing.v1.ForwarderData")
                           for number in range(count)]), timeout=60)
    assert [answer.valid_host for answer in answers] == [str(number) for number in range(count)]


def test_a_stream_of_requests_refuses_what_is_no_message(shared_exchange):
    stream = shared_exchange.channel().stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    with pytest.raises(grpc.RpcError) as error:
        list(stream(iter([b"\xff\xff"]), timeout=20))
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_stream_of_requests_waits_until_it_is_known_who_asks(shared_exchange, api):
    """The password takes a while to check: what was asked meanwhile is answered after it. Never seen credentials each
    time, so that none is known already: the scheme may be written in any case."""
    method, basic = api.methods["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"], shared_exchange.admin_metadata()[0][1]
    stream = shared_exchange.channel().stream_stream(method.path, method.request.SerializeToString, method.response.FromString)
    for scheme in ("basic", "bASIC", "BASIC"):
        requests = iter([method.request(host=str(number), list_services="") for number in range(50)])
        answers = stream(requests, metadata=(("authorization", basic.replace("Basic", scheme)),), timeout=30)
        assert [answer.valid_host for answer in answers] == [str(number) for number in range(50)]
    with pytest.raises(grpc.RpcError) as error:
        list(stream(iter([method.request(list_services="")]), metadata=(("authorization", "Basic YWRtaW46eA=="),), timeout=30))
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED


# Readiness and metrics


def test_a_process_that_drains_is_not_ready(exchange):
    exchange.start(**{"server.drain": "30s"})

    def ready():
        connection = http.client.HTTPConnection("127.0.0.1", exchange.metrics_port, timeout=20)
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
        connection.close()
        return status
    web = Web(exchange)
    web.connection.putrequest("POST", HEALTH)
    web.connection.putheader("Content-Type", "application/json")
    web.connection.putheader("Content-Length", "2")
    web.connection.endheaders(b"{")
    assert ready() == 200
    exchange.process.send_signal(signal.SIGTERM)
    wait_until(lambda: ready() == 503, what="the end of readiness")
    web.connection.send(b"}")  # what has begun is answered, and tells that it is over
    answer = web.connection.getresponse()
    assert json.loads(answer.read()) == {"status": "NOT_SERVING"}
    web.connection.close()
    exchange.stop()


def test_calls_are_counted_by_method_and_code(shared_exchange, web, api):
    def count(path, code):
        return shared_exchange.metrics().get(f'lpx_rpc_calls_total{{method="{path}",code="{code}"}}', 0)
    before = {code: count(GET, code) for code in ("OK", "NOT_FOUND", "UNAUTHENTICATED")}
    unknown = count("unknown", "UNIMPLEMENTED")
    web.post(GET, {"netId": 0xC0FFEE}, **web.admin)
    web.post(GET, {"netId": 0xC0FFEE})
    with pytest.raises(grpc.RpcError):
        api.methods[GET].call(shared_exchange.channel(), metadata=(("authorization", "Bearer x"),))
    web.post("/org.packetbroker.iam.v1.NetworkRegistry/Nothing", {})
    assert count(GET, "OK") == before["OK"]
    assert count(GET, "NOT_FOUND") == before["NOT_FOUND"] + 1
    assert count(GET, "UNAUTHENTICATED") == before["UNAUTHENTICATED"] + 2
    assert count("unknown", "UNIMPLEMENTED") == unknown + 1


def test_open_streams_and_durations_are_shown(shared_exchange, api):
    channel, watch = shared_exchange.channel(), api.methods["/grpc.health.v1.Health/Watch"]
    name = f'lpx_rpc_calls_open{{method="{watch.path}"}}'
    stream = watch.call(channel)
    next(stream)
    metrics = shared_exchange.metrics()
    assert metrics[name] == 1 and metrics["lpx_grpc_connections"] >= 1
    stream.cancel()
    wait_until(lambda: shared_exchange.metrics()[name] == 0, what="the end of the stream")
    metrics, labels = shared_exchange.metrics(), f'method="{HEALTH}"'
    steps = [v for k, v in metrics.items() if k.startswith(f"lpx_rpc_duration_seconds_bucket{{{labels}")]
    assert steps == sorted(steps) and steps[-1] == metrics[f"lpx_rpc_duration_seconds_count{{{labels}}}"] > 0
