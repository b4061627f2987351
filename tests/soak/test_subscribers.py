"""Many subscribers connect, leave and come back while uplinks flow: each group gets one copy of each uplink, and lpxd
keeps nothing of those who left."""
import asyncio
import collections
import random

import grpc
import grpc.aio
from soak_kit import HOME, make_members, make_request, number_of, open_files, settled_rss_mib

SEED = 20261120
CHANNELS, PER_GROUP, WAVES, BATCH, PER_SECOND = 50, 10, 5, 50, 100
AT_ONCE, BETWEEN = 50, 5  # how many leave together, and uplinks between two such
KEPT_KIB_EACH = 32
STABLE = "stable"  # a group of one that never leaves


class Crowd:
    """Subscribers in one thread. What came is counted by (group, number of the uplink)."""

    def __init__(self, exchange, member, count):
        self.exchange, self.member, self.pb = exchange, member, exchange.pb
        self.groups = [f"g{i}" for i in range(count // PER_GROUP)] + [STABLE]
        self.places = [(f"g{i % (count // PER_GROUP)}", i // PER_GROUP % CHANNELS) for i in range(count)]
        self.places.append((STABLE, CHANNELS))
        self.channels, self.calls, self.readers = {}, {}, {}
        self.got = collections.Counter()

    def channel(self, index):
        if index not in self.channels:
            credentials = grpc.ssl_channel_credentials(self.exchange.ca_file.read_bytes())
            self.channels[index] = grpc.aio.secure_channel(self.exchange.grpc_address, credentials,
                                                           options=[("grpc.use_local_subchannel_pool", 1)])
        return self.channels[index]

    async def read(self, group, call):
        try:
            async for routed in call:
                self.got[group, number_of(routed)] += 1
        except (asyncio.CancelledError, grpc.aio.AioRpcError):
            pass

    async def join(self, index):
        """Subscribe; returns when the subscription is in place."""
        group, channel = self.places[index]
        request = self.pb.routing1.SubscribeHomeNetworkRequest(home_network_net_id=HOME, group=group)
        stub = self.pb.routing1.HomeNetworkDataStub(self.channel(channel))
        call = stub.Subscribe(request, metadata=self.member.metadata)
        await call.initial_metadata()
        self.calls[index], self.readers[index] = call, asyncio.ensure_future(self.read(group, call))

    async def leave(self, *indexes):
        for index in indexes:
            self.calls.pop(index).cancel()
        await asyncio.gather(*(self.readers.pop(index) for index in indexes))

    async def hang_up(self, channel):
        """Close a connection with all its subscribers."""
        here = [i for i in self.calls if self.places[i][1] == channel]
        leaving = asyncio.ensure_future(self.leave(*here))
        await self.channels.pop(channel).close()
        await leaving

    async def join_all(self):
        missing = [i for i in range(len(self.places)) if i not in self.calls]
        for start in range(0, len(missing), 100):
            await asyncio.gather(*(self.join(i) for i in missing[start:start + 100]))

    async def leave_all(self):
        for channel in [c for c in self.channels if c != "publisher"]:
            await self.hang_up(channel)


class Publisher:
    def __init__(self, crowd, forwarder):
        self.crowd, self.next = crowd, 0
        self.metadata = forwarder.metadata
        self.stub = crowd.pb.routing1.ForwarderDataStub(crowd.channel("publisher"))

    async def publish(self, count):
        """Each answer must be OK. @return the numbers"""
        numbers = range(self.next, self.next + count)
        self.next += count
        calls = [self.stub.Publish(make_request(self.crowd.pb, n), metadata=self.metadata) for n in numbers]
        for call in calls:
            assert (await call).id
        return numbers

    async def flow(self, over):
        """Publish steadily. @return the numbers"""
        first = self.next
        while not over.is_set():
            await self.publish(1)
            await asyncio.sleep(1 / PER_SECOND)
        return range(first, self.next)

    async def some_more(self):
        """Wait while the flow goes on."""
        wanted = self.next + BETWEEN
        while self.next < wanted:
            await asyncio.sleep(1 / PER_SECOND)


async def arrived(crowd, numbers, groups, seconds=60):
    """Wait until the uplinks reached each group; the bound is for failures only."""
    async def poll():
        while any(crowd.got[group, n] == 0 for group in groups for n in numbers):
            await asyncio.sleep(0.05)
    try:
        await asyncio.wait_for(poll(), seconds)
    except asyncio.TimeoutError:
        missing = [(group, n) for group in groups for n in numbers if crowd.got[group, n] == 0]
        raise AssertionError(f"{len(missing)} copies did not arrive, first {missing[:5]}") from None


async def open_now(crowd, count, seconds=60):
    """Wait until lpxd has so many subscriptions open: until it knows who left, copies can go to them."""
    end = asyncio.get_running_loop().time() + seconds
    while crowd.exchange.metrics()['lpx_router_subscriptions{direction="uplink"}'] != count:
        assert asyncio.get_running_loop().time() < end, f"lpxd has not {count} subscriptions open within {seconds} s"
        await asyncio.sleep(0.05)


async def one_copy_each(crowd, publisher):
    """While nobody comes or goes, every uplink reaches every group once."""
    await open_now(crowd, len(crowd.places))
    numbers = await publisher.publish(BATCH)
    await arrived(crowd, numbers, crowd.groups)


async def wave(crowd, publisher, rng):
    """Two in three leave, some by closing their connection, and come back, while uplinks flow.
    @return uplinks that flowed, subscribers that left"""
    over = asyncio.Event()
    flow = asyncio.ensure_future(publisher.flow(over))
    for channel in rng.sample(range(CHANNELS), CHANNELS // 3):
        if channel in crowd.channels:
            await crowd.hang_up(channel)
            await publisher.some_more()
    here = [i for i in crowd.calls if crowd.places[i][0] != STABLE]
    leaving = rng.sample(here, len(here) // 2)
    left = len(crowd.places) - 1 - len(here) + len(leaving)
    for start in range(0, len(leaving), AT_ONCE):
        await crowd.leave(*leaving[start:start + AT_ONCE])
        await publisher.some_more()
    await crowd.join_all()
    over.set()
    numbers = await flow
    await arrived(crowd, numbers, [STABLE])
    return len(numbers), left


async def run(exchange, forwarder, home, count, tell):
    crowd, rng, pid = Crowd(exchange, home, count), random.Random(SEED), exchange.process.pid
    publisher = Publisher(crowd, forwarder)
    await publisher.publish(1)
    alone_files, alone = open_files(pid), settled_rss_mib(pid, 1)
    left = flowed = 0
    full, empty = [], []
    for number in range(1 + WAVES):
        if number > 0:
            uplinks, leavers = await wave(crowd, publisher, rng)
            flowed, left = flowed + uplinks, left + leavers
        await crowd.join_all()
        await one_copy_each(crowd, publisher)
        full.append(await asyncio.to_thread(settled_rss_mib, pid))
        if number in (0, WAVES):
            await crowd.leave_all()
            await open_now(crowd, 0)
            empty.append(await asyncio.to_thread(settled_rss_mib, pid))
            assert open_files(pid) == alone_files
            await crowd.join_all()
    await one_copy_each(crowd, publisher)
    await crowd.leave_all()
    await crowd.channels["publisher"].close()
    twice = [key for key, copies in crowd.got.items() if copies > 1]
    assert twice == []
    tell(subscribers=count, waves=WAVES, left_and_came_back=left, uplinks_during_waves=flowed,
         copies=sum(crowd.got.values()), rss_mib_before=f"{alone:.1f}",
         rss_mib_with_all=" ".join(f"{mib:.1f}" for mib in full),
         rss_mib_with_none=" ".join(f"{mib:.1f}" for mib in empty))
    # The first crowd leaves pools and free memory behind, so much for each at most; those after it must find room there.
    assert (empty[0] - alone) * 1024 < KEPT_KIB_EACH * count + 4096
    assert full[-1] < full[0] * 1.1 + 4 and empty[-1] < empty[0] * 1.1 + 4


def test_subscribers_come_and_go(exchange, subscribers, tell):
    exchange.start()
    _, forwarder, home = make_members(exchange)
    asyncio.run(run(exchange, forwarder, home, subscribers, tell))
    exchange.stop()
