"""Two nodes on one PostgreSQL: their counts add up, and each tells of the other's changes."""
from harness.exchange import wait_until
from harness.frames import data_frame, uplink
from harness.members import Admin, Member
from test_46_reports import World
from test_47_publisher import Cluster

FORWARDER, HOME, BASE = 0xC00061, 0xC00060, 0xFC018000


def test_counts_of_both_nodes_add_up(nodes, pb):
    first, second = nodes
    admin = Admin(first)
    admin.create_network(HOME, blocks=[(BASE, 22)])
    admin.create_network(FORWARDER)
    home_key, forwarder_key = admin.create_key(HOME), admin.create_key(FORWARDER)
    counts = []
    for node in (first, second):
        home, forwarder = Member(node, home_key, HOME, "", ""), Member(node, forwarder_key, FORWARDER, "", "")
        stream = home.subscribe_home()
        sent = 0

        def arrives():
            nonlocal sent
            sent += 1
            last = forwarder.publish_uplink(uplink(pb, data_frame(BASE + 1, f_cnt=sent)))
            return stream.messages.qsize() > 0 and last
        last = wait_until(arrives, what="the route")
        got = 1
        while stream.next().id != last:
            got += 1
        for _ in range(20):
            forwarder.publish_uplink(uplink(pb, data_frame(BASE + 1)))
            stream.next()
        counts.append(got + 20)
        stream.close()

    def routed(node):
        who = Member(node, home_key, HOME, "", "")
        rows = World.ask(type("W", (), {"pb": pb}), who.metadata, who.channel)
        return [r.uplink.data_messages_routed_count for r in rows] == [sum(counts)]
    for node in nodes:
        wait_until(lambda node=node: routed(node), what="the sum of both")


def test_the_feed_of_one_tells_what_the_other_did(nodes, pb):
    first, second = nodes
    feed = Cluster(second).follow("policies")
    feed.state("policies")
    admin = Admin(first)
    admin.create_network(0xC00062)
    member = admin.member(0xC00062)
    member.set_policy(0x13, "ttn", uplink="JM")
    told = feed.until(lambda kind, body: body.forwarder_net_id == 0xC00062)
    assert told.metadata["kind"] == "update" and feed.body(told).uplink.mac_data
    member.set_policy(0x13, "ttn")
    gone = feed.until(lambda kind, body: body.forwarder_net_id == 0xC00062)
    assert gone.metadata["kind"] == "delete" and feed.body(gone).home_network_tenant_id == "ttn"
    feed.close()
