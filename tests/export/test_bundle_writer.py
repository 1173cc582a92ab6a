# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow_export import bundle_writer
from stillflow_export.bundle_writer import write_bundle
from stillflow_export.graphs import own_trained
from stillflow_export.onnx_export import ExportedGraph
from stillflow_export.plan import GraphPlan, Trained
from stillflow_export.samples import flow_samples, generator_samples

RECEIPT = {
    "step": 12,
    "command": "python -m stillflow_training flow",
    "validation": {"velocity_error": {"1": {"network": 0.2, "rbf": 0.3}}},
    "photos": [{"file": "photos/a.jpg", "author": "Ann", "licence": "CC-BY-2.0", "source": "somewhere"}],
}


@pytest.fixture(autouse=True)
def _exported_once(monkeypatch: pytest.MonkeyPatch, exported: ExportedGraph) -> None:
    # An export takes seconds; the flow network's is at hand.
    real = bundle_writer.export_onnx
    cache: dict[str, ExportedGraph] = {"flow": exported}

    def export(plan: GraphPlan, **options: Any) -> ExportedGraph:
        if plan.name not in cache:
            cache[plan.name] = real(plan, **options)
        return cache[plan.name]

    monkeypatch.setattr(bundle_writer, "export_onnx", export)


def small(trained: Trained) -> Trained:
    """The same with few and small samples."""
    make = {"flow": flow_samples, "generator": generator_samples}
    plans = (replace(p, samples=partial(make[p.name], sizes=[(32, 64)], long_side=64)) for p in trained.plans)
    return replace(trained, plans=tuple(plans))


@pytest.fixture
def trained(flow_network: nn.Module, tmp_path: Path) -> Trained:
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    return small(own_trained("flow", flow_network, weights, RECEIPT))


def write(target: Path, *networks: Trained, **options: Any) -> Bundle:
    return write_bundle(target, networks, name="tiny", what="a test", **options)[0]


def files_of(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


def test_what_is_written_verifies_and_says_all(tmp_path: Path, trained: Trained) -> None:
    bundle = write(tmp_path / "tiny", trained)
    assert all(check.ok for check in bundle.verify())
    manifest = bundle.manifest
    assert manifest.outputs["velocity_guided"] == "network"
    assert manifest.outputs["plate"] == "push_pull"
    assert [(r.kind, r.graph) for r in manifest.receipts] == [
        ("gate-a", "flow"),
        ("rounding", "flow"),
        ("training", "flow"),
        ("outputs", None),
    ]
    assert manifest.weights[0].sha256 == hashlib.sha256(b"weights").hexdigest()
    assert "12 steps" in manifest.weights[0].source
    assert b"a.jpg: Ann, CC-BY-2.0, somewhere" in bundle.read("LICENSES/training-photos.txt")
    assert b"Apache License" in bundle.read("LICENSES/Apache-2.0.txt")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tiny", "weights"]


def test_same_networks_same_bytes(tmp_path: Path, trained: Trained) -> None:
    write(tmp_path / "one", trained)
    write(tmp_path / "two", trained)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_zip_holds_the_same_files_uncompressed(tmp_path: Path, trained: Trained) -> None:
    write(tmp_path / "tiny", trained)
    bundle = write(tmp_path / "tiny.sfb", trained)
    assert all(check.ok for check in bundle.verify())
    with zipfile.ZipFile(tmp_path / "tiny.sfb") as archive:
        assert {i.compress_type for i in archive.infolist()} == {zipfile.ZIP_STORED}
        assert set(archive.namelist()) == set(files_of(tmp_path / "tiny"))


def test_with_a_generator(tmp_path: Path, trained: Trained, generator_network: nn.Module) -> None:
    generator = small(own_trained("generator", generator_network))
    bundle = write(tmp_path / "tiny", trained, generator, outputs={"plate": "network"})
    assert all(check.ok for check in bundle.verify())
    assert bundle.manifest.outputs["plate"] == "network"
    assert bundle.manifest.outputs["blend"] == "variance_preserving"


def test_an_older_bundle_is_replaced_whole(tmp_path: Path, trained: Trained) -> None:
    write(tmp_path / "tiny", trained)
    (tmp_path / "tiny" / "stray.txt").write_text("old")
    write(tmp_path / "tiny", trained)
    assert "stray.txt" not in files_of(tmp_path / "tiny")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tiny", "weights"]


def test_a_graph_that_misses_the_gate_leaves_all_as_it_was(
    tmp_path: Path, trained: Trained, exported: ExportedGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx

    write(tmp_path / "tiny", trained)
    before = files_of(tmp_path)
    model = onnx.load_from_string(exported.data)
    tensor = next(t for t in model.graph.initializer if "heads" in t.name and len(t.dims) == 4)
    values = onnx.numpy_helper.to_array(tensor) * 1.01
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    broken = ExportedGraph(model.SerializeToString(), {}, 0)
    monkeypatch.setattr(bundle_writer, "export_onnx", lambda *a, **k: broken)
    with pytest.raises(StillflowError, match="fails gate A"):
        write(tmp_path / "tiny", trained)
    assert files_of(tmp_path) == before


def test_an_interruption_leaves_all_as_it_was(
    tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "tiny", trained)
    before = files_of(tmp_path)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Bundle, "verify", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "tiny", trained)
    assert files_of(tmp_path) == before


def test_a_full_disk_leaves_all_as_it_was(
    tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "tiny", trained)
    before = files_of(tmp_path)
    real = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.suffix == ".npz":
            raise OSError(28, "No space left on device")
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StillflowError, match="No space left"):
        write(tmp_path / "tiny", trained)
    assert files_of(tmp_path) == before


def test_nothing_but_a_bundle_is_ever_replaced(tmp_path: Path, trained: Trained) -> None:
    holiday = tmp_path / "holiday"
    holiday.mkdir()
    (holiday / "photo.jpg").write_text("dear")
    for target in (holiday, trained.weights):
        assert target is not None
        with pytest.raises(StillflowError, match="no bundle"):
            write(target, trained)
    with pytest.raises(StillflowError, match="does not exist"):
        write(tmp_path / "none" / "tiny", trained)
    assert (holiday / "photo.jpg").read_text() == "dear"
