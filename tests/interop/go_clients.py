"""Builds the Go programs of the interop suite: the four Packet Broker clients as their authors publish them, and our own
programs over the same libraries (grpc-go, x/oauth2, protojson). And lpx under the names of the four."""
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NAMES = ("pbadmin", "pbctl", "pbpub", "pbsub")
REAL_MODULE = "go.packetbroker.org/pb"
PROTOS = [*(f"org/packetbroker/{p}/api.proto" for p in ("v3", "iam/v1", "iam/v2", "mapping/v2", "reporting/v1", "routing/v1",
                                                      "routing/v2")),
          "lpx/iam/v1/iam.proto", "lpx/routing/v1/data.proto", "lpx/routing/v1/settings.proto", "lpx/trace/v1/trace.proto"]
PLUGINS = ("google.golang.org/protobuf/cmd/protoc-gen-go@v1.34.2", "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.4.0")


class Unavailable(Exception):
    """Something that the suite cannot have here; the text says why."""


def find_go():
    found = subprocess.run([str(ROOT / "tools/ensure_go"), "--no-install"], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        raise Unavailable("no Go of at least 1.20 on this machine (tools/ensure_go gets one)")
    return found.stdout.strip()


def environment(build):
    return {**os.environ, "PATH": find_go() + ":" + os.environ["PATH"], "GOBIN": str(build / "go/bin"), "GOFLAGS": "",
            "GOTOOLCHAIN": "local"}


def run(command, env, cwd=None):
    result = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False, timeout=600)
    if result.returncode != 0:
        raise Unavailable(f"{' '.join(command[:3])}: {result.stderr.strip()[-600:]}")


def build_real(build):
    """The clients, unmodified, through the module proxy. @return their folder"""
    env = environment(build)
    env["GOBIN"] = str(build / "go/real")
    run(["go", "install", *(f"{REAL_MODULE}/cmd/{name}@latest" for name in NAMES)], env)
    return build / "go/real"


def build_own(build):
    """Our programs: code generated from api/ with the official plugins, then one binary under four names."""
    env, source = environment(build), build / "go/src"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "tests/interop/go", source)
    for plugin in PLUGINS:
        run(["go", "install", plugin], env)
    env["PATH"] = env["GOBIN"] + ":" + env["PATH"]
    run(["protoc", "-I.", f"--go_out={source}", "--go_opt=module=lpx.test", f"--go-grpc_out={source}",
         "--go-grpc_opt=module=lpx.test", *PROTOS], env, ROOT / "api")
    own = build / "go/own"
    own.mkdir(parents=True, exist_ok=True)
    run(["go", "build", "-o", str(own / "members"), "."], env, source)
    for name in (*NAMES, "call"):
        (own / name).unlink(missing_ok=True)
        (own / name).symlink_to("members")
    return own


def link_lpx(build):
    """lpx under the names of the clients that it stands in for."""
    folder = build / "go/lpx"
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*NAMES, "lpx"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(build / "src/bin/lpx")
    return folder
