"""First start, second start, wrong settings, stop."""
import os
import re
import sqlite3
import stat
import subprocess

from harness.exchange import Exchange
from harness.members import Admin


def test_first_start_makes_what_is_missing(exchange):
    exchange.start()
    for name, mode in (("ca.pem", None), ("ca-key.pem", 0o600), ("server.pem", None), ("server-key.pem", 0o600),
                       ("admin.yaml", 0o600), ("lpx.db", 0o600)):
        path = exchange.dir / name
        assert path.exists(), name
        if mode is not None:
            assert stat.S_IMODE(path.stat().st_mode) == mode, name
    assert stat.S_IMODE(exchange.dir.stat().st_mode) == 0o700
    password = exchange.admin_password()
    assert len(password) >= 20
    assert password not in exchange.log()
    exchange.stop()


def test_second_start_keeps_everything(exchange):
    exchange.start()
    before = {p.name: p.read_bytes() for p in exchange.dir.iterdir() if p.suffix in (".pem", ".yaml")}
    Admin(exchange).create_network(0xC00001, name="Kept")
    exchange.stop()
    exchange.start()
    assert before == {p.name: p.read_bytes() for p in exchange.dir.iterdir() if p.suffix in (".pem", ".yaml")}
    request = exchange.pb.iam1.NetworkRequest(net_id=0xC00001)
    admin = Admin(exchange)
    assert admin.networks.GetNetwork(request, metadata=admin.metadata).network.name == "Kept"
    exchange.stop()


def listeners(pid):
    """Addresses on which a process listens, from the kernel's tables."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found = re.match(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            continue
        if found:
            inodes.add(found[1])
    addresses = set()
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as lines:
            for line in list(lines)[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[9] in inodes:
                    addresses.add(fields[1].split(":")[0])
    return addresses


def test_nothing_listens_beyond_loopback(exchange):
    exchange.start()
    assert listeners(exchange.process.pid) == {"0100007F"}
    exchange.stop()


def run(exchange, *arguments, env=None):
    return subprocess.run([exchange.lpxd, *arguments], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, **(env or {})})


def test_a_wrong_key_is_refused_with_the_nearest_right_one(exchange, tmp_path):
    config = tmp_path / "lpxd.yaml"
    config.write_text("grpc:\n  listne: 127.0.0.1:0\n")
    result = run(exchange, "check-config", "--config", str(config))
    assert result.returncode == 1
    assert "grpc.listne" in result.stderr and "grpc.listen" in result.stderr and ":2" in result.stderr
    result = run(exchange, "--router.loopbak=true")
    assert result.returncode == 1 and "router.loopback" in result.stderr
    result = run(exchange, "check-config", "--server.loops=many")
    assert result.returncode == 1 and "server.loops" in result.stderr


def test_precedence_of_settings(exchange, tmp_path):
    config = tmp_path / "lpxd.yaml"
    config.write_text("log:\n  level: warn\nrouter:\n  queue-messages: 7\nserver:\n  loops: 3\n")
    result = run(exchange, "check-config", "--config", str(config), "--log.level=debug",
                 env={"LPX_LOG_LEVEL": "error", "LPX_ROUTER_QUEUE_MESSAGES": "9"})
    assert result.returncode == 0, result.stderr
    assert re.search(r"level:\s*\"?debug", result.stdout)
    assert re.search(r"queue-messages:\s*\"?9", result.stdout)
    assert re.search(r"loops:\s*\"?3", result.stdout)


def test_help_and_version(exchange):
    for words in (["--help"], ["reference"]):
        result = run(exchange, *words)
        assert result.returncode == 0 and "grpc.listen" in result.stdout and "control.default-policy" in result.stdout
    assert "Examples:" in run(exchange, "--help").stdout
    assert run(exchange, "--version").stdout.startswith("lpxd ")


def test_a_newer_database_is_refused_untouched(exchange):
    exchange.start()
    exchange.stop()
    path = exchange.dir / "lpx.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        columns = [row[1] for row in db.execute("PRAGMA table_info(schema_migrations)")]
        row = dict(zip(columns, db.execute("SELECT * FROM schema_migrations ORDER BY version DESC LIMIT 1").fetchone()))
        row["version"] = 9999
        db.execute(f"INSERT INTO schema_migrations ({','.join(row)}) VALUES ({','.join('?' * len(row))})", list(row.values()))
    db.close()
    before = path.read_bytes()
    result = subprocess.run(exchange.command(), capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert "9999" in result.stderr and "newer" in result.stderr
    assert path.read_bytes() == before


def test_a_taken_port_is_named(exchange, build, pb, tmp_path):
    import socket
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", exchange.grpc_port))
        taken.listen()
        result = subprocess.run(exchange.command(), capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert exchange.grpc_address in result.stderr
