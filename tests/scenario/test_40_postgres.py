"""Two nodes on one PostgreSQL: what is set on one acts on the other, and a node's death loses nothing."""
import pytest
from harness.exchange import wait_until
from harness.frames import data_frame, join_request, uplink
from harness.members import Admin, Member

HOME, FORWARDER, BASE = 0xC00050, 0xC00051, 0xFC014000
JOIN_EUI = 0x70B3D57ED0005050


def test_a_change_on_one_node_acts_on_the_other(nodes, pb):
    first, second = nodes
    admin = Admin(first)
    admin.create_network(HOME, blocks=[(BASE, 22)])
    admin.create_network(FORWARDER)
    home_key, forwarder_key = admin.create_key(HOME), admin.create_key(FORWARDER)

    def member(node, key, net_id):
        """A key made on one node gives tokens on the other."""
        return Member(node, key, net_id, "", "")
    home, forwarder = member(second, home_key, HOME), member(second, forwarder_key, FORWARDER)
    names = pb.v3.RoutingFilter.JoinRequest.EUIPrefixes(join_eui=JOIN_EUI, join_eui_length=64)
    stream = home.subscribe_home("g", [
        pb.v3.RoutingFilter(mac=pb.v3.RoutingFilter.MACPayload()),
        pb.v3.RoutingFilter(join_request=pb.v3.RoutingFilter.JoinRequest(eui_prefixes=[names]))])
    phy = data_frame(BASE + 1)

    def arrives():
        forwarder.publish_uplink(uplink(pb, phy))
        return stream.messages.qsize() > 0
    wait_until(arrives, what="the route on the second node")
    Member(first, forwarder_key, FORWARDER, "", "").set_policy(HOME, uplink="J", downlink="")

    refused, passing = data_frame(BASE + 1, f_port=9), join_request(JOIN_EUI, 1)

    def acts():
        """A data frame is refused; the join-request behind it, which the filter names, still passes."""
        forwarder.publish_uplink(uplink(pb, refused))
        forwarder.publish_uplink(uplink(pb, passing))
        plain = stream.next().message.phy_payload.plain
        while plain == phy:
            plain = stream.next().message.phy_payload.plain
        if plain == refused:
            assert stream.next().message.phy_payload.plain == passing
        return plain == passing
    wait_until(acts, what="the policy on the second node")
    admin.delete_key(home_key.key_id)
    while stream.next() is not None:
        pass
    assert stream.error is not None


@pytest.mark.parametrize("other", [0, 1])
def test_a_new_key_works_at_once_on_every_node(nodes, pb, other):
    """The token is there before the change feed has told of the key: the call waits for it instead of failing."""
    admin, node = Admin(nodes[0]), nodes[other]
    net_id = 0xC00058 + other
    admin.create_network(net_id)
    for _ in range(20):
        member = Member(node, admin.create_key(net_id), net_id, "", "")
        member.set_default_policy("J", "J")
        member.subscribe_home("g").close()


def test_a_killed_node_loses_nothing(nodes, pb):
    first, second = nodes
    admin = Admin(second)
    for n in range(20):
        admin.create_network(0xC00060 + n)
    second.kill()
    got = Admin(first)
    for n in range(20):
        got.networks.GetNetwork(pb.iam1.NetworkRequest(net_id=0xC00060 + n), metadata=got.metadata)
    second.start()
