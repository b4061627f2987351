"""PublishStream: many uplinks in one request, ids in one answer, the rules of Publish for each."""
import queue

import grpc
import pytest
from harness.frames import data_frame, uplink
from harness.members import RIGHTS, Admin

FORWARDER, OTHER, HOME = 0xC05901, 0xC05902, 0x600590
BASE = 0xE0000000 | (HOME & 0x7FF) << 17
MOST = 1024  # uplinks in one request


class Publisher:
    """One stream of a member; requests are sent one by one."""

    def __init__(self, member):
        self.member, self.pb, self.requests = member, member.pb, queue.Queue()
        stub = self.pb.lpx_data.ForwarderDataStub(member.channel)
        self.call = stub.PublishStream(iter(self.requests.get, None), metadata=member.metadata, timeout=60)

    def request(self, messages, net_id=None):
        return self.pb.lpx_data.PublishStreamRequest(uplinks=[
            self.pb.routing1.PublishUplinkMessageRequest(forwarder_net_id=net_id or self.member.net_id, message=message)
            for message in messages])

    def send(self, request):
        self.requests.put(request)

    def publish(self, messages, net_id=None):
        self.send(self.request(messages, net_id))
        return next(self.call).results

    def close(self):
        self.requests.put(None)
        assert list(self.call) == []
        return self.call.code()


@pytest.fixture(scope="module")
def world(shared_exchange):
    admin = Admin(shared_exchange)
    admin.create_network(FORWARDER)
    admin.create_network(OTHER)
    admin.create_network(HOME, blocks=[(BASE, 15)])
    return admin


def frames(count, first=0):
    return [data_frame(BASE + 1, f_cnt=(first + i) & 0xFFFF, payload=(first + i).to_bytes(4, "big"))
            for i in range(count)]


def test_every_uplink_of_every_request_is_routed_in_order(world):
    home, publisher = world.member(HOME).subscribe_home("in-order"), Publisher(world.member(FORWARDER))
    ids, sent = [], []
    for size in (1, 7, 300):
        batch = frames(size, first=len(sent))
        ids += [result.id for result in publisher.publish([uplink(world.pb, phy) for phy in batch])]
        sent += batch
    got = [home.next() for _ in sent]
    assert [routed.id for routed in got] == ids and len(set(ids)) == len(ids)
    assert [routed.message.phy_payload.plain for routed in got] == sent
    assert all(routed.forwarder_net_id == FORWARDER and routed.home_network_net_id == HOME for routed in got)
    assert publisher.close() == grpc.StatusCode.OK
    home.close()


def test_what_is_refused_has_its_error_in_its_place_and_harms_no_other(world):
    home, publisher = world.member(HOME).subscribe_home("refused"), Publisher(world.member(FORWARDER))
    good, bad = frames(2), data_frame(BASE + 1, mtype=6)  # a rejoin-request does not travel
    request = publisher.request([uplink(world.pb, good[0]), uplink(world.pb, bad), uplink(world.pb, good[1])])
    foreign = publisher.request([uplink(world.pb, good[0])], net_id=OTHER).uplinks[0]
    request.uplinks.insert(1, foreign)
    publisher.send(request)
    first, spoofed, refused, last = next(publisher.call).results
    assert first.WhichOneof("result") == last.WhichOneof("result") == "id"
    assert spoofed.error.code == grpc.StatusCode.PERMISSION_DENIED.value[0]
    assert refused.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0] and refused.error.message
    with pytest.raises(grpc.RpcError) as unary:  # the same words as of Publish
        publisher.member.publish_uplink(uplink(world.pb, bad))
    assert refused.error.message == unary.value.details()
    assert [home.next().id, home.next().id] == [first.id, last.id]
    home.close()


def test_a_request_with_too_many_is_refused_whole(world):
    home, publisher = world.member(HOME).subscribe_home("too-many"), Publisher(world.member(FORWARDER))
    publisher.send(publisher.request([uplink(world.pb, phy) for phy in frames(MOST + 1)]))
    with pytest.raises(grpc.RpcError) as refused:
        next(publisher.call)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT and str(MOST) in refused.value.details()
    again = Publisher(publisher.member)
    whole = again.publish([uplink(world.pb, phy) for phy in frames(MOST)])
    assert [home.next().id for _ in range(MOST)] == [result.id for result in whole]
    home.close()


def test_an_empty_request_is_answered_and_other_bytes_end_the_stream(world):
    member = world.member(FORWARDER)
    assert len(Publisher(member).publish([])) == 0
    raw = member.channel.stream_stream("/lpx.routing.v1.ForwarderData/PublishStream")
    for bad in (b"\x0a\x05abc", b"\x0b", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"):
        with pytest.raises(grpc.RpcError) as refused:
            list(raw(iter([bad]), metadata=member.metadata, timeout=20))
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert len(list(raw(iter([b"\x10\x07"]), metadata=member.metadata, timeout=20))) == 1  # a field of later versions


def test_the_right_to_write_traffic_is_needed(world):
    reader = world.member(FORWARDER, rights=[RIGHTS["READ_TRAFFIC"]])
    with pytest.raises(grpc.RpcError) as refused:
        Publisher(reader).publish([])
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


def test_a_key_that_is_deleted_ends_its_stream(world):
    publisher = Publisher(world.member(FORWARDER))
    assert publisher.publish([uplink(world.pb, frames(1)[0])])[0].id
    world.delete_key(publisher.member.key.key_id)
    with pytest.raises(grpc.RpcError) as ended:
        next(publisher.call)
    assert ended.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_requests_that_follow_each_other_are_all_answered(world):
    publisher, many = Publisher(world.member(FORWARDER)), 100
    request = publisher.request([uplink(world.pb, phy) for phy in frames(MOST)])
    for _ in range(many):  # both ways more than the windows of HTTP/2
        publisher.send(request)
    publisher.send(None)
    ids = [result.id for answer in publisher.call for result in answer.results]
    assert len(ids) == many * MOST == len(set(ids))
