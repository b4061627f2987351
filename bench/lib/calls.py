"""What uplinks cost: each figure in turns with its yardstick, so that whatever else the machine does falls on both."""
import subprocess

from lib.common import fail, program, run_load, values_of
from lib.exchange import BLOCK, FORWARDER, HOME, WORLD, busy_exchange
from lib.yardsticks import CONNECTIONS, STREAMS, go_echo, nats, run_echo

ONE_LOOP = {"server.loops": 1}
FEW, MANY = 10, 100            # subscribers
DELIVERIES = 5                 # for each call of a run to one subscriber
IDLE, STORM = 2000, 10000      # subscribers
STORM_HOME, STORM_HOMES = 0xC00030, 10  # NetIDs in a row; nothing is routed there
STORM_RATE, STORM_PUBLISH_S = 500, 12
LATENCY_S = 3
STREAM_REQUESTS, STREAM_BATCH = 16, 32  # requests under way, uplinks in each


def uplink_command(one, tokens, *more):
    return [program(one.build, "uplink_load"), "--address", f"127.0.0.1:{one.grpc_port}", "--ca", one.data / "ca.pem",
            "--pid", one.process.pid, "--forwarder", FORWARDER, "--forwarder-token", tokens[0], "--home", HOME,
            "--home-token", tokens[1], "--dev-addr", BLOCK, "--connections", CONNECTIONS, "--streams", STREAMS, *more]


def run_uplinks(one, tokens, calls, subscribers=1):
    return run_load(uplink_command(one, tokens, "--calls", calls, "--subscribers", subscribers))


def token_files(one, keys):
    return [one.token_file(key) for key in keys]


def measure_uplinks(build, options, found):
    """An uplink to one subscriber, beside bare echoes of our own wire code and of grpc-go."""
    peer = go_echo(build) if found.wants("router.uplink_k1_cpu_ratio_grpc", "yardstick.grpc") else None
    with busy_exchange(build, **ONE_LOOP) as (one, keys):
        tokens = token_files(one, keys)
        found.add("router.token_bytes", len(tokens[0].read_text().strip()))
        for _ in range(options.runs):
            echo = run_echo(build, program(build, "echo_server"), options.calls)
            uplink = run_uplinks(one, tokens, options.calls)
            cpu = uplink["uplink_server_cpu_per_call"]
            found.add("wire.echo_cpu_us", echo)
            found.add("router.uplink_k1_cpu_us", cpu)
            found.add("router.uplink_k1_cpu_ratio_echo", cpu / echo)
            found.add("router.uplink_k1_rate", uplink["uplinks_per_second"])
            if peer is not None:
                other = run_echo(build, peer, options.calls // 2)
                found.add("yardstick.grpc_go_echo_cpu_us", other)
                found.add("router.uplink_k1_cpu_ratio_grpc", cpu / other)


def measure_deliveries(build, options, found):
    """An uplink to many subscribers, beside nats-server: processor time per delivery."""
    wanted = [(f"k{count}", count) for count in (FEW, MANY)
              if found.wants(f"router.delivery_k{count}_", f"yardstick.nats_delivery_k{count}_")]
    with nats(build) as run_nats, busy_exchange(build, **ONE_LOOP) as (one, keys):
        tokens = token_files(one, keys)
        for _ in range(options.runs):
            for name, count in wanted:
                calls = max(DELIVERIES * options.calls // count, 1000)
                own = run_uplinks(one, tokens, calls, count)["uplink_server_cpu_per_call"] / count
                other = run_nats(count, calls) / count
                found.add(f"router.delivery_{name}_cpu_us", own)
                found.add(f"yardstick.nats_delivery_{name}_cpu_us", other)
                found.add(f"router.delivery_{name}_cpu_ratio_nats", own / other)


def measure_stream(build, options, found):
    """Uplinks by one stream to one subscriber, beside nats-server that acknowledges each message."""
    with nats(build) as run_nats, busy_exchange(build, **ONE_LOOP) as (one, keys):
        tokens = token_files(one, keys)
        for _ in range(options.runs):
            values = run_load(uplink_command(one, tokens, "--calls", options.calls, "--connections", 1, "--streams",
                                             STREAM_REQUESTS, "--batch", STREAM_BATCH))
            own, other = values["uplink_server_cpu_per_call"], run_nats(1, options.calls, ack=True)
            found.add("router.stream_k1_cpu_us", own)
            found.add("yardstick.nats_delivery_k1_ack_cpu_us", other)
            found.add("router.stream_k1_cpu_ratio_nats", own / other)


def measure_latency(build, options, found):
    """From the time when an uplink was due to its arrival, at half of the rate that saturates."""
    with busy_exchange(build, **ONE_LOOP) as (one, keys):
        tokens = token_files(one, keys)
        rate = int(run_uplinks(one, tokens, options.calls)["uplinks_per_second"] / 2)
        for _ in range(options.runs):
            values = run_load(uplink_command(one, tokens, "--rate", rate, "--calls", rate * LATENCY_S))
            found.add("router.latency_p50_us", values["latency_p50"])
            found.add("router.latency_p99_us", values["latency_p99"])


def measure_growth(build, options, found):
    """The same uplink in a small and in a large world."""
    small_nets, large_nets = {**WORLD, "networks": 10, "policies": 100}, WORLD
    few, many = {**WORLD, "networks": 1000, "prefixes": 1000}, {**WORLD, "networks": 1000, "prefixes": 1000000}
    for name, small, large in (("router.growth_networks_ratio", small_nets, large_nets),
                               ("router.growth_prefixes_ratio", few, many)):
        if not found.wants(name):
            continue
        with busy_exchange(build, small, **ONE_LOOP) as (a, a_keys), busy_exchange(build, large, **ONE_LOOP) as (b, b_keys):
            a_tokens, b_tokens = token_files(a, a_keys), token_files(b, b_keys)
            for _ in range(options.runs):
                cheap = run_uplinks(a, a_tokens, options.calls)["uplink_server_cpu_per_call"]
                dear = run_uplinks(b, b_tokens, options.calls)["uplink_server_cpu_per_call"]
                found.add(name, dear / cheap)


def measure_loops(build, options, found):
    """Two loops against one, both wherever the system puts them. Two processors say little: the load needs one too."""
    with busy_exchange(build, cpu=None, **ONE_LOOP) as (one, one_keys), \
            busy_exchange(build, cpu=None, **{"server.loops": 2}) as (two, two_keys):
        one_tokens, two_tokens = token_files(one, one_keys), token_files(two, two_keys)
        for _ in range(options.runs):
            single = run_uplinks(one, one_tokens, options.calls)
            double = run_uplinks(two, two_tokens, options.calls)
            found.add("router.loops2_ratio", double["uplinks_per_second"] / single["uplinks_per_second"])
            found.add("router.loops2_cpu_ratio",
                      double["uplink_server_cpu_per_call"] / single["uplink_server_cpu_per_call"])


def storm_tokens(one, count):
    """Members that subscribe, and a token for each subscriber. @return a file with one on each line, in turns"""
    lists = []
    for number in range(STORM_HOMES):
        net_id = f"{STORM_HOME + number:06X}"
        one.lpx("network", "create", "--net-id", net_id, "--name", "Bench subscribers")
        lists.append(one.tokens(one.key(net_id), count // STORM_HOMES))
    path = one.data / "storm-tokens"
    path.touch(mode=0o600)
    path.write_text("".join(token + "\n" for turn in zip(*lists) for token in turn))
    return path


def storm_command(one, tokens, count, *more):
    return [str(word) for word in (
        program(one.build, "storm_load"), "--address", f"127.0.0.1:{one.grpc_port}", "--ca", one.data / "ca.pem", "--pid",
        one.process.pid, "--home", f"{STORM_HOME:X}", "--homes", STORM_HOMES, "--home-tokens", tokens, "--dev-addr", BLOCK,
        "--count", count, *more)]


def measure_idle(build, options, found):
    """Resident memory for each subscriber that waits; a fresh exchange each time."""
    for _ in range(options.runs):
        with busy_exchange(build, **ONE_LOOP) as (one, _):
            tokens = storm_tokens(one, IDLE)
            found.add("router.idle_subscriber_kib", run_load(storm_command(one, tokens, IDLE))["idle_subscriber"])


def run_storm(one, keys, tokens):
    """Publish at a steady rate while all subscribers of another network drop and come back. @return values of both"""
    publisher = [str(word) for word in uplink_command(one, token_files(one, keys), "--rate", STORM_RATE, "--calls",
                                                      STORM_RATE * STORM_PUBLISH_S)]
    with subprocess.Popen(storm_command(one, tokens, STORM, "--storm"), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as storm:
        told = ""
        for line in storm.stdout:
            told += line
            if line.startswith("storm "):
                break
        publishing = run_load(publisher) if storm.poll() is None else {}
        rest, errors = storm.communicate(timeout=300)
    if storm.returncode != 0:
        fail(f"storm_load ended with {storm.returncode}: {errors.strip()[-500:]}")
    return {**values_of(told + rest), **publishing}


def measure_storm(build, options, found):
    """10,000 subscribers with a token of their own each; exchange and load wherever the system puts them."""
    settings = {"server.loops": 2, "grpc.max-connections": 2 * STORM}
    for _ in range(options.runs):
        with busy_exchange(build, cpu=None, **settings) as (one, keys):
            values = run_storm(one, keys, storm_tokens(one, STORM))
            found.add("router.storm_10k_s", values["storm_seconds"])
            found.add("router.storm_retries", values["storm_retries"])
            found.add("router.storm_subscriber_cpu_us", values["storm_server_cpu_per_subscriber"])
            found.add("router.storm_publish_p99_us", values["latency_p99"])
