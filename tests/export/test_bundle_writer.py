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


@pytest.fixture(scope="module")
def cache(exported: ExportedGraph) -> dict[str, ExportedGraph]:
    """Exported graphs by name: an export takes seconds, and the networks are the same in all tests."""
    return {"flow": exported}


@pytest.fixture(autouse=True)
def _exported_once(monkeypatch: pytest.MonkeyPatch, cache: dict[str, ExportedGraph]) -> None:
    real = bundle_writer.export_onnx

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


@pytest.fixture
def base(tmp_path: Path, trained: Trained, generator_network: nn.Module) -> Path:
    """A bundle of tiny networks of our own, to copy from."""
    write(tmp_path / "base", trained, small(own_trained("generator", generator_network)))
    return tmp_path / "base"


def copied_as_it_is(graph: str, bundle: Bundle, base: Path) -> bool:
    """Whether a graph came over with its entry, file, vectors and receipts."""
    with Bundle.open(base) as source:
        entries = [
            [
                [e for e in m.vectors if e.graph == graph],
                [e for e in m.receipts if e.graph == graph],
                m.graph(graph),
            ]
            for m in (source.manifest, bundle.manifest)
        ]
        files = [f.path for f in source.manifest.files if graph in f.path]
        assert len(files) >= 5
        return entries[0] == entries[1] and all(source.read(f) == bundle.read(f) for f in files)


def test_an_imported_generator_plays_with_our_flow_network(
    tmp_path: Path, base: Path, imported_generator: Trained
) -> None:
    bundle = write(tmp_path / "theirs", imported_generator, base=base)
    assert all(check.ok for check in bundle.verify())
    manifest = bundle.manifest
    assert [g.name for g in manifest.graphs] == ["flow", "encoder", "decoder"]
    assert copied_as_it_is("flow", bundle, base)
    assert manifest.outputs == {
        "velocity_unguided": "network",
        "velocity_guided": "network",
        "matte": "network",
        "plate": "decoder",
        "blend": "symmetric_splat",
    }
    assert (manifest.loop.rule, manifest.loop.weight_floor) == ("symmetric_splat", -20.0)
    assert manifest.loop.edge_share == 1 / 600
    encoder = bundle.graph("encoder")
    assert (encoder.multiple, encoder.long_side, encoder.halo) == (8, 64, 2)
    assert [r.kind for r in manifest.receipts if r.graph == "decoder"] == ["gate-a", "import"]


def test_an_imported_flow_network_stands_beside_our_own_graphs(
    tmp_path: Path, base: Path, imported_flow: Trained
) -> None:
    bundle = write(tmp_path / "theirs", imported_flow, base=base)
    assert all(check.ok for check in bundle.verify())
    manifest = bundle.manifest
    assert [g.name for g in manifest.graphs] == ["flow", "generator", "scene_flow"]
    assert copied_as_it_is("flow", bundle, base)
    assert copied_as_it_is("generator", bundle, base)
    assert manifest.loop.rule == "cross_fade"
    assert manifest.outputs["velocity_guided"] == manifest.outputs["velocity_unguided"] == "scene_flow"
    with Bundle.open(base) as source:
        assert manifest.outputs["plate"] == source.manifest.outputs["plate"]


def test_both_imported(
    tmp_path: Path, base: Path, imported_flow: Trained, imported_generator: Trained
) -> None:
    said = {"velocity_guided": "network: arrows are ours"}
    bundle = write(tmp_path / "theirs.zip", imported_flow, imported_generator, base=base, outputs=said)
    assert all(check.ok for check in bundle.verify())
    assert [g.name for g in bundle.manifest.graphs] == ["flow", "scene_flow", "encoder", "decoder"]
    assert bundle.manifest.outputs["velocity_guided"] == "network"
    assert bundle.manifest.outputs["velocity_unguided"] == "scene_flow"


def test_our_own_flow_network_is_not_copied_when_it_is_given(
    tmp_path: Path, trained: Trained, imported_generator: Trained
) -> None:
    bundle = write(tmp_path / "theirs", trained, imported_generator, base=tmp_path / "none")
    assert [g.name for g in bundle.manifest.graphs] == ["flow", "encoder", "decoder"]


def test_what_is_done_is_told(tmp_path: Path, base: Path, imported_generator: Trained) -> None:
    told: list[str] = []
    write(tmp_path / "theirs", imported_generator, base=base, progress=told.append)
    assert told[0].startswith("copying flow")
    assert told[1:] == [
        "exporting encoder",
        "judging encoder: PyTorch against ONNX",
        "exporting decoder",
        "judging decoder: PyTorch against ONNX",
        "verifying the bundle",
    ]


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

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Bundle, "checks", interrupt)
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
