# SPDX-License-Identifier: Apache-2.0
"""``stillflow bundle``: what a bundle holds, and whether it is sound; every way it may not be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def copied(default_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the default bundle that may be damaged."""
    return Path(shutil.copytree(default_bundle, tmp_path / "bundle"))


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
