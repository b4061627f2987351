"""Reports: who sent how much to whom, as the router and the delivery reports of members say."""
import datetime
import itertools
import threading
import types

import grpc
import pytest
from harness.exchange import wait_until
from harness.frames import UNCONFIRMED_DOWN, data_frame, join_request, uplink
from harness.members import Admin

numbers = itertools.count(0x580)
Code = grpc.StatusCode


class World:
    """A forwarder and a home network with a tenant, of the test's own."""

    def __init__(self, exchange):
        self.exchange, self.pb, self.admin = exchange, exchange.pb, Admin(exchange)
        number = next(numbers)
        self.forwarder_id, self.home_id = 0xC02000 + number, 0x600000 + number
        self.base = 0xE0000000 | (self.home_id & 0x7FF) << 17
        self.admin.create_network(self.forwarder_id)
        self.admin.create_network(self.home_id, blocks=[(self.base, 15)])
        self.admin.create_tenant(self.home_id, "tenant-a", blocks=[(self.base | 1 << 16, 17)])
        self.forwarder, self.home = self.admin.member(self.forwarder_id), self.admin.member(self.home_id)
        self.counter = itertools.count(1)

    def send(self, **fields):
        return self.forwarder.publish_uplink(uplink(self.pb, data_frame(self.base + 1, f_cnt=next(self.counter), **fields)))

    def settled(self, stream):
        """Wait until the routes of this world act; then nothing of this is still on its way."""
        sent = []

        def arrives():
            sent.append(self.send())
            return stream.messages.qsize() > 0
        wait_until(arrives, what="the routes")
        got = []
        while not got or got[-1].id != sent[-1]:
            got.append(stream.next())
        return sent, got

    def report(self, message, error=None, by=None):
        """The home network's delivery report."""
        change = self.pb.v3.UplinkMessageDeliveryStateChange(
            id=message.id, home_network_net_id=message.home_network_net_id,
            home_network_tenant_id=message.home_network_tenant_id, forwarder_net_id=message.forwarder_net_id,
            state=self.pb.v3.MessageDeliveryState.Value("PROCESSED"))
        if error is not None:
            change.error.value = self.pb.v3.UplinkMessageProcessingError.Value(error)
        who = by or self.home
        who.home.ReportUplinkMessageDeliveryState(
            self.pb.routing1.UplinkMessageDeliveryStateChangeRequest(state_change=change), metadata=who.metadata, timeout=20)

    def ask(self, metadata, channel, **filters):
        """GetRoutedMessages of today unless a period is given."""
        request = self.pb.reporting1.GetRoutedMessagesRequest()
        for name in ("forwarder_net_id", "forwarder_tenant_id", "home_network_net_id", "home_network_tenant_id"):
            if name in filters:
                getattr(request, name).value = filters.pop(name)
        if "period" in filters:
            first, last = filters.pop("period")
            request.period.CopyFrom(self.pb.reporting1.MonthPeriod(
                **{"from": self.pb.reporting1.MonthYear(year=first[0], month=first[1])},
                to=self.pb.reporting1.MonthYear(year=last[0], month=last[1])))
        elif filters.pop("last_30_days", False):
            request.last_30_days.SetInParent()
        elif not filters.pop("no_time", False):
            request.today.SetInParent()
        stub = self.pb.reporting1.ReporterStub(channel)
        return list(stub.GetRoutedMessages(request, metadata=metadata, timeout=20).records)

    def as_admin(self, **filters):
        return self.ask(self.admin.metadata, self.admin.channel, forwarder_net_id=self.forwarder_id, **filters)

    def row(self, home_tenant=""):
        """The present counts toward the home network or its tenant; None: no row."""
        rows = [r for r in self.as_admin() if r.home_network_tenant_id == home_tenant]
        assert len(rows) <= 1
        return rows[0] if rows else None


@pytest.fixture
def world(shared_exchange):
    return World(shared_exchange)


def errors_of(pb, rows, direction="Uplink"):
    return {getattr(pb.v3, f"{direction}MessageProcessingError").Name(e.error_type): e.count for e in rows}


def test_what_is_routed_and_processed_is_counted_once(world):
    stream = world.home.subscribe_home()
    second = world.home.subscribe_home(group="other")  # a second copy of everything
    sent, got = world.settled(stream)
    for message in got:
        world.report(message)
        world.report(message)  # the second does not count
    last = world.send()
    message = stream.next()
    assert message.id == last
    world.report(message, error="NOT_FOUND")
    eui = 0x7000000000000000 | next(numbers)
    filters = [world.pb.v3.RoutingFilter(join_request=world.pb.v3.RoutingFilter.JoinRequest(eui_prefixes=[
        world.pb.v3.RoutingFilter.JoinRequest.EUIPrefixes(join_eui=eui, join_eui_length=64)]))]
    joins = world.home.subscribe_home(group="joins", filters=filters)
    world.forwarder.publish_uplink(uplink(world.pb, join_request(eui, 1)))
    joins.next()
    unrouted = len(sent) - len(got)

    def counted():
        row = world.row()
        return row is not None and row.uplink.join_requests_routed_count == 1 and \
            row.uplink.data_messages_routed_count + \
            sum(e.count for e in row.uplink.data_messages_processed_error_count) >= len(got) + 2 and row
    row = wait_until(counted, what="the counts")
    up = row.uplink
    assert up.data_messages_routed_count == len(got) + 1
    assert up.data_messages_processed_success_count == len(got)
    assert errors_of(world.pb, up.data_messages_processed_error_count) == {"NOT_FOUND": 1}
    assert up.join_requests_processed_success_count == 0
    assert row.HasField("downlink") and row.downlink.data_messages_routed_count == 0
    today = datetime.datetime.now(datetime.timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    assert abs((row.to.ToDatetime(datetime.timezone.utc) - today).days) <= 1 and row.to.seconds % 86400 == 0
    assert unrouted >= 0  # had no route yet: nobody's
    for s in (stream, second, joins):
        s.close()


def test_what_is_dropped_is_told_with_its_reason(world):
    stream = world.home.subscribe_home()
    world.settled(stream)
    world.forwarder.set_policy(world.home_id, uplink="J", downlink="J")

    def refused():
        world.send()
        row = world.row()
        return row and errors_of(world.pb, row.uplink.data_messages_processed_error_count).get("UPLINK_ROUTING_POLICY")
    wait_until(refused, what="a drop by policy in the report")
    # The tenant has nobody who listens.
    world.forwarder.set_policy(world.home_id, uplink="JMASL", downlink="JMA")
    frame = data_frame((world.base | 1 << 16) + 1)
    stream.close()

    def unheard():
        world.forwarder.publish_uplink(uplink(world.pb, frame))
        row = world.row("tenant-a")
        return row and errors_of(world.pb, row.uplink.data_messages_processed_error_count).get("NO_HOME_NETWORK_ENDPOINTS")
    wait_until(unheard, what="a drop without endpoint in the report")
    assert world.row("tenant-a").uplink.data_messages_routed_count == 0

    def downlink():
        request = world.pb.routing1.PublishDownlinkMessageRequest(
            home_network_net_id=world.home_id, forwarder_net_id=world.forwarder_id,
            message=world.pb.v3.DownlinkMessage(phy_payload=data_frame(world.base + 1, mtype=UNCONFIRMED_DOWN)))
        world.home.home.Publish(request, metadata=world.home.metadata, timeout=20)
        return errors_of(world.pb, world.row().downlink.data_messages_processed_error_count, "Downlink").get(
            "GATEWAY_NOT_CONNECTED")
    wait_until(downlink, what="a downlink to nobody in the report")


def test_members_see_their_own_rows(world):
    stream = world.home.subscribe_home()
    world.settled(stream)
    wait_until(lambda: world.row(), what="the row")
    third_id = 0xC02000 + next(numbers)
    world.admin.create_network(third_id)
    third = world.admin.member(third_id)
    for who in (world.forwarder, world.home):
        rows = world.ask(who.metadata, who.channel)
        assert {(r.forwarder_net_id, r.home_network_net_id) for r in rows} == {(world.forwarder_id, world.home_id)}
    assert world.ask(third.metadata, third.channel) == []
    assert world.ask(third.metadata, third.channel, forwarder_net_id=world.forwarder_id) == []
    with pytest.raises(grpc.RpcError) as refused:
        world.ask(third.metadata, third.channel, forwarder_net_id=world.forwarder_id, home_network_net_id=world.home_id)
    assert refused.value.code() == Code.PERMISSION_DENIED and f"{third_id:06X}" in refused.value.details()
    blind = world.admin.member(world.home_id, rights=[0, 10])
    with pytest.raises(grpc.RpcError) as refused:
        world.ask(blind.metadata, blind.channel)
    assert refused.value.code() == Code.PERMISSION_DENIED and "READ_REPORT" in refused.value.details()
    # As the command line does it: once as forwarder, once as home network.
    assert len(world.ask(world.home.metadata, world.home.channel, home_network_net_id=world.home_id)) == 1
    assert len(world.ask(world.home.metadata, world.home.channel, forwarder_net_id=world.home_id)) == 0
    stream.close()


def test_periods_are_months(world):
    stream = world.home.subscribe_home()
    world.settled(stream)
    wait_until(lambda: world.row(), what="the row")
    now = datetime.datetime.now(datetime.timezone.utc)
    this_month = (now.year, now.month)
    rows = world.as_admin(period=((2020, 1), this_month))
    assert len(rows) == 1
    last = rows[0].to.ToDatetime(datetime.timezone.utc)
    assert (last + datetime.timedelta(days=1)).day == 1 and (last.hour, last.minute) == (0, 0)
    assert len(world.as_admin(last_30_days=True)) == 1
    assert world.as_admin(period=((2020, 1), (2020, 12))) == []
    for words, filters in [("month", {"period": ((2026, 13), (2026, 13))}), ("period.to", {"period": ((2026, 2), (2026, 1))}),
                           ("time", {"no_time": True}), ("tenant", {"home_network_tenant_id": ""})]:
        with pytest.raises(grpc.RpcError) as refused:
            world.as_admin(**filters)
        assert refused.value.code() == Code.INVALID_ARGUMENT and words in refused.value.details()
    stream.close()


@pytest.mark.parametrize("stop", ["stop", "kill"])
def test_counts_survive(exchange, stop):
    """After a stop every count is there; after a kill at most the last second's are missing, and never too many."""
    exchange.start(server__loops=2)
    world = World(exchange)
    stream = world.home.subscribe_home()
    sent, got = world.settled(stream)
    state = types.SimpleNamespace(acknowledged=len(got), tried=len(sent), stop=False, lock=threading.Lock())

    def publish():
        while not state.stop:
            with state.lock:
                state.tried += 1
            try:
                world.send()
            except grpc.RpcError:
                return
            with state.lock:
                state.acknowledged += 1

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    # What is acknowledged now must be in the store when so much later a batch has been written.
    wait_until(lambda: state.acknowledged > len(got) + 200, what="traffic")
    with state.lock:
        before = state.acknowledged
    written = exchange.metrics()["lpx_reporting_batches_total"]
    wait_until(lambda: exchange.metrics()["lpx_reporting_batches_total"] >= written + 3, what="batches")
    if stop == "stop":
        state.stop = True
        for thread in threads:
            thread.join(60)
        before = state.acknowledged
        exchange.stop()
    else:
        exchange.kill()
        for thread in threads:
            thread.join(60)
    exchange.start(server__loops=2)
    world.admin = Admin(exchange)
    counted = world.row().uplink.data_messages_routed_count
    assert before <= counted <= state.tried
    if stop == "stop":
        assert counted == state.acknowledged
    exchange.stop()
