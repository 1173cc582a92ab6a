# SPDX-License-Identifier: Apache-2.0
"""``stillflow bundle``: what a bundle holds, and whether it is sound; every way it may not be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def copied(default_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the default bundle that may be damaged."""
    return Path(shutil.copytree(default_bundle, tmp_path / "bundle"))


@pytest.fixture
def golden(source_tree: Path) -> Path:
    """The committed bundle of schema 1.0: a tiny flow graph."""
    return source_tree / "tests" / "data" / "bundles" / "golden-1.0"


def change_manifest(bundle: Path, change: Callable[[dict], None]) -> None:
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


@pytest.mark.usefixtures("default_bundle")
def test_show(stillflow: Callable) -> None:
    ended = stillflow("bundle", "show")
    assert ended.code == 0, ended.err
    for word in ("edge", "flow", "generator", "licence", "weights", "velocity"):
        assert word in ended.out


@pytest.mark.usefixtures("default_bundle")
def test_show_says_what_a_graph_takes(stillflow: Callable) -> None:
    out = stillflow("bundle", "show", "edge").out
    assert "longest side 192, height and width divide by 32, not in tiles" in out
    assert "in  photo float32 (1, 3, height, width) 0..1  the photo, sRGB" in out
    assert "flow.onnx, fp32, opset 18" in out
    assert "vectors/flow-0.npz  flow, tolerances for fp32" in out


@pytest.mark.usefixtures("default_bundle")
def test_show_json_is_the_manifest(stillflow: Callable) -> None:
    found = stillflow("bundle", "show", "edge", "--json").summary
    assert found["name"] == "edge"
    assert {graph["name"] for graph in found["graphs"]} == {"flow", "generator"}


def test_verify(stillflow: Callable, default_bundle: Path) -> None:
    ended = stillflow("bundle", "verify", default_bundle)
    assert ended.code == 0, ended.out
    assert "FAIL" not in ended.out
    assert "vector" in ended.out
    assert stillflow("bundle", "verify", "--json").summary["ok"] is True


def test_verify_says_at_the_end_what_ran(stillflow: Callable, golden: Path) -> None:
    out = stillflow("bundle", "verify", golden, "--engine", "openvino", "--threads", 1).out.splitlines()
    assert out[-2].startswith("ran   flow fp32 on openvino, CPU f32: 5 checks, 0 failed")
    assert out[-1] == "10 checks, all passed"
    words = ("--precision", "all", "--device", "cpu", "--json")
    found = stillflow("bundle", "verify", golden, *words).summary
    assert found["choice"]["why"] == ["the device cpu was asked for"]
    assert found["ran"] == [
        {"graph": "flow", "precision": "fp32", "engine": "onnxruntime", "provider": "CPUExecutionProvider"}
    ]
    assert {check["error"] is None for check in found["checks"] if check["name"].startswith("vector")} == {
        False
    }


def test_verify_at_a_precision_that_is_not_there(stillflow: Callable, golden: Path) -> None:
    ended = stillflow("bundle", "verify", golden, "--precision", "fp16")
    assert ended.code == 2
    assert "FAIL  graph flow fp16  the bundle has no fp16 file of it, only fp32" in ended.out
    assert ended.out.splitlines()[-1] == "6 checks, 1 FAILED"
    stillflow("bundle", "verify", golden, "--precision", "fp99").refused("no such precision")
    stillflow("bundle", "verify", golden, "--threads", 0).refused("threads")


def test_run_a_graph_on_a_test_vector(stillflow: Callable, golden: Path, tmp_path: Path) -> None:
    vector, out = golden / "vectors" / "flow-0.npz", tmp_path / "out.npz"
    ended = stillflow("bundle", "run", golden, "flow", "--inputs", vector, "-o", out, "--device", "cpu")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("flow fp32 on onnxruntime, CPUExecutionProvider: ")
    assert "note 4 expected outputs of the test vector were not used" in ended.out
    expected = np.load(vector)
    with np.load(out) as found:
        assert found.files == ["classes", "moves", "velocity", "spread"]
        for name in found.files:
            np.testing.assert_allclose(found[name], expected[f"output.{name}"], atol=1e-5)
    words = ("bundle", "run", golden, "flow", "--inputs", vector, "-o", out)
    stillflow(*words).refused("exists already", "--overwrite")
    summary = stillflow(*words, "--overwrite", "--json", "--engine", "openvino").summary
    assert (summary["engine"], summary["precision"], summary["graph"]) == ("openvino", "fp32", "flow")
    assert (summary["device"], bool(summary["why"])) == ("cpu", True)
    assert summary["outputs"]["velocity"]["shape"] == [1, 2, 16, 16]


def test_run_refuses_and_writes_nothing(stillflow: Callable, golden: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "odd.npz", photo=np.zeros((1, 3, 40, 64), "f4"), hints=np.zeros((1, 6, 40, 64), "f4"))
    np.savez(tmp_path / "pickle.npz", photo=np.array([{}], object))
    out = tmp_path / "out.npz"
    for graph, inputs, says in (
        (
            "flow",
            "odd.npz",
            "the height of 'photo' is 40, which 32 does not divide (next that fit: 32 or 64)",
        ),
        ("flow", "pickle.npz", "plain arrays"),
        ("flow", "none.npz", "no such file"),
        ("sound", "odd.npz", "it has flow(photo float32 (1, 3, height, width)"),
    ):
        ended = stillflow("bundle", "run", golden, graph, "--inputs", tmp_path / inputs, "-o", out)
        ended.refused(says)
        assert not out.exists()
    stillflow("bundle", "run", golden, "flow", "--inputs", tmp_path / "odd.npz", "-o", "x.txt").refused(
        ".npz"
    )


def test_one_flipped_byte(stillflow: Callable, copied: Path, photo_file: Path, tmp_path: Path) -> None:
    graph = copied / "flow.onnx"
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(bytes(data))
    ended = stillflow("bundle", "verify", copied)
    assert ended.code == 2
    assert "FAIL  sha256 flow.onnx" in ended.out
    ended = stillflow("animate", photo_file, "-o", tmp_path / "loop.mp4", "--bundle", copied)
    ended.refused("flow.onnx", "damaged or was changed")
    assert not (tmp_path / "loop.mp4").exists()


def test_path_that_climbs_out(stillflow: Callable, copied: Path, photo_file: Path, tmp_path: Path) -> None:
    shutil.copy(copied / "flow.onnx", tmp_path / "flow.onnx")

    def climb(manifest: dict) -> None:
        for entry in (*manifest["graphs"], *manifest["files"]):
            for key in ("file", "path"):
                if entry.get(key) == "flow.onnx":
                    entry[key] = "../flow.onnx"

    change_manifest(copied, climb)
    for words in (("bundle", "show", copied), ("bundle", "verify", copied)):
        stillflow(*words).refused("manifest")
    stillflow("animate", photo_file, "-o", tmp_path / "loop.mp4", "--bundle", copied).refused("manifest")


def test_link_that_climbs_out(stillflow: Callable, copied: Path, tmp_path: Path) -> None:
    (copied / "flow.onnx").rename(tmp_path / "outside.onnx")
    (copied / "flow.onnx").symlink_to(tmp_path / "outside.onnx")
    ended = stillflow("bundle", "verify", copied)
    assert ended.code == 2
    assert "FAIL  sha256 flow.onnx" in ended.out


def test_newer_major_version(stillflow: Callable, copied: Path, photo_file: Path, tmp_path: Path) -> None:
    change_manifest(copied, lambda manifest: manifest.update(schema_version="2.0"))
    stillflow("bundle", "show", copied).refused("2.0")
    stillflow("animate", photo_file, "-o", tmp_path / "loop.mp4", "--bundle", copied).refused("2.0")


def test_newer_minor_version_with_unknown_fields(stillflow: Callable, copied: Path) -> None:
    change_manifest(copied, lambda manifest: manifest.update(schema_version="1.7", colour_of_the_box="blue"))
    assert stillflow("bundle", "verify", copied).code == 0


@pytest.mark.parametrize("path", ["nowhere", "no/where", "/dev/null"])
def test_unknown_bundle(stillflow: Callable, path: str) -> None:
    for command in ("show", "verify"):
        stillflow("bundle", command, path).refused("bundle")


def test_something_else_than_a_bundle(stillflow: Callable, photo_file: Path, tmp_path: Path) -> None:
    stillflow("bundle", "show", photo_file).refused("bundle")
    stillflow("bundle", "show", tmp_path).refused("manifest.json")
    (tmp_path / "manifest.json").write_text("{")
    stillflow("bundle", "show", tmp_path).refused("manifest")
