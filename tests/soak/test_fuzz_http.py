"""Random requests to the HTTP front of the real server, every rpc among them: no crash, no report of a sanitizer, no
growing memory, no answer that says the fault is ours."""
import collections
import json
import time

import grpc
import pytest
from conftest import number
from fuzz_http_kit import CLUSTERS, NET_IDS, TENANTS, Values, Wire, decorate, random_of, targets
from harness.api import load_api
from harness.exchange import Exchange
from harness.members import Admin
from soak_kit import open_files, settled_rss_mib

OURS = {"internal", "unknown", "data_loss"}
ROUND = 500  # requests between two tidyings
STALE = 5  # refusals of callers whose keys are gone, after which they get new ones
GROWTH_MIB = 64  # what allocators, caches and the sanitizer's tables may add after the first third


class World:
    """The exchange with one caller of each kind, kept alive and small while random administrators are at work."""

    def __init__(self, exchange):
        self.exchange, self.pb = exchange, exchange.pb
        self.admin, self.rights = Admin(exchange), [v.number for v in exchange.pb.v3.Right.DESCRIPTOR.values]
        self.clusters = self.pb.iam2.ClusterAPIKeyVaultStub(self.admin.channel)
        self.servers = self.pb.iam2.JoinServerRegistryStub(self.admin.channel)
        self.credentials, self.own = {}, []

    def quietly(self, call, *arguments):
        """What random requests made or ended already is as it should be."""
        try:
            return call(*arguments)
        except grpc.RpcError as error:
            assert error.code() not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE), error
            return None

    def tidy(self):
        """Delete what piled up; make callers anew."""
        for net_id in NET_IDS:
            self.quietly(self.admin.create_network, net_id)
            for tenant in TENANTS[:2]:
                self.quietly(self.admin.create_tenant, net_id, tenant)
        for vault, request in ((self.admin.keys, self.pb.iam2.ListNetworkAPIKeysRequest), (self.clusters, self.pb.iam2.ListClusterAPIKeysRequest)):
            for key in vault.ListAPIKeys(request(), metadata=self.admin.metadata).keys:
                self.quietly(lambda v=vault, k=key: v.DeleteAPIKey(self.pb.iam2.APIKeyRequest(key_id=k.key_id), metadata=self.admin.metadata))
        for server in self.servers.ListJoinServers(self.pb.iam2.ListJoinServersRequest(), metadata=self.admin.metadata).join_servers:
            self.quietly(lambda s=server: self.servers.DeleteJoinServer(self.pb.iam2.JoinServerRequest(id=s.id), metadata=self.admin.metadata))
        network = self.admin.create_key(NET_IDS[0], rights=self.rights)
        tenant = self.admin.create_key(NET_IDS[0], TENANTS[0], rights=self.rights)
        cluster = self.clusters.CreateAPIKey(self.pb.iam2.CreateClusterAPIKeyRequest(cluster_id=CLUSTERS[0], rights=self.rights),
                                             metadata=self.admin.metadata).key
        keys = {"network": network, "tenant": tenant, "cluster": cluster}
        self.own = [key.key_id for key in keys.values()]
        self.credentials = {"nobody": "", "admin": self.admin.metadata[0][1]}
        self.credentials |= {kind: "Bearer " + self.exchange.token(key.key_id, key.key) for kind, key in keys.items()}


@pytest.fixture
def settings():
    """(seconds, requests a second, seed)"""
    return number("LPX_SOAK_FUZZ_SECONDS", 20), number("LPX_SOAK_FUZZ_RATE", 150), number("LPX_SOAK_FUZZ_SEED", int(time.time()))


def judge(request, answer, exchange):
    """A sentence when an answer is wrong; None otherwise."""
    if exchange.process.poll() is not None:
        return f"lpxd ended with {exchange.process.returncode}"
    if answer is None:
        return None
    status, body = answer
    code = None
    if status >= 400 and request.method != "HEAD":
        try:
            code = json.loads(body).get("code", "")
        except ValueError:
            return f"status {status} without JSON: {body[:200]!r}"
    if code in OURS or status == 500:
        return f"status {status}: {body[:500]!r}"
    return None


def test_random_requests(build, pb, tmp_path, settings, tell):
    seconds, rate, seed = settings
    exchange = Exchange(build, pb, tmp_path, **{"http.cors-origins": "https://a.example",
                                           "mapper.requests-per-minute": "0"}).start()
    world, rng, wire = World(exchange), random_of(seed), Wire(exchange)
    values, kinds = Values(rng), targets(load_api())
    statuses, asked, unanswered = collections.Counter(), collections.Counter(), 0
    begin, early_mib, early_files, done = time.monotonic(), None, None, 0
    print(f"seed {seed}")
    stale, since_tidy = 0, ROUND
    while time.monotonic() - begin < seconds:
        if since_tidy >= ROUND or stale >= STALE:
            world.tidy()
            stale = since_tidy = 0
            values.key_ids = world.own + ["AAAAAAAAAAAAAAAA"]
        target = rng.choice(kinds)
        request = target.make(rng, values)
        caller = decorate(rng, request, world.credentials)
        raw = request.bytes()
        answer = wire.ask(request)
        wrong = judge(request, answer, exchange)
        if wrong is not None:
            (tmp_path / "request.bin").write_bytes(raw)
            pytest.fail(f"{wrong}\nby {caller}, seed {seed}, request {done} ({tmp_path / 'request.bin'}):\n{raw[:4000]!r}\n"
                        f"{exchange.log()[-4000:]}")
        done, since_tidy = done + 1, since_tidy + 1
        stale += answer is not None and answer[0] == 401 and caller != "nobody"
        asked[target.name] += 1
        statuses[answer[0] if answer else "none"] += 1
        unanswered += answer is None and request.whole
        if early_mib is None and time.monotonic() - begin > seconds / 3:
            early_mib, early_files = settled_rss_mib(exchange.process.pid), open_files(exchange.process.pid)
        ahead = begin + done / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    wire.close()
    world.tidy()
    end_mib, end_files = settled_rss_mib(exchange.process.pid), open_files(exchange.process.pid)
    tell(requests=done, seed=seed, methods=sum(1 for name in asked if name.startswith("/")), whole_requests_without_answer=unanswered,
         statuses=", ".join(f"{status}: {count}" for status, count in sorted(statuses.items(), key=str)),
         memory_MiB=f"{early_mib:.1f} after a third, {end_mib:.1f} at the end", files=f"{early_files}, {end_files}")
    log = exchange.log()
    exchange.stop()
    assert "Sanitizer" not in log and "runtime error" not in log, log[-8000:]
    assert end_mib < early_mib + GROWTH_MIB, f"{early_mib:.1f} MiB after a third of the time, {end_mib:.1f} at the end"
    assert end_files <= early_files + 8
    if done > 40 * len(kinds):
        assert all(asked[kind.name] for kind in kinds), "a method was never asked"
        assert statuses[200] > done / 50, "hardly a request was good: the mutations are too wild"
