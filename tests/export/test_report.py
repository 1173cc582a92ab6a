# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow_export.report import MAX_FACTS, gather, working_size

GOLDEN = "tests/data/bundles/golden-1.0"


@pytest.fixture
def changed(source_tree: Path, tmp_path: Path) -> Callable[..., Bundle]:
    """A copy of the golden bundle with another file, and what the manifest says of it."""

    def change(path: str, data: bytes, edit: Callable[[dict[str, Any], str], None]) -> Bundle:
        copy = tmp_path / "copy"
        if not copy.exists():
            shutil.copytree(source_tree / GOLDEN, copy)
        (copy / path).write_bytes(data)
        content = json.loads((copy / "manifest.json").read_text())
        content["files"] = [file for file in content["files"] if file["path"] != path]
        digest = hashlib.sha256(data).hexdigest()
        content["files"].append({"path": path, "bytes": len(data), "sha256": digest})
        edit(content, digest)
        (copy / "manifest.json").write_text(json.dumps(content))
        return Bundle.open(copy)

    return change


def receipt(kind: str, graph: str | None = "flow") -> Callable[[dict[str, Any], str], None]:
    def edit(content: dict[str, Any], digest: str) -> None:
        path = content["files"][-1]["path"]
        content["receipts"].append({"kind": kind, "graph": graph, "file": path, "sha256": digest})

    return edit


def test_the_golden_bundle(source_tree: Path) -> None:
    found = gather(Bundle.open(source_tree / GOLDEN))
    (graph,) = found.graphs
    assert (graph.height, graph.width, graph.own_size) == (192, 320, True)
    cost = graph.variants[0].cost
    assert cost is not None
    assert cost.macs == 20_321_280
    assert {row.output for row in found.gates} == {"classes", "moves", "velocity", "spread"}
    assert all(row.passed and row.gate == "A" and row.worst is not None for row in found.gates)
    assert [shown.receipt.kind for shown in found.receipts] == ["outputs"]
    json.dumps(found.summary())


def test_the_default_bundle(source_tree: Path) -> None:
    summary = gather(Bundle.open(source_tree / "engines/stillflow_engines/edge")).summary()
    assert set(summary["graphs"]) == {"flow", "generator"}
    for graph in summary["graphs"].values():
        variant = graph["variants"]["fp32"]
        assert variant["macs"] > 1e8
        assert variant["unknown_shapes"] == []
        assert variant["macs_by_precision"] == {"fp32": variant["macs"]}


def test_sizes_that_graphs_are_measured_at(source_tree: Path) -> None:
    manifest = Bundle.open(source_tree / GOLDEN).manifest
    flow = manifest.graphs[0]
    named = msgspec.structs.replace(flow, name="decoder", multiple=4)
    assert working_size(manifest, named) == (720, 1280, False)
    assert working_size(manifest, msgspec.structs.replace(named, long_side=768, multiple=256)) == (
        512,
        768,
        True,
    )
    assert working_size(manifest, msgspec.structs.replace(named, long_side=40, multiple=64)) == (64, 64, True)


def test_reasons_for_float32_come_from_receipts(changed: Callable[..., Bundle], source_tree: Path) -> None:
    data = (source_tree / GOLDEN / "flow.onnx").read_bytes()

    def variant(content: dict[str, Any], digest: str) -> None:
        content["graphs"][0]["variants"] = [{"precision": "fp16", "file": "flow.fp16.onnx", "sha256": digest}]

    changed("flow.fp16.onnx", data, variant)
    kept = json.dumps({"kept": {"conv2d": "overflow: sums reach 1e6", "bad": 3}, "graph": "flow"}).encode()
    main, half = gather(changed("receipts/precision.json", kept, receipt("precision"))).graphs[0].variants
    assert main.kept == {}
    assert half.kept == {"conv2d": "overflow: sums reach 1e6"}


def test_a_gate_that_failed_is_not_called_passed(changed: Callable[..., Bundle]) -> None:
    content = {"gate": "B", "outputs": {"velocity": {"worst": 2, "allowed": 1, "passed": False}, "x": 3}}
    found = gather(changed("receipts/b.json", json.dumps(content).encode(), receipt("gate-b")))
    (row,) = [row for row in found.gates if row.gate == "B"]
    assert (row.passed, row.worst, row.allowed, row.max_abs) == (False, 2.0, 1.0, None)


def test_a_gate_of_frames_is_one_row(changed: Callable[..., Bundle]) -> None:
    content = {
        "gate": "B",
        "frames": [{"psnr": 60.0}, {"psnr": 50.0}],
        "worst": {"photo": "sea.jpg", "psnr": 50.0, "failure": ""},
        "tolerance": {"psnr": 45.0},
        "passed": True,
        "failures": [],
    }
    found = gather(changed("receipts/f.json", json.dumps(content).encode(), receipt("gate-b", None)))
    (row,) = [row for row in found.gates if row.gate == "B"]
    assert (row.output, row.passed, row.samples) == ("finished frames", True, 2)
    assert (row.sample, row.tolerance) == ("photo sea.jpg, psnr 50", "psnr 45")
    content |= {"passed": False, "failures": ["black frames"]}
    found = gather(changed("receipts/g.json", json.dumps(content).encode(), receipt("gate-b", None)))
    assert [(row.passed, row.sample) for row in found.gates if row.file == "receipts/g.json"] == [
        (False, "['black frames']")
    ]


ODD = {
    "not json": b"hello",
    "deep": b"[" * 200_000,
    "an array": b"[1, 2]",
    "null": b"null",
    "gate without outputs": b'{"gate": "A"}',
    "outputs of another kind": b'{"gate": "A", "outputs": [1]}',
    "numbers as text": b'{"gate": 3, "outputs": {"x": {"worst": "much", "passed": "yes"}}, "samples": 4}',
    "nested": json.dumps({"a": {"b": {"c": [{"d": 1}] * 3, "e": [1, 2.5, None]}}}).encode(),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_receipts_are_shown_or_explained(kind: str, changed: Callable[..., Bundle]) -> None:
    found = gather(changed("receipts/odd.json", ODD[kind], receipt("odd", None)))
    shown = [r for r in found.receipts if r.receipt.kind == "odd"]
    rows = [row for row in found.gates if row.file == "receipts/odd.json"]
    assert len(shown) + len(rows) == 1
    assert not any(row.passed for row in rows)
    if kind in ("not json", "deep"):
        assert "not JSON" in shown[0].problem
    if kind == "nested":
        assert shown[0].facts == (("a.b.c", "3 entries"), ("a.b.e", "1, 2.5, None"))


def test_long_receipts_are_counted(changed: Callable[..., Bundle]) -> None:
    data = json.dumps({f"k{i}": i for i in range(MAX_FACTS + 7)}).encode()
    (shown,) = [r for r in gather(changed("receipts/l.json", data, receipt("long"))).receipts if r.left]
    assert (len(shown.facts), shown.left) == (MAX_FACTS, 7)


def test_a_damaged_file_is_an_error(source_tree: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(source_tree / GOLDEN, tmp_path / "copy"))
    (copy / "flow.onnx").write_bytes(b"other bytes")
    with pytest.raises(StillflowError, match="damaged or was changed"):
        gather(Bundle.open(copy))


def test_a_graph_that_is_no_onnx_is_reported_in_its_place(changed: Callable[..., Bundle]) -> None:
    def swap(content: dict[str, Any], digest: str) -> None:
        content["graphs"][0]["sha256"] = digest

    variant = gather(changed("flow.onnx", b"garbage", swap)).graphs[0].variants[0]
    assert variant.cost is None
    assert "not an ONNX file" in variant.problem
