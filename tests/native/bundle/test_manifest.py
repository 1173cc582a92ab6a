# SPDX-License-Identifier: Apache-2.0
"""Manifests: the library opens what Python opens, and refuses what Python refuses."""

from __future__ import annotations

import copy
import ctypes
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.bundle import parse_manifest
from stillflow.errors import StillflowError

from ..internals import ROOT, Room, internals
from ..structs import FORMAT, UNSUPPORTED, VERSION
from .calls import RefusedError, check

GOLDEN = ROOT / "tests" / "data" / "bundles" / "golden-1.0" / "manifest.json"
CONTENT: dict[str, Any] = json.loads(GOLDEN.read_bytes())

Content = dict[str, Any]


def read(data: bytes) -> None:
    library = internals()
    library.test_manifest_read.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)
    with Room() as room:
        check(library.test_manifest_read(room.address, data, len(data)), room.error)


def status_of(content: Any) -> int:
    """0, or why the library refuses it; that it says what to do about it is checked."""
    try:
        read(json.dumps(content).encode())
    except RefusedError as error:
        assert error.what
        assert error.why
        assert error.fix
        return error.status
    return 0


def python_opens(content: Any) -> bool:
    try:
        parse_manifest(json.dumps(content).encode(), "x")
    except StillflowError:
        return False
    return True


@pytest.mark.parametrize(
    "path", sorted([GOLDEN, *(ROOT / "engines" / "stillflow_engines").glob("*/manifest.json")])
)
def test_our_own_are_opened(path: Path) -> None:
    read(path.read_bytes())


def test_feature_scenes_are_refused_with_a_way_out() -> None:
    with pytest.raises(RefusedError, match="symmetric_splat") as caught:
        read((GOLDEN.parents[1] / "golden-1.1" / "manifest.json").read_bytes())
    assert caught.value.status == UNSUPPORTED
    assert "stillflow animate" in caught.value.fix


def put(*path: str | int, value: Any) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        place: Any = content
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


def drop(*path: str | int) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        place: Any = content
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return change


def changed(*changes: Callable[[Content], None]) -> Content:
    content = copy.deepcopy(CONTENT)
    for change in changes:
        change(content)
    return content


LIES = {
    "no version": (put("schema_version", value=None), FORMAT),
    "odd version": (put("schema_version", value="one"), FORMAT),
    "newer version": (put("schema_version", value="2.0"), VERSION),
    "huge version": (put("schema_version", value="9" * 50), VERSION),
    "other loop rule": (put("loop", "rule", value="teleport"), UNSUPPORTED),
    "absolute path": (put("files", 0, "path", value="/etc/passwd"), FORMAT),
    "climbing path": (put("files", 0, "path", value="a/../../x"), FORMAT),
    "dotted path": (put("files", 0, "path", value=".hidden"), FORMAT),
    "backslash": (put("files", 0, "path", value="a\\..\\x"), FORMAT),
    "empty path": (put("files", 0, "path", value=""), FORMAT),
    "path ending in a line break": (put("files", 0, "path", value="a.onnx\n"), FORMAT),
    "listed twice": (put("files", 0, "path", value="FLOW.onnx"), FORMAT),
    "manifest in its own list": (put("files", 0, "path", value="manifest.json"), FORMAT),
    "negative size": (put("files", 0, "bytes", value=-1), FORMAT),
    "endless size": (put("files", 0, "bytes", value=1 << 40), FORMAT),
    "size as text": (put("files", 0, "bytes", value="12"), FORMAT),
    "size as a real": (put("files", 0, "bytes", value=11358.0), FORMAT),
    "short hash": (put("files", 0, "sha256", value="ab"), FORMAT),
    "two hashes": (put("graphs", 0, "sha256", value="0" * 64), FORMAT),
    "graph not listed": (put("graphs", 0, "file", value="other.onnx"), FORMAT),
    "no graphs": (put("graphs", value=[]), FORMAT),
    "graphs as object": (put("graphs", value={}), FORMAT),
    "vector of no graph": (put("vectors", 0, "graph", value="ghost"), FORMAT),
    "plate by a network that is not there": (put("outputs", "plate", value="network"), FORMAT),
    "plate by a decoder": (put("outputs", "plate", value="decoder"), FORMAT),
    "unknown choice": (put("outputs", "matte", value="magic"), FORMAT),
    "missing output": (drop("outputs", "blend"), FORMAT),
    "precision without file": (put("default_precision", value="fp16"), FORMAT),
    "unknown precision": (put("default_precision", value="fp3"), FORMAT),
    "zero side": (put("sizes", "flow_long_side", value=0), FORMAT),
    "side as text": (put("sizes", "multiple", value="32"), FORMAT),
    "no sizes": (drop("sizes"), FORMAT),
    "negative dimension": (put("graphs", 0, "inputs", 0, "shape", value=[-1, 3]), FORMAT),
    "dimension with a formula": (put("graphs", 0, "inputs", 0, "shape", value=["height*2"]), FORMAT),
    "two inputs of one name": (put("graphs", 0, "inputs", 0, "name", value="hints"), FORMAT),
    "negative tolerance": (put("vectors", 0, "tolerance", "fp32", "moves", "absolute", value=-1.0), FORMAT),
    "very long name": (put("name", value="x" * 1000), FORMAT),
    "name with a slash": (put("name", value="../x"), FORMAT),
    "no licence": (put("licences", value=[]), FORMAT),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_refused(lie: str) -> None:
    change, status = LIES[lie]
    content = changed(change)
    assert not python_opens(content)
    assert status_of(content) == status


def test_newer_minor_versions_are_read_past_what_is_not_known() -> None:
    content = changed(
        put("schema_version", value="1.7"),
        put("mood", value={"calm": [1, 2]}),
        put("graphs", 0, "layers", value=12),
        put("outputs", "sound", value="network"),
    )
    assert python_opens(content)
    assert status_of(content) == 0


def test_of_a_member_that_is_there_twice_both_are_judged() -> None:
    whole = json.dumps(CONTENT)
    for first, second in (('"opset": "x"', '"opset": 18'), ('"opset": 18', '"opset": "x"')):
        text = whole.replace('"opset": 18', f"{first}, {second}")
        with pytest.raises(RefusedError, match="opset"):
            read(text.encode())
    read(whole.replace('"opset": 18', '"opset": 17, "opset": 18').encode())


def test_a_flood_of_members_is_refused() -> None:
    assert status_of(changed(lambda c: c["sizes"].update({f"x{i}": 0 for i in range(253)}))) == 0
    assert status_of(changed(lambda c: c["sizes"].update({f"x{i}": 0 for i in range(300)}))) == FORMAT


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, 2, 64, 65, 1000, 1001, 65536, 65537, 0.5, 0.25, -0.0, 2.0])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
    | st.sampled_from(
        ["flow", "network", "fp32", "fp16", "int8", "height", "height/2", "a/b.c", "x", "share"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=5,
)
"""What json.dumps can write and the library can hold."""


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_json_in_any_place_is_judged_as_python_judges_it(data: st.DataObject) -> None:
    content = copy.deepcopy(CONTENT)
    place: Any = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            if data.draw(st.integers(0, 4)) == 0:
                del place[key]
            else:
                place[key] = data.draw(ANYTHING)
            break
        place = place[key]
    assert (status_of(content) == 0) == python_opens(content)
