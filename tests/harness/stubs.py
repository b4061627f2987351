"""Generate Python classes from api/ into the build folder and import them under short names."""
import importlib
import pathlib
import subprocess
import sys
import types

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHORT = {
    "v3": "org.packetbroker.v3.api", "iam1": "org.packetbroker.iam.v1.api", "iam2": "org.packetbroker.iam.v2.api",
    "routing1": "org.packetbroker.routing.v1.api", "routing2": "org.packetbroker.routing.v2.api",
    "mapping2": "org.packetbroker.mapping.v2.api", "reporting1": "org.packetbroker.reporting.v1.api",
    "lpx_iam": "lpx.iam.v1.iam", "lpx_routing": "lpx.routing.v1.settings", "lpx_trace": "lpx.trace.v1.trace",
    "lpx_data": "lpx.routing.v1.data",
}
FOLDERS = ("org", "lpx")  # classes of api/grpc would hide the package grpc


def load_stubs(build):
    out = pathlib.Path(build) / "py-stubs"
    protos = [str(p.relative_to(ROOT / "api")) for p in sorted((ROOT / "api").rglob("*.proto"))
              if p.relative_to(ROOT / "api").parts[0] in FOLDERS]
    newest = max(file.stat().st_mtime for file in [pathlib.Path(__file__), *(ROOT / "api" / p for p in protos)])
    stamp = out / "stamp"
    if not stamp.exists() or stamp.stat().st_mtime < newest:
        out.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'api'}", f"--python_out={out}",
                        f"--grpc_python_out={out}", *protos, "google/rpc/status.proto"], check=True)
        stamp.touch()
    sys.path.insert(0, str(out))
    loaded = {}
    for short, module in SHORT.items():
        messages = importlib.import_module(module + "_pb2")
        services = importlib.import_module(module + "_pb2_grpc")
        loaded[short] = types.SimpleNamespace(**{k: v for k, v in vars(messages).items() if not k.startswith("__")},
                                              **{k: v for k, v in vars(services).items() if k.endswith("Stub")})
    loaded["status"] = importlib.import_module("google.rpc.status_pb2") if (out / "google/rpc/status_pb2.py").exists() else None
    return types.SimpleNamespace(**loaded)
