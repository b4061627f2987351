"""The map of gateways on the real server: what forwarders tell, who sees what, and the REST API."""
import contextlib
import gzip
import http.client
import json
import socket
import sqlite3
import ssl
import time
import urllib.parse

import grpc
import pytest
from google.protobuf import duration_pb2, wrappers_pb2

from harness.exchange import Exchange, wait_until
from harness.members import ALL_RIGHTS, Admin

FORWARDER, HOME, OTHER = 0xC00048, 0xC00049, 0xC0004A
RIGHTS = [*ALL_RIGHTS, 8, 9]
EVERYTHING = ("location", "antenna_placement", "antenna_count", "fine_timestamps", "contact_info", "status",
              "frequency_plan", "packet_rates")
EUI = 0x58A0CBFFFE800001


class Rest:
    """GET over HTTPS, answers as they are."""

    def __init__(self, exchange):
        self.exchange = exchange

    def get(self, path, params=(), token=None, raw=False, **headers):
        context = ssl.create_default_context(cafile=self.exchange.ca_file)
        connection = http.client.HTTPSConnection("127.0.0.1", self.exchange.http_port, context=context, timeout=60)
        query = "?" + urllib.parse.urlencode(params) if params else ""
        if token is not None:
            headers["Authorization"] = token if " " in token else f"Bearer {token}"
        with contextlib.closing(connection):
            connection.request("GET", "/api/v2" + path + query, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        return (answer, body) if raw else (answer.status, json.loads(body))

    def list(self, token=None, **params):
        status, found = self.get("/gateways", params, token)
        assert status == 200, found
        return found

    def ids(self, token=None, **params):
        return sorted(g["id"] for g in self.list(token, **params))

    def one(self, gateway, token=None, tenant="ttn", net_id=FORWARDER):
        return self.get(f"/gateways/netID={net_id:06X},tenantID={tenant},id={gateway}", token=token)


class World:
    def __init__(self, exchange):
        self.exchange, self.pb, self.rest = exchange, exchange.pb, Rest(exchange)
        self.admin = Admin(exchange)
        self.channel = exchange.channel()
        self.mapper = self.pb.mapping2.MapperStub(self.channel)
        self.visibilities = self.pb.mapping2.GatewayVisibilityManagerStub(self.channel)

    def members(self):
        for net_id in (FORWARDER, HOME, OTHER):
            self.admin.create_network(net_id)
        for net_id, tenant in ((FORWARDER, "ttn"), (FORWARDER, "acme"), (HOME, "ttn"), (HOME, "two")):
            self.admin.create_tenant(net_id, tenant)
        self.ttn = self.member(FORWARDER, "ttn")
        return self

    def member(self, net_id, tenant=""):
        return self.admin.member(net_id, tenant, rights=RIGHTS)

    def update(self, member, gateway="gw", tenant=None, cluster="eu1", eui=None, **fields):
        v3 = self.pb.v3
        identifier = gateway if not isinstance(gateway, str) else v3.GatewayIdentifier(plain=gateway)
        if eui is not None:
            identifier.eui.value = eui
        request = self.pb.mapping2.UpdateGatewayRequest(
            forwarder_net_id=member.net_id, forwarder_tenant_id=member.tenant_id if tenant is None else tenant,
            forwarder_cluster_id=cluster, forwarder_gateway_id=identifier, **fields)
        self.mapper.UpdateGateway(request, metadata=member.metadata, timeout=20)

    def terrestrial(self, latitude=None, longitude=0.0, **fields):
        place = None if latitude is None else self.pb.v3.Location(latitude=latitude, longitude=longitude)
        terrestrial = self.pb.v3.GatewayLocation.Terrestrial(location=place, **fields)
        return self.pb.v3.GatewayLocationValue(location=self.pb.v3.GatewayLocation(terrestrial=terrestrial))

    def online(self, seconds=600.0):
        ttl = duration_pb2.Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))
        return {"online": wrappers_pb2.BoolValue(value=True), "online_ttl": ttl}

    def show(self, member, *flags, home=None):
        fields = dict(forwarder_net_id=member.net_id, forwarder_tenant_id=member.tenant_id, **dict.fromkeys(flags, True))
        if home is not None:
            fields.update(home_network_net_id=home[0], home_network_tenant_id=home[1])
        request = self.pb.mapping2.SetGatewayVisibilityRequest(visibility=self.pb.v3.GatewayVisibility(**fields))
        call = self.visibilities.SetDefaultVisibility if home is None else self.visibilities.SetHomeNetworkVisibility
        call(request, metadata=member.metadata, timeout=20)


@pytest.fixture(scope="module")
def world(build, pb, tmp_path_factory):
    exchange = Exchange(build, pb, tmp_path_factory.mktemp("mapper"), **{"mapper.requests-per-minute": 0,
                                                                         "iam.issuer": "https://map.example:1901"})
    exchange.start()
    yield World(exchange).members()
    exchange.stop()


def eventually(condition, what="the map"):
    return wait_until(condition, what=what)


def test_what_a_forwarder_tells(world):
    """Connect, tell rates from time to time, withdraw the location, withdraw the status: as The Things Stack does."""
    v3, rest = world.pb.v3, world.rest
    gateway = world.member(FORWARDER, "acme")
    world.show(gateway, *EVERYTHING)
    plan = v3.GatewayFrequencyPlan(
        region=v3.EU_863_870, lora_multi_sf_channels=[{"frequency": 868100000}, {"frequency": 868300000}],
        lora_single_sf_channels=[{"frequency": 868300000, "spreading_factor": 7, "bandwidth": 250000}],
        fsk_channel={"frequency": 868800000})
    contact = v3.ContactInfoValue(value=v3.ContactInfo(name="admin", email="admin@example.com"))
    place = world.terrestrial(52.3676, 4.9041, antenna_placement=v3.OUTDOOR,
                              antenna_count=wrappers_pb2.UInt32Value(value=3),
                              fine_timestamps=wrappers_pb2.BoolValue(value=True))
    rate = wrappers_pb2.FloatValue(value=0)
    world.update(gateway, "seq", eui=EUI, gateway_location=place, administrative_contact=contact, frequency_plan=plan,
                 rx_rate=rate, tx_rate=rate, **world.online())
    found = eventually(lambda: rest.list(netID=f"{FORWARDER:06X}", tenantID="acme"))
    assert len(found) == 1
    updated = found[0].pop("updatedAt")
    assert updated.endswith("Z") and not updated.endswith("0Z") and abs(time.time() - _seconds(updated)) < 300
    shown = {"netID": f"{FORWARDER:06X}", "tenantID": "acme", "id": "seq", "eui": "58A0CBFFFE800001", "clusterID": "eu1",
             "location": {"latitude": 52.3676, "longitude": 4.9041, "altitude": 0, "accuracy": 0},
             "antennaPlacement": "OUTDOOR", "antennaCount": 3, "fineTimestamps": True, "online": True}
    assert found[0] == shown
    details = {"administrativeContact": {"name": "admin", "email": "admin@example.com"},
               "frequencyPlan": {"region": "EU_863_870", "loraMultiSFChannels": [868100000, 868300000],
                                 "loraSingleSFChannels": [{"frequency": 868300000, "spreadingFactor": 7, "bandwidth": 250000}],
                                 "fskChannel": 868800000},
               "rxRate": 0, "txRate": 0}
    status, one = rest.one("seq", tenant="acme")
    assert status == 200 and one.pop("updatedAt") == updated and one == {**shown, **details}
    # From time to time: what is left out stays.
    world.update(gateway, "seq", eui=EUI, rx_rate=wrappers_pb2.FloatValue(value=12.5), **world.online())
    eventually(lambda: rest.one("seq", tenant="acme")[1].get("rxRate") == 12.5)
    status, one = rest.one("seq", tenant="acme")
    assert one.pop("updatedAt") > updated and one == {**shown, **details, "rxRate": 12.5}
    # The location is not public any more: it leaves the map, with the antennas.
    near = {"distanceWithin[latitude]": 52.4, "distanceWithin[longitude]": 4.9, "distanceWithin[distance]": 10000}
    assert rest.ids(**near) == ["seq"]
    world.update(gateway, "seq", eui=EUI, gateway_location=world.terrestrial(antenna_count=wrappers_pb2.UInt32Value(value=0)))
    eventually(lambda: rest.ids(**near) == [])
    status, one = rest.one("seq", tenant="acme")
    assert not {"location", "antennaCount", "fineTimestamps"} & set(one) and one["antennaPlacement"] == "UNKNOWN_PLACEMENT"
    world.update(gateway, "seq", eui=EUI, gateway_location=world.pb.v3.GatewayLocationValue(),
                 administrative_contact=world.pb.v3.ContactInfoValue())
    eventually(lambda: "antennaPlacement" not in rest.one("seq", tenant="acme")[1])
    assert "administrativeContact" not in rest.one("seq", tenant="acme")[1]
    # The status is not public any more.
    world.update(gateway, "seq", eui=EUI, online=wrappers_pb2.BoolValue(value=False))
    eventually(lambda: rest.one("seq", tenant="acme")[1]["online"] is False)
    world.update(gateway, "seq", eui=EUI, **world.online(0.2))
    eventually(lambda: rest.one("seq", tenant="acme")[1]["updatedAt"] > one["updatedAt"])
    eventually(lambda: rest.one("seq", tenant="acme")[1]["online"] is False, "the end of online_ttl")


def _seconds(text):
    from datetime import datetime
    return datetime.fromisoformat(text.replace("Z", "+00:00") if "." not in text else text.split(".")[0] + "+00:00").timestamp()


def test_one_gateway_under_several_names(world):
    """The name that was told last counts; what is stored goes over; the older entry ends."""
    v3, rest = world.pb.v3, world.rest
    member = world.member(FORWARDER)
    world.show(member, *EVERYTHING)
    names = lambda: sorted(g["id"] for g in rest.list(netID=f"{FORWARDER:06X}", tenantID=""))
    eui = 0x00000000000000AB
    world.update(member, "named", eui=eui, gateway_location=world.terrestrial(1, 2))
    eventually(lambda: names() == ["named"])
    world.update(member, v3.GatewayIdentifier(), eui=eui, rx_rate=wrappers_pb2.FloatValue(value=1))
    eventually(lambda: names() == ["eui-00000000000000ab"])
    assert rest.list(netID=f"{FORWARDER:06X}", tenantID="")[0]["location"]["longitude"] == 2
    hashed = v3.GatewayIdentifier(hash=bytes(range(32)))
    world.update(member, hashed, eui=eui, rx_rate=wrappers_pb2.FloatValue(value=2))
    eventually(lambda: names() == ["hash:" + bytes(range(32)).hex()])
    assert rest.one("hash:" + bytes(range(32)).hex(), tenant="")[1]["location"]["latitude"] == 1
    world.update(member, "named", eui=eui)
    eventually(lambda: names() == ["named"])
    world.update(member, "named", cluster="eu2")  # a gateway may move, and an EUI may go
    eventually(lambda: rest.list(netID=f"{FORWARDER:06X}", tenantID="")[0].get("clusterID") == "eu2")
    found = rest.list(netID=f"{FORWARDER:06X}", tenantID="")
    assert len(found) == 1 and "eui" not in found[0] and found[0]["location"]["latitude"] == 1
    assert rest.list(netID=f"{FORWARDER:06X}", tenantID="", clusterID="eu1") == []
    world.show(member)


def test_refusals(world):
    def refused(*arguments, **fields):
        with pytest.raises(grpc.RpcError) as error:
            world.update(*arguments, **fields)
        return error.value.code(), error.value.details()

    invalid = grpc.StatusCode.INVALID_ARGUMENT
    code, text = refused(world.ttn, "bad", gateway_location=world.terrestrial(float("nan")))
    assert code == invalid and "latitude" in text
    code, text = refused(world.ttn, "bad", online=wrappers_pb2.BoolValue(value=True))
    assert code == invalid and "online_ttl" in text
    code, text = refused(world.ttn, world.pb.v3.GatewayIdentifier())
    assert code == invalid and "forwarder_gateway_id" in text
    assert refused(world.ttn, "bad", tenant="acme")[0] == grpc.StatusCode.PERMISSION_DENIED
    network = world.member(FORWARDER)
    code, text = refused(network, "bad", tenant="nobody")
    assert code == grpc.StatusCode.NOT_FOUND and "nobody" in text
    world.update(network, "by-network", tenant="ttn")  # a network's token covers its tenants
    eventually(lambda: "by-network" in world.rest.ids(token=world.ttn.token))


def test_who_sees_what(world):
    rest = world.rest
    network = world.member(FORWARDER)
    home, home_tenant, home_two, other = (world.member(*m) for m in ((HOME, ""), (HOME, "ttn"), (HOME, "two"), (OTHER, "")))
    world.update(world.ttn, "vis", gateway_location=world.terrestrial(10, 20), **world.online())
    view = lambda token=None, **params: next((set(g) for g in rest.list(token, **params) if g["id"] == "vis"), None)
    always = {"netID", "tenantID", "id", "clusterID", "updatedAt"}
    eventually(lambda: view(world.ttn.token) is not None)
    everything = always | {"location", "antennaPlacement", "online"}
    # Without visibility: the forwarder itself, its network and the administrator alone.
    basic = world.exchange.admin_metadata()[0][1]
    for token, seen in ((None, None), (home.token, None), (world.ttn.token, everything), (network.token, everything),
                        (basic, everything), (world.member(FORWARDER, "acme").token, None)):
        assert view(token) == seen
    assert rest.one("vis")[0] == 404 and rest.one("vis", token=home.token)[0] == 404
    assert rest.one("vis", token=world.ttn.token)[0] == 200
    # The network's default is the tenant's until it has one of its own.
    world.show(network, "status")
    eventually(lambda: view() == always | {"online"})
    world.show(world.ttn, "location")
    eventually(lambda: view() == always | {"location"})
    # A home network's own visibility replaces the default, also by less; a tenant's comes before its network's.
    world.show(world.ttn, "status", "antenna_placement", home=(HOME, ""))
    eventually(lambda: view(home.token) == always | {"online", "antennaPlacement"})
    assert view(home_two.token) == always | {"online", "antennaPlacement"}
    world.show(world.ttn, "antenna_count", home=(HOME, "ttn"))
    eventually(lambda: view(home_tenant.token) == always)
    assert view() == view(other.token) == always | {"location"}
    assert view(home_two.token) == always | {"online", "antennaPlacement"}
    # What is hidden cannot be asked for either.
    near = {"distanceWithin[latitude]": 10, "distanceWithin[longitude]": 20, "distanceWithin[distance]": 1}
    assert view(**near) is not None and view(home.token, **near) is None
    assert view(online="true") is None and view(home.token, online="true") is not None
    # As a home network of one's own.
    one = {"homeNetworkNetID": f"{HOME:06X}", "homeNetworkTenantID": "ttn"}
    assert view(home.token, **one) == view(home_tenant.token, **one) == view(basic, **one) == always
    assert view(home.token, homeNetworkNetID=f"{HOME:06X}") == always | {"online", "antennaPlacement"}
    for token in (None, other.token, home_two.token, world.ttn.token):
        status, answer = rest.get("/gateways", one, token)
        assert status == 403 and "homeNetworkNetID" in answer["message"]
    assert rest.get("/gateways", {"homeNetworkNetID": f"{HOME:06X}"}, home_tenant.token)[0] == 403
    status, answer = rest.get("/gateways", token="not-a-token")
    assert status == 401 and answer["message"]
    # Gone with the visibility.
    world.show(world.ttn)
    world.show(network)
    eventually(lambda: view() is None)
    world.show(world.ttn, home=(HOME, ""))
    world.show(world.ttn, home=(HOME, "ttn"))


def test_queries(world):
    rest = world.rest
    network = world.member(OTHER)
    world.show(network, "location", "status")
    places = {"a": (0, 179.99), "b": (0, -179.99), "c": (0, 178), "d": (89.99, 10), "e": (89.99, -170)}
    for name, (latitude, longitude) in places.items():
        world.update(network, name, gateway_location=world.terrestrial(latitude, longitude), **world.online())
    world.update(network, "off", online=wrappers_pb2.BoolValue(value=False))
    mine = {"netID": f"{OTHER:06X}"}
    eventually(lambda: rest.ids(**mine) == ["a", "b", "c", "d", "e", "off"])
    near = lambda lat, lon, m: rest.ids(**mine, **{"distanceWithin[latitude]": lat, "distanceWithin[longitude]": lon,
                                                   "distanceWithin[distance]": m})
    assert near(0, 180, 2000) == near(0, -180, 2000) == ["a", "b"] and near(0, 180, 1000) == []
    assert near(90, 0, 2000) == ["d", "e"] and near(0, 179.99, 0) == ["a"] and near(-90, 0, 1e9) == ["a", "b", "c", "d", "e"]
    assert rest.ids(**mine, online="false") == ["off"] and "off" not in rest.ids(**mine, online="true")
    times = [g["updatedAt"] for g in rest.list(**mine, updatedSince="2020-01-01T00:00:00Z")]
    assert times == sorted(times) and len(times) == 6
    third = times[2]
    assert [g["updatedAt"] for g in rest.list(**mine, updatedSince=third)] == times[2:]  # inclusive
    assert [g["updatedAt"] for g in rest.list(**mine, updatedSince=third, offset=1, limit=2)] == times[3:5]
    assert rest.list(**mine, limit=0) == [] and rest.list(**mine, offset=6) == []
    pages = [g["id"] for i in range(0, 8, 2) for g in rest.list(**mine, offset=i, limit=2)]
    assert sorted(pages) == ["a", "b", "c", "d", "e", "off"]
    for params, word in (({"distanceWithin[latitude]": 1}, "distanceWithin[longitude]"), ({"limit": "-1"}, "limit"),
                         ({"updatedSince": "now"}, "updatedSince"), ({"lmit": 1}, "limit"), ({"netID": "13"}, "netID"),
                         ([("limit", 1), ("limit", 2)], "limit"), ({"online": "yes"}, "online")):
        status, answer = rest.get("/gateways", params)
        assert status == 400 and word in answer["message"], answer
    assert rest.get("/gateways/a")[0] == 400 and rest.get("/gateways/")[0] == 400
    assert rest.get(f"/gateways/netID={OTHER:06X},id=nobody")[0] == 404
    assert rest.get(f"/gateways/netID%3D{OTHER:06x}%2Cid%3Da")[1]["id"] == "a"
    assert rest.get(f"/gateways/id=a,netID={OTHER:06X}", {"limit": 1})[0] == 400
    answer, body = rest.get("/gateways", mine, raw=True)
    assert answer.getheader("Content-Type") == "application/json" and answer.getheader("Access-Control-Allow-Origin") == "*"


def test_document(world):
    status, document = world.rest.get("/openapi.json")
    assert status == 200 and document["servers"] == [{"url": "https://map.example:1901/api/v2"}]
    flow = document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"] == "https://map.example:1901/token" and "networks" in flow["scopes"]
    parameters = {p["name"]: p for p in document["paths"]["/gateways"]["get"]["parameters"]}
    assert set(parameters) == {"distanceWithin", "offset", "limit", "updatedSince", "online", "forwarder", "homeNetwork"}
    assert parameters["distanceWithin"]["style"] == "deepObject"
    assert set(parameters["forwarder"]["schema"]["properties"]) == {"netID", "tenantID", "clusterID"}
    assert document["paths"]["/gateways/{id}"]["get"]["parameters"][0]["style"] == "simple"
    references = json.dumps(document).split('"$ref": "#/components/')[1:]
    for reference in (r.split('"')[0] for r in references):
        kind, name = reference.split("/")
        assert name in document["components"][kind]


def test_a_forwarder_that_leaves_takes_its_gateways_along(world):
    rest, gone = world.rest, 0xC0004B
    world.admin.create_network(gone)
    member = world.member(gone)
    world.update(member, "left")
    basic = world.exchange.admin_metadata()[0][1]
    eventually(lambda: rest.ids(token=basic, netID=f"{gone:06X}") == ["left"])
    world.admin.networks.DeleteNetwork(world.pb.iam1.NetworkRequest(net_id=gone), metadata=world.admin.metadata)
    eventually(lambda: rest.ids(token=basic, netID=f"{gone:06X}") == [])

    def rows():
        with contextlib.closing(sqlite3.connect(world.exchange.dir / "lpx.db")) as db:
            return db.execute("SELECT count(*) FROM gateways WHERE forwarder_net_id = ?", (gone,)).fetchone()[0]
    eventually(lambda: rows() == 0, "the removal of its rows")


# ---- exchanges with settings of their own ----


def fill(exchange, pb, count):
    """Gateways straight into the database of an exchange that is stopped."""
    now = int(time.time() * 1e6)
    with contextlib.closing(sqlite3.connect(exchange.dir / "lpx.db")) as db:
        rows = []
        for i in range(count):
            place = pb.v3.Location(latitude=i % 170 - 85 + 0.123456, longitude=i % 350 - 175 + 0.654321, altitude=12.5)
            location = pb.v3.GatewayLocation(terrestrial=pb.v3.GatewayLocation.Terrestrial(location=place))
            gateway = pb.v3.Gateway(location=location, online=wrappers_pb2.BoolValue(value=True))
            rows.append((FORWARDER, "ttn", f"gateway-{i}", "eu1", i, gateway.SerializeToString(), now * 2, now + i))
        db.executemany("INSERT INTO gateways VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        db.commit()


def test_twenty_thousand(exchange):
    """A long answer: whole, compressed, cut by the client, taken slowly."""
    count = 20000
    exchange.settings.update({"mapper.requests-per-minute": 0})
    exchange.start()
    world = World(exchange).members()
    world.show(world.ttn, "location", "status")
    exchange.stop()
    fill(exchange, exchange.pb, count)
    exchange.start()
    rest = Rest(exchange)
    answer, body = rest.get("/gateways", raw=True)
    everything = json.loads(body)
    assert len(everything) == count and {g["id"] for g in everything} == {f"gateway-{i}" for i in range(count)}
    assert answer.getheader("Transfer-Encoding") == "chunked" and answer.getheader("Content-Encoding") is None
    answer, body = rest.get("/gateways", raw=True, **{"Accept-Encoding": "gzip"})
    assert answer.getheader("Content-Encoding") == "gzip" and len(body) < 1 << 20
    assert json.loads(gzip.decompress(body)) == everything
    tail = rest.list(updatedSince=everything[-100]["updatedAt"], online="true")
    assert [g["id"] for g in tail] == [f"gateway-{i}" for i in range(count - 100, count)]
    assert len(rest.list(offset=15000, limit=10)) == 10
    assert rest.list(online="false") == []
    inside = [g for g in everything if g["location"]["latitude"] == 5.123456]
    found = rest.list(**{"distanceWithin[latitude]": 5.123456, "distanceWithin[longitude]": 0,
                         "distanceWithin[distance]": 3e7})
    assert len(found) == count and len(inside) > 100
    leave_early(exchange)
    assert exchange.metrics()["lpx_mapper_gateways"] == count
    wait_until(lambda: exchange.metrics()['lpx_mapper_rest_requests_total{code="cut"}'] == 1, what="the cut answer")
    exchange.stop()


def leave_early(exchange):
    """Ask for everything, take a little, go."""
    context = ssl.create_default_context(cafile=exchange.ca_file)
    with socket.create_connection(("127.0.0.1", exchange.http_port)) as plain:
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as s:
            s.sendall(b"GET /api/v2/gateways HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert s.recv(1000).startswith(b"HTTP/1.1 200")


def test_limits_and_ages(exchange):
    """Requests of one address; gateways of one network; gateways that nobody tells of."""
    exchange.settings.update({"mapper.requests-per-minute": 3, "mapper.max-gateways": 2, "mapper.keep": "2s"})
    exchange.start()
    world = World(exchange).members()
    rest = world.rest
    for _ in range(3):
        assert rest.get("/gateways")[0] == 200
    answer, body = rest.get("/gateways", raw=True)
    assert answer.status == 429 and 1 <= int(answer.getheader("Retry-After")) <= 21 and json.loads(body)["message"]
    assert rest.get("/gateways", token=world.ttn.token)[0] == 200  # a key has requests of its own
    assert exchange.metrics()["lpx_mapper_rest_limited_total"] == 1
    gateways = lambda: exchange.metrics()["lpx_mapper_gateways"]
    keep_alive = ("one", "two")

    def told():
        for name in keep_alive:
            world.update(world.ttn, name)
        return gateways() == 2
    eventually(told)

    def full():
        told()
        try:
            world.update(world.ttn, "three")
        except grpc.RpcError as error:
            return error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and "mapper.max-gateways" in error.details()
        return False
    eventually(full)
    eventually(lambda: gateways() == 0, "the end of mapper.keep")
    with contextlib.closing(sqlite3.connect(exchange.dir / "lpx.db")) as db:
        assert db.execute("SELECT count(*) FROM gateways").fetchone()[0] == 0
    world.update(world.ttn, "three")
    exchange.stop()


def test_two_nodes(nodes):
    """On PostgreSQL: what one node is told, the other shows; ends of entries and visibilities too."""
    world = World(nodes[0]).members()
    other = Rest(nodes[1])
    world.show(world.ttn, "location", "status")
    world.update(world.ttn, "two", eui=EUI, gateway_location=world.terrestrial(10, 20), **world.online())
    near = {"distanceWithin[latitude]": 10, "distanceWithin[longitude]": 20, "distanceWithin[distance]": 10}
    eventually(lambda: other.ids(**near) == ["two"])
    assert other.list(online="true", updatedSince="2020-01-01T00:00:00Z")[0]["eui"] == f"{EUI:016X}"
    assert other.one("two")[0] == 200
    world.update(world.ttn, world.pb.v3.GatewayIdentifier(), eui=EUI)
    eventually(lambda: other.ids(**near) == [f"eui-{EUI:016x}"])
    for i in range(50):
        world.update(world.ttn, f"more-{i:02}")
    eventually(lambda: len(other.list()) == 51)
    world.admin.tenants.DeleteTenant(world.pb.iam1.TenantRequest(net_id=FORWARDER, tenant_id="ttn"),
                                     metadata=world.admin.metadata)
    eventually(lambda: other.list() == [])
    eventually(lambda: nodes[0].metrics()["lpx_mapper_gateways"] == nodes[1].metrics()["lpx_mapper_gateways"] == 0)
