"""What the long runs share. Their length comes from the environment; each tells at the end what it saw."""
import os

import pytest

# A sanitizer's quarantine would hide what lpxd itself keeps; an error in it must end the process.
os.environ.setdefault("ASAN_OPTIONS", "quarantine_size_mb=1:allocator_release_to_os_interval_ms=500:detect_leaks=1")
os.environ.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")

told = []


def number(name, default):
    value = os.environ.get(name, "")
    if value and not (value.isdigit() and int(value) > 0):
        raise pytest.UsageError(f"{name}={value}: want a number from 1")
    return int(value or default)


@pytest.fixture(scope="session")
def rounds():
    """How often lpxd is killed."""
    return number("LPX_SOAK_ROUNDS", 100)


@pytest.fixture(scope="session")
def seconds():
    """How long uplinks are replayed."""
    return number("LPX_SOAK_SECONDS", 60)


@pytest.fixture(scope="session")
def subscribers():
    """How many subscribers come and go."""
    return number("LPX_SOAK_SUBSCRIBERS", 1000)


@pytest.fixture
def tell(request):
    """tell(name=value, …): figures of this run."""
    def add(**figures):
        told.extend(f"{request.node.name}: {name.replace('_', ' ')} {value}" for name, value in figures.items())
    return add


def pytest_terminal_summary(terminalreporter):
    for line in told:
        terminalreporter.write_line(line)
