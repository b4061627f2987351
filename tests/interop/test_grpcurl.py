"""grpcurl, unmodified: it finds, describes and calls everything by reflection alone."""
import json
import subprocess

import pytest
from go_clients import Unavailable, environment, run
from harness.exchange import Exchange

MODULE = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.1"


@pytest.fixture(scope="module")
def grpcurl(build, pb, tmp_path_factory):
    try:
        env = environment(build)
        run(["go", "install", MODULE], env)
    except Unavailable as why:
        pytest.skip(f"grpcurl: {why}")
    exchange = Exchange(build, pb, tmp_path_factory.mktemp("grpcurl"))
    exchange.start()

    def call(*arguments, data=None):
        options = ["-cacert", str(exchange.ca_file), "-H", f"authorization: {exchange.admin_metadata()[0][1]}"]
        options += ["-d", json.dumps(data)] if data is not None else []
        return subprocess.run([f"{env['GOBIN']}/grpcurl", *options, exchange.grpc_address, *arguments],
                              capture_output=True, text=True, check=True, timeout=60).stdout
    yield call
    exchange.stop()


def test_it_describes_every_service(grpcurl):
    services = grpcurl("list").split()
    assert "grpc.health.v1.Health" in services and "org.packetbroker.routing.v1.ForwarderData" in services
    for service in services:
        assert f"{service} is a service:" in grpcurl("describe", service)


def test_it_calls_with_no_file_at_hand(grpcurl):
    assert json.loads(grpcurl("grpc.health.v1.Health/Check")) == {"status": "SERVING"}
    service = "org.packetbroker.iam.v1.NetworkRegistry"
    grpcurl(f"{service}/CreateNetwork", data={"network": {"netId": 0xC00301, "name": "From grpcurl"}})
    answer = json.loads(grpcurl(f"{service}/GetNetwork", data={"netId": 0xC00301}))
    assert answer["network"]["name"] == "From grpcurl"
