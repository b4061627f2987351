"""The largest message: what clients with gRPC's defaults take, and what operators may allow instead. How fast members
may publish."""
import grpc
import pytest
from harness.frames import UNCONFIRMED_DOWN, data_frame, uplink
from harness.members import Admin, Stream

FORWARDER, HOME, BASE = 0xC00061, 0x600061, 0xE0000000 | 0x61 << 17
MIB = 1 << 20


class World:
    def __init__(self, exchange):
        self.exchange, self.pb, self.admin = exchange, exchange.pb, Admin(exchange)
        self.admin.create_network(FORWARDER)
        self.admin.create_network(HOME, blocks=[(BASE, 15)])
        self.forwarder, self.home = self.admin.member(FORWARDER), self.admin.member(HOME)

    def request(self, size):
        """An uplink whose request has this many bytes, or up to four fewer: the length of a length takes bytes too."""
        request = self.pb.routing1.PublishUplinkMessageRequest(
            forwarder_net_id=FORWARDER, message=uplink(self.pb, data_frame(BASE + 1)))
        request.message.forwarder_uplink_token = bytes(size)
        request.message.forwarder_uplink_token = bytes(2 * size - request.ByteSize())
        assert size - 4 <= request.ByteSize() <= size
        return request

    def publish(self, request):
        return self.forwarder.forwarder.Publish(request, metadata=self.forwarder.metadata)

    def refusal(self, request):
        with pytest.raises(grpc.RpcError) as error:
            self.publish(request)
        return error.value.code(), error.value.details()


def test_clients_with_their_defaults_are_never_cut_off(exchange):
    world = World(exchange.start())
    credentials = grpc.ssl_channel_credentials(exchange.ca_file.read_bytes())
    stub = world.pb.routing1.HomeNetworkDataStub(grpc.secure_channel(exchange.grpc_address, credentials))
    stream = Stream(stub.Subscribe(world.pb.routing1.SubscribeHomeNetworkRequest(home_network_net_id=HOME, group="g"),
                                   metadata=world.home.metadata))
    world.publish(world.request(MIB))
    got = stream.next()
    assert MIB - 1000 < got.ByteSize() < 4 * MIB
    for size in (MIB + 5, 3 * MIB, 15 * MIB):
        code, text = world.refusal(world.request(size))
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED and str(MIB) in text, text
    down = world.pb.v3.DownlinkMessage(phy_payload=data_frame(BASE + 1, mtype=UNCONFIRMED_DOWN, f_port=2),
                                       downlink_token=bytes(MIB), region="EU_863_870")
    with pytest.raises(grpc.RpcError) as error:
        world.home.publish_downlink(got, down)
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    world.publish(world.request(1000))
    assert stream.next().ByteSize() < 3000  # the stream lives
    stream.close()


def test_operators_may_allow_larger_ones(exchange):
    """The envelope makes a message larger; a copy over 16 MiB would end the subscriber's stream."""
    world = World(exchange.start(router__max_uplink="16MiB"))
    stream = world.home.subscribe_home("g")
    request = world.request(16 * MIB)
    assert world.refusal(request)[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
    request.message.forwarder_uplink_token = bytes(16 * MIB - 4096)
    world.publish(request)
    assert len(stream.next().message.forwarder_uplink_token) == 16 * MIB - 4096
    request.message.forwarder_uplink_token = bytes(17 * MIB)
    assert world.refusal(request)[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
    stream.close()


def publish_until_refused(world, gateway):
    """@return how many were taken, and the refusal"""
    request = world.pb.routing1.PublishUplinkMessageRequest(
        forwarder_net_id=FORWARDER, message=uplink(world.pb, data_frame(BASE + 1), gateway=gateway))
    for taken in range(1000):
        try:
            world.publish(request)
        except grpc.RpcError as error:
            return taken, error
    pytest.fail("nothing was refused")


def refused(world, rate):
    return world.exchange.metrics()[f'lpx_router_refused_messages_total{{rate="{rate}"}}']


def test_who_publishes_too_fast_is_told_when_to_try_again(exchange):
    """Twenty seconds' worth is saved up: more than this test takes."""
    world = World(exchange.start(router__rate_gateway="1", router__rate_network="2", router__rate_burst="20s"))
    taken, error = publish_until_refused(world, "gw-1")
    assert taken >= 20 and error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "at most 1 messages a second from one gateway (router.rate-gateway); try again in" in error.details()
    assert refused(world, "gateway") == 1 and refused(world, "network") == 0
    for gateway in ("gw-2", "gw-3"):
        taken, error = publish_until_refused(world, gateway)
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "router.rate-network" in error.details() and taken < 40
    assert refused(world, "network") >= 1
    # the home network has a budget of its own
    down = world.pb.v3.DownlinkMessage(phy_payload=data_frame(BASE + 1, mtype=UNCONFIRMED_DOWN, f_port=2),
                                       region="EU_863_870")
    world.home.home.Publish(world.pb.routing1.PublishDownlinkMessageRequest(
        home_network_net_id=HOME, forwarder_net_id=FORWARDER, message=down), metadata=world.home.metadata)
