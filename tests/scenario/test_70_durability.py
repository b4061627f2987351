"""Acknowledged means durable: the server is killed at random moments, and nothing that it acknowledged is lost."""
import random
import threading

import grpc
import pytest
from harness.members import Admin

SEED = 20261120


@pytest.mark.parametrize("round_number", range(3))
def test_nothing_acknowledged_is_lost(exchange, round_number):
    rng = random.Random(SEED + round_number)
    exchange.start()
    admin = Admin(exchange)
    acknowledged, lock = set(), threading.Lock()

    def create(first):
        net_id = first
        while True:
            try:
                admin.create_network(net_id, name=f"n{net_id:x}")
            except grpc.RpcError:
                return
            with lock:
                acknowledged.add(net_id)
            net_id += 1

    threads = [threading.Thread(target=create, args=(0xC10000 + i * 0x1000,)) for i in range(8)]
    for thread in threads:
        thread.start()
    wanted = rng.randrange(20, 200)
    while True:
        with lock:
            if len(acknowledged) >= wanted:
                break
    exchange.kill()
    for thread in threads:
        thread.join(60)
    exchange.start()
    admin, found, offset = Admin(exchange), {}, 0
    while True:
        page = admin.networks.ListNetworks(exchange.pb.iam1.ListNetworksRequest(offset=offset, limit=500),
                                           metadata=admin.metadata)
        found.update({n.net_id: n.name for n in page.networks})
        offset += len(page.networks)
        if not page.networks or offset >= page.total:
            break
    assert acknowledged <= found.keys()
    assert all(name == f"n{net_id:x}" for net_id, name in found.items())
    exchange.stop()
