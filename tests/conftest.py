"""Fixtures for scenarios: real programs of a build, on free ports, in a folder of their own."""
import pathlib

import pytest

from harness.exchange import Exchange
from harness.stubs import load_stubs


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
