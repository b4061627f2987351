#!/usr/bin/env python3
"""Run protoc with the protobuf-c plugin and shorten the names: Org__Packetbroker__Iam__V1__X becomes Pb__Iam__V1__X.

Usage: gen_proto.py API_DIR OUT_DIR PROTO...   (PROTO is relative to API_DIR or a google/protobuf file of the system)
"""
import pathlib
import subprocess
import sys


def main():
    api, out, *protos = sys.argv[1:]
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    subprocess.run(["protoc", f"--c_out={out}", f"-I{api}", "-I/usr/include", *protos], check=True)
    flat = {}
    for proto in protos:
        stem = proto.removesuffix(".proto") + ".pb-c"
        flat[stem] = stem.replace("org/packetbroker/", "pb/").replace("/", "_")
    for stem, name in flat.items():
        for ending in (".h", ".c"):
            text = (out / (stem + ending)).read_text(encoding="utf-8")
            text = text.replace("Org__Packetbroker__", "Pb__").replace("org__packetbroker__", "pb__")
            text = text.replace("ORG__PACKETBROKER__", "PB__")
            for other, short in flat.items():
                text = text.replace(f'"{other}.h"', f'"{short}.h"')
            (out / (name + ending)).write_text(text, encoding="utf-8")


main()
