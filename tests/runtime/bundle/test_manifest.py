# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.bundle import Bundle, encode_manifest, json_schema, parse_manifest
from stillflow.errors import StillflowError

Content = dict[str, Any]


def test_round_trip(golden: Path) -> None:
    manifest = parse_manifest((golden / "manifest.json").read_bytes(), "golden")
    assert parse_manifest(encode_manifest(manifest), "golden") == manifest


def test_newer_major_version_is_refused_with_the_way_out(edited: Callable[..., Path]) -> None:
    # Everything else is unknown too, as it may well be in a later version.
    def rewrite(content: Content) -> None:
        content.clear()
        content.update(schema_version="2.0", networks={"flow": 1})

    with pytest.raises(StillflowError, match=r"schema version 2\.0.*\n.*pip install --upgrade"):
        Bundle.open(edited(rewrite))


def test_newer_minor_version_opens_and_its_fields_are_ignored(edited: Callable[..., Path]) -> None:
    def grow(content: Content) -> None:
        content["schema_version"] = "1.7"
        content["mood"] = {"calm": [1, 2]}
        content["graphs"][0]["layers"] = 12
        content["outputs"]["sound"] = "network"

    bundle = Bundle.open(edited(grow))
    assert all(check.ok for check in bundle.verify())


def put(*path: str | int, value: Any) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        place: Any = content
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


LIES: dict[str, tuple[Callable[[Content], None], str]] = {
    "no version": (put("schema_version", value=None), "schema_version"),
    "odd version": (put("schema_version", value="one"), "schema_version"),
    "huge version": (put("schema_version", value="9" * 50), "schema version"),
    "other loop rule": (put("loop", "rule", value="teleport"), "pip install --upgrade"),
    "absolute path": (put("files", 0, "path", value="/etc/passwd"), "path"),
    "climbing path": (put("files", 0, "path", value="a/../../x"), "path"),
    "dotted path": (put("files", 0, "path", value=".hidden"), "path"),
    "windows path": (put("files", 0, "path", value="C:\\x"), "path"),
    "backslash": (put("files", 0, "path", value="a\\..\\x"), "path"),
    "empty path": (put("files", 0, "path", value=""), "path"),
    "path ending in a line break": (put("files", 0, "path", value="a.onnx\n"), "path"),
    "listed twice": (put("files", 0, "path", value="FLOW.onnx"), "twice"),
    "manifest in its own list": (put("files", 0, "path", value="manifest.json"), "the manifest itself"),
    "negative size": (put("files", 0, "bytes", value=-1), "bytes"),
    "endless size": (put("files", 0, "bytes", value=1 << 40), "bytes"),
    "size as text": (put("files", 0, "bytes", value="12"), "bytes"),
    "short hash": (put("files", 0, "sha256", value="ab"), "sha256"),
    "two hashes": (put("graphs", 0, "sha256", value="0" * 64), "two different sha256"),
    "graph not listed": (put("graphs", 0, "file", value="other.onnx"), "not listed"),
    "no graphs": (put("graphs", value=[]), "graphs"),
    "graphs as object": (put("graphs", value={}), "graphs"),
    "vector of no graph": (put("vectors", 0, "graph", value="ghost"), "not there"),
    "plate by a network that is not there": (put("outputs", "plate", value="network"), "generator"),
    "unknown choice": (put("outputs", "matte", value="magic"), "matte"),
    "missing output": (lambda content: content["outputs"].pop("blend"), "blend"),
    "precision without file": (put("default_precision", value="fp16"), "fp16"),
    "unknown precision": (put("default_precision", value="fp3"), "precision"),
    "zero side": (put("sizes", "flow_long_side", value=0), "flow_long_side"),
    "side as text": (put("sizes", "multiple", value="32"), "multiple"),
    "negative dimension": (put("graphs", 0, "inputs", 0, "shape", value=[-1, 3]), "shape"),
    "negative tolerance": (
        put("vectors", 0, "tolerance", "fp32", "moves", "absolute", value=-1.0),
        "tolerance",
    ),
    "very long name": (put("name", value="x" * 1000), "name"),
    "name with a slash": (put("name", value="../x"), "name"),
    "no licence": (put("licences", value=[]), "licences"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_refused_and_named(lie: str, edited: Callable[..., Path]) -> None:
    change, named = LIES[lie]
    with pytest.raises(StillflowError) as caught:
        Bundle.open(edited(change))
    assert named in f"{caught.value}"
    assert caught.value.fix


HOSTILE = {
    "empty": b"",
    "not json": b"\x89PNG\r\n",
    "not utf-8": b'{"schema_version": "1.0", "name": "\xff\xfe"}',
    "an array": b"[]",
    "null": b"null",
    "a number": b"1",
    "truncated": b'{"schema_version": "1.0", "graphs": [',
    "deep": b'{"schema_version": "1.0", "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep and open": b'{"schema_version": "1.0", "x": ' + b'{"a":' * 200_000,
    "nan": b'{"schema_version": "1.0", "sizes": NaN}',
    "infinity": b'{"schema_version": "1.0", "x": 1e9999}',
    "endless number": b'{"schema_version": "1.0", "sizes": {"flow_long_side": ' + b"9" * 10_000 + b"}}",
    "huge": b'{"schema_version": "1.0", "name": "' + b"x" * (5 << 20) + b'"}',
    "lone surrogate": b'{"schema_version": "\\ud800"}',
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_bytes_are_refused(kind: str, copy: Path) -> None:
    (copy / "manifest.json").write_bytes(HOSTILE[kind])
    with pytest.raises(StillflowError) as caught:
        Bundle.open(copy)
    assert len(str(caught.value)) < 1000


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_json_in_any_place_opens_or_is_refused(data: st.DataObject, golden: Path) -> None:
    content = json.loads((golden / "manifest.json").read_bytes())
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    )
    place: Any = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            place[key] = data.draw(anything)
            break
        place = place[key]
    try:
        parse_manifest(json.dumps(content).encode(), "changed")
    except StillflowError as error:
        assert error.fix


def test_committed_schema_is_current(source_tree: Path) -> None:
    committed = source_tree / "docs" / "bundle-schema-1.1.json"
    assert committed.read_bytes() == json_schema(), (
        "write it: stillflow-export schema -o docs/bundle-schema-1.1.json"
    )


def test_schema_speaks_of_every_field_of_the_golden_manifest(golden: Path) -> None:
    schema = json.loads(json_schema())
    known = schema["$defs"]["Manifest"]["properties"]
    assert set(json.loads((golden / "manifest.json").read_bytes())) == set(known)
