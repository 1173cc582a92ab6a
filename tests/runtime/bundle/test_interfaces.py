# SPDX-License-Identifier: Apache-2.0
"""Feature bundles: the golden one opens for ever; graphs of other interfaces are refused and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stillflow.bundle import Bundle, encode_manifest, parse_manifest
from stillflow.bundle.interfaces import INTERFACES, LAYERS
from stillflow.errors import StillflowError

Content = dict[str, Any]


@pytest.fixture(scope="module")
def content(source_tree: Path) -> Callable[[], Content]:
    data = (source_tree / "tests" / "data" / "bundles" / "golden-1.1" / "manifest.json").read_bytes()
    return lambda: json.loads(data)


def test_golden_opens_and_verifies(source_tree: Path) -> None:
    bundle = Bundle.open(source_tree / "tests" / "data" / "bundles" / "golden-1.1")
    assert bundle.manifest.schema_version == "1.1"
    assert bundle.manifest.loop.rule == "symmetric_splat"
    checks = bundle.verify()
    assert [check for check in checks if not check.ok] == []
    assert {c.name for c in checks} >= {"graph encoder", "vector vectors/decoder-0.npz closed"}
    assert parse_manifest(encode_manifest(bundle.manifest), "golden") == bundle.manifest


def graph(content: Content, name: str) -> Content:
    return next(g for g in content["graphs"] if g["name"] == name)


def without(name: str) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        content["graphs"] = [g for g in content["graphs"] if g["name"] != name]
        content["vectors"] = [v for v in content["vectors"] if v["graph"] != name]
        content["weights"] = [w for w in content["weights"] if w["graph"] != name]

    return change


def shaped(name: str, side: str, place: int, shape: list[int | str]) -> Callable[[Content], None]:
    return lambda content: graph(content, name)[side][place].update(shape=shape)


def renamed(name: str, side: str, place: int, to: str) -> Callable[[Content], None]:
    return lambda content: graph(content, name)[side][place].update(name=to)


def layered(content: Content, names: tuple[str, ...] = LAYERS) -> None:
    """Add layers' graphs with the file of another graph: only the manifest is looked at here."""
    for name in names:
        sides = []
        for tensors in INTERFACES[name]:
            channels = {n: {"C": 8, "C+1": 9}.get(c, c) for n, c in tensors.items()}
            shapes = {n: [1, c, "height", "width"] for n, c in channels.items()}
            sides.append([{"name": n, "dtype": "float32", "shape": s} for n, s in shapes.items()])
        content["graphs"].append(
            graph(content, "encoder") | {"name": name, "inputs": sides[0], "outputs": sides[1]}
        )


LIES: dict[str, tuple[Callable[[Content], None], str]] = {
    "no encoder": (without("encoder"), "encoder"),
    "no decoder": (without("decoder"), "decoder"),
    "cross-fade with a decoder": (lambda c: c["loop"].update(rule="cross_fade"), "symmetric_splat"),
    "splat without its outputs": (lambda c: c["outputs"].update(plate="push_pull"), "symmetric_splat"),
    "grey photo": (shaped("encoder", "inputs", 0, [1, 1, "height", "width"]), "photo of the graph encoder"),
    "features of two widths": (shaped("decoder", "inputs", 0, [1, 9, "height", "width"]), "(1, 8, height"),
    "any number of features": (shaped("encoder", "outputs", 0, [1, "n", "height", "width"]), "features"),
    "a batch": (shaped("decoder", "inputs", 1, ["n", 1, "height", "width"]), "mask"),
    "fixed sides": (shaped("encoder", "outputs", 1, [1, 1, 256, 256]), "weight"),
    "half a size": (shaped("decoder", "outputs", 0, [1, 3, "height/2", "width/2"]), "frame"),
    "another name": (renamed("decoder", "outputs", 1, "mask_out"), "frame, mask_out"),
    "float16 outside": (lambda c: graph(c, "decoder")["outputs"][0].update(dtype="float16"), "float16"),
    "one input more": (
        lambda c: graph(c, "encoder")["inputs"].append({"name": "z", "dtype": "float32", "shape": [1, 20]}),
        "photo, z",
    ),
    "sides that hardly any number divides": (
        lambda c: (graph(c, "encoder").update(multiple=125), graph(c, "decoder").update(multiple=128)),
        "divide by 16000",
    ),
    "weights without end": (lambda c: c["loop"].update(weight_floor=100.0), "weight_floor"),
    "half of the layers": (lambda c: layered(c, LAYERS[:1]), "alpha_encoder, alpha_decoder"),
    "hint of three": (shaped("scene_flow", "inputs", 2, [1, 3, "height", "width"]), "hint"),
    "hint and text": (
        lambda c: graph(c, "scene_flow")["inputs"].append(
            {"name": "context", "dtype": "float32", "shape": [1, 77, 768]}
        ),
        "photo, mask, hint",
    ),
    "short text": (
        lambda c: graph(c, "scene_flow")["inputs"].__setitem__(
            2, {"name": "context", "dtype": "float32", "shape": [1, 20, 768]}
        ),
        "(1, 20, 768)",
    ),
    "scene flow that is not there": (without("scene_flow"), "scene_flow"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_refused_and_named(lie: str, content: Callable[[], Content]) -> None:
    change, named = LIES[lie]
    told = content()
    change(told)
    with pytest.raises(StillflowError) as caught:
        parse_manifest(json.dumps(told).encode(), "changed")
    assert named in f"{caught.value}"


def test_inputs_may_come_in_any_order(content: Callable[[], Content]) -> None:
    told = content()
    graph(told, "decoder")["inputs"].reverse()
    assert parse_manifest(json.dumps(told).encode(), "turned").graph("decoder") is not None


def test_layers_and_texts_are_welcome(content: Callable[[], Content]) -> None:
    told = content()
    layered(told)
    graph(told, "scene_flow")["inputs"][2] = {"name": "context", "dtype": "float32", "shape": [1, 77, 768]}
    assert parse_manifest(json.dumps(told).encode(), "layered").graph("alpha_decoder") is not None
