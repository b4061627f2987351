"""Fixtures for scenarios: real programs of a build, on free ports, in a folder of their own."""
import pathlib
import subprocess

import pytest

from harness.exchange import Exchange
from harness.stubs import load_stubs

ROOT = pathlib.Path(__file__).resolve().parent.parent


def pytest_addoption(parser):
    parser.addoption("--build", required=True, help="build folder with lpxd and lpx")


@pytest.fixture(scope="session")
def build(request):
    return pathlib.Path(request.config.getoption("--build")).resolve()


@pytest.fixture(scope="session")
def pb(build):
    """Python classes of every message and service, generated from api/."""
    return load_stubs(build)


@pytest.fixture(scope="session")
def shared_exchange(build, pb, tmp_path_factory):
    """One exchange for the tests that share it; each makes networks of its own."""
    exchange = Exchange(build, pb, tmp_path_factory.mktemp("exchange"))
    exchange.start()
    yield exchange
    exchange.stop()


@pytest.fixture
def exchange(build, pb, tmp_path):
    """An exchange of the test's own, not started yet."""
    exchange = Exchange(build, pb, tmp_path)
    yield exchange
    exchange.stop(check=False)


@pytest.fixture(scope="module")
def database():
    """A PostgreSQL server of the test's own, for as long as the script runs."""
    with subprocess.Popen([ROOT / "tools/with_postgres.sh", "sh", "-c", 'echo "$LPX_TEST_POSTGRES_URL"; exec sleep 3600'],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        url = server.stdout.readline().strip()
        if not url:
            pytest.skip(server.stderr.read().strip())
        yield url
        server.terminate()


@pytest.fixture(scope="module")
def nodes(build, pb, database, tmp_path_factory):
    """Two nodes with one data folder's certificates each, and the first one's administrator."""
    pair = [Exchange(build, pb, tmp_path_factory.mktemp(f"node{n}"), store__url=database) for n in (1, 2)]
    for node in pair:
        node.start()
    (pair[1].dir / "admin.yaml").write_text((pair[0].dir / "admin.yaml").read_text())
    yield pair
    for node in pair:
        node.stop()
