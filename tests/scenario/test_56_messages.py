"""Messages that are unusual and right: encrypted, compressed, large, delegated, one's own; and limits that hold."""
import grpc
import pytest
from harness.exchange import wait_until
from harness.frames import data_frame, uplink
from harness.members import Admin

FORWARDER, HOME, LENDER = 0xC000A0, 0xC000A1, 0xC000A2
BASE, LENT = 0xFC028400, 0xFC028800


@pytest.fixture(scope="module")
def world(shared_exchange):
    admin = Admin(shared_exchange)
    admin.create_network(FORWARDER)
    admin.create_network(HOME, blocks=[(BASE, 22)])
    admin.create_network(LENDER, blocks=[(LENT, 22)])
    forwarder, home = admin.member(FORWARDER), admin.member(HOME)
    stream = home.subscribe_home("g")
    yield shared_exchange, admin, forwarder, home, stream
    stream.close()


def test_sealed_parts_travel_byte_exact(world):
    exchange, _, forwarder, _, stream = world
    message = uplink(exchange.pb, data_frame(BASE + 1))
    message.phy_payload.encrypted.value = bytes(range(256))
    message.phy_payload.encrypted.deks_encrypted["k"] = b"\x02" * 60
    message.keks["k"].key_exchange, message.keks["k"].label = "kx.example.org:1900", "label"
    message.gateway_metadata.encrypted_localization.value = b"\x00\xff"
    forwarder.publish_uplink(message)
    got = stream.next().message  # routed by its teaser: there is no plain payload
    assert got.phy_payload == message.phy_payload and got.keks == message.keks
    assert got.gateway_metadata.encrypted_localization == message.gateway_metadata.encrypted_localization


def test_compressed_requests(world):
    exchange, _, forwarder, _, stream = world
    request = exchange.pb.routing1.PublishUplinkMessageRequest(
        forwarder_net_id=FORWARDER, message=uplink(exchange.pb, data_frame(BASE + 1, f_cnt=2)))
    forwarder.forwarder.Publish(request, metadata=forwarder.metadata, compression=grpc.Compression.Gzip)
    assert stream.next().message.phy_payload.plain[6] == 2


def test_own_traffic_stays_out_unless_configured(world):
    exchange, _, _, home, stream = world
    name = 'lpx_router_dropped_messages_total{direction="uplink",reason="loopback"}'
    before = exchange.metrics()[name]
    assert home.publish_uplink(uplink(exchange.pb, data_frame(BASE + 1, f_cnt=4)))
    assert exchange.metrics()[name] == before + 1 and stream.messages.qsize() == 0


def test_a_delegated_network_is_served_by_its_delegate(world):
    exchange, admin, forwarder, _, stream = world
    update = exchange.pb.iam1.UpdateNetworkRequest(net_id=LENDER)
    update.delegated_net_id.value.value = HOME
    admin.networks.UpdateNetwork(update, metadata=admin.metadata)
    got = admin.networks.GetNetwork(exchange.pb.iam1.NetworkRequest(net_id=HOME), metadata=admin.metadata).network
    assert list(got.represents_net_ids) == [LENDER]
    marker = data_frame(BASE + 1, f_cnt=5)

    def arrives():
        forwarder.publish_uplink(uplink(exchange.pb, data_frame(LENT + 5)))
        forwarder.publish_uplink(uplink(exchange.pb, marker))
        first = stream.next()
        if first.message.phy_payload.plain == marker:
            return None
        stream.next()
        return first
    got = wait_until(arrives, what="the delegation")
    assert got.home_network_net_id == HOME and got.hops[0].sender_name == f"{FORWARDER:06X}"


def test_names_and_groups_of_net_ids(world):
    _, admin, *_ = world
    assert admin.create_network(0xE000A0, name="Réseau ☃").name == "Réseau ☃"
    with pytest.raises(grpc.RpcError) as error:
        admin.create_network(0xE000A1)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT and "E000A0" in error.value.details()
