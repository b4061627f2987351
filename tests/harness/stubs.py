"""Generate Python classes from api/ into the build folder and import them under short names."""
import importlib
import pathlib
import subprocess
import sys
import types

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHORT = {
    "v3": "org.packetbroker.v3", "iam1": "org.packetbroker.iam.v1", "iam2": "org.packetbroker.iam.v2",
    "routing1": "org.packetbroker.routing.v1", "routing2": "org.packetbroker.routing.v2",
    "mapping2": "org.packetbroker.mapping.v2", "reporting1": "org.packetbroker.reporting.v1",
}


def load_stubs(build):
    out = pathlib.Path(build) / "py-stubs"
    protos = [str(p.relative_to(ROOT / "api")) for p in sorted((ROOT / "api/org").rglob("*.proto"))]
    newest = max((ROOT / "api" / p).stat().st_mtime for p in protos)
    stamp = out / "stamp"
    if not stamp.exists() or stamp.stat().st_mtime < newest:
        out.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'api'}", f"--python_out={out}",
                        f"--grpc_python_out={out}", *protos, "google/rpc/status.proto"], check=True)
        stamp.touch()
    sys.path.insert(0, str(out))
    loaded = {}
    for short, package in SHORT.items():
        messages = importlib.import_module(package + ".api_pb2")
        services = importlib.import_module(package + ".api_pb2_grpc")
        loaded[short] = types.SimpleNamespace(**{k: v for k, v in vars(messages).items() if not k.startswith("__")},
                                              **{k: v for k, v in vars(services).items() if k.endswith("Stub")})
    loaded["status"] = importlib.import_module("google.rpc.status_pb2") if (out / "google/rpc/status_pb2.py").exists() else None
    return types.SimpleNamespace(**loaded)
