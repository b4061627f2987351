"""The protos against a table of the whole API, field by field and both ways.

LPX_API_TABLE names a TSV with the columns kind, package, owner, name, number, type, label_or_output, oneof_or_streaming:
one line for each enum value, field, reserved range and rpc of org.packetbroker.*.
"""
import csv
import os
import pathlib
import subprocess
import sys

import pytest
from google.protobuf import descriptor_pb2

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
Field = descriptor_pb2.FieldDescriptorProto
PREFIX = "org.packetbroker."


@pytest.fixture(scope="module")
def table():
    """Every line as (kind, package, owner, name) -> the rest."""
    path = os.environ.get("LPX_API_TABLE")
    if not path:
        pytest.skip("LPX_API_TABLE names no table of the API")
    with open(path, encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert lines[0] == ["kind", "package", "owner", "name", "number", "type", "label_or_output", "oneof_or_streaming"]
    rows = {tuple(line[:4]): tuple(line[4:]) for line in lines[1:]}
    assert len(rows) == len(lines) - 1, "the table names something twice"
    return rows


@pytest.fixture(scope="module")
def descriptors(tmp_path_factory):
    out = tmp_path_factory.mktemp("api") / "set"
    protos = sorted(str(p.relative_to(ROOT / "api")) for p in (ROOT / "api/org").rglob("*.proto"))
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'api'}", "--include_imports",
                    f"--descriptor_set_out={out}", *protos], check=True)
    return descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())


def type_name(field):
    if field.type in (Field.TYPE_MESSAGE, Field.TYPE_ENUM):
        return field.type_name.lstrip(".")
    return Field.Type.Name(field.type).removeprefix("TYPE_").lower()


def reserved_text(ranges, inclusive):
    numbers = [n for r in ranges for n in range(r.start, r.end + (1 if inclusive else 0))]
    return ",".join(str(n) for n in numbers)


def rows_of_enum(package, owner, enum):
    rows = {("enum", package, owner, value.name): (str(value.number), "", "", "") for value in enum.value}
    if enum.reserved_range:
        rows["reserved", package, owner, ""] = (reserved_text(enum.reserved_range, True), "", "", "")
    return rows


def rows_of_message(package, owner, message):
    rows = {}
    entries = {f"{package}.{owner}.{nested.name}": nested for nested in message.nested_type if nested.options.map_entry}
    for field in message.field:
        kind, label = type_name(field), "repeated" if field.label == Field.LABEL_REPEATED else ""
        if kind in entries:
            key, value = entries[kind].field
            kind, label = f"map<{type_name(key)},{type_name(value)}>", ""
        oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
        rows["field", package, owner, field.name] = (str(field.number), kind, label, oneof)
    if message.reserved_range:
        rows["reserved", package, owner, ""] = (reserved_text(message.reserved_range, False), "", "", "")
    for nested in message.nested_type:
        if not nested.options.map_entry:
            rows |= rows_of_message(package, f"{owner}.{nested.name}", nested)
    for enum in message.enum_type:
        rows |= rows_of_enum(package, f"{owner}.{enum.name}", enum)
    return rows


def rows_of_service(package, service):
    def streaming(method):
        words = ["client-stream" if method.client_streaming else "", "server-stream" if method.server_streaming else ""]
        return " ".join(word for word in words if word)
    return {("rpc", package, service.name, m.name):
            ("", m.input_type.lstrip("."), m.output_type.lstrip("."), streaming(m)) for m in service.method}


@pytest.fixture(scope="module")
def ours(descriptors):
    rows = {}
    for file in descriptors.file:
        if file.package.startswith(PREFIX):
            for message in file.message_type:
                rows |= rows_of_message(file.package, message.name, message)
            for enum in file.enum_type:
                rows |= rows_of_enum(file.package, enum.name, enum)
            for service in file.service:
                rows |= rows_of_service(file.package, service)
    return rows


def test_nothing_of_the_table_is_missing(table, ours):
    assert not [key for key in table if key not in ours]


def test_nothing_is_there_that_the_table_does_not_have(table, ours):
    assert not [key for key in ours if key not in table]


def test_every_entry_is_as_in_the_table(table, ours):
    assert len(table) > 700
    assert not {key: (row, ours[key]) for key, row in table.items() if key in ours and ours[key] != row}
