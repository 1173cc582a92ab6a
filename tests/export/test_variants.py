# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.sessions import open_session
from stillflow_export.bundle_parts import Parts
from stillflow_export.onnx_export import ExportedGraph
from stillflow_export.plan import GraphPlan
from stillflow_export.precision import half
from stillflow_export.variants import Converted, convert, judge_frames


@pytest.fixture(scope="module")
def converted(flow_plan: GraphPlan, exported: ExportedGraph) -> Converted:
    return convert("fp16", flow_plan, exported.data)


def test_half_computes_in_half_and_takes_and_gives_float32(
    flow_plan: GraphPlan, exported: ExportedGraph, converted: Converted
) -> None:
    model = onnx.load_from_string(converted.data)
    assert any(t.data_type == onnx.TensorProto.FLOAT16 for t in model.graph.initializer)
    first, second = (open_session(d, "onnxruntime", name="flow") for d in (exported.data, converted.data))
    assert [(s.name, s.dtype) for s in first.inputs] == [(s.name, s.dtype) for s in second.inputs]
    sample = next(iter(flow_plan.samples(())))
    got, expected = second.run(sample.inputs), first.run(sample.inputs)
    assert any(not np.array_equal(got[n], expected[n]) for n in expected), "it computes in half precision"


def test_the_receipt_of_gate_b_comes_along_with_what_vectors_allow(
    flow_plan: GraphPlan, converted: Converted
) -> None:
    assert converted.receipt.passed
    assert converted.receipt.gate == "B"
    assert set(converted.tolerance) == {t.name for t in flow_plan.outputs}
    for output, report in converted.receipt.outputs.items():
        assert converted.tolerance[output].absolute >= report.max_abs


def test_a_spoilt_conversion_misses_the_gate(
    flow_plan: GraphPlan, exported: ExportedGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., half.HalfGraph] = half.to_half

    def spoilt(*arguments: Any, **options: Any) -> half.HalfGraph:
        made = real(*arguments, **options)
        return replace(made, data=with_weight_changed(made.data))

    monkeypatch.setattr(half, "to_half", spoilt)
    with pytest.raises(StillflowError, match="fails gate B"):
        convert("fp16", flow_plan, exported.data)


def with_weight_changed(data: bytes) -> bytes:
    """A graph with its last filters turned round."""
    model = onnx.load_from_string(data)
    tensor = [t for t in model.graph.initializer if len(t.dims) == 4][-1]
    tensor.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(tensor), tensor.name))
    return model.SerializeToString()


def test_int8_takes_its_scales_from_photos_that_are_named(
    flow_plan: GraphPlan, exported: ExportedGraph
) -> None:
    with pytest.raises(StillflowError, match="no photos to calibrate with"):
        convert("int8", flow_plan, exported.data)


def test_only_known_precisions(flow_plan: GraphPlan, exported: ExportedGraph) -> None:
    with pytest.raises(KeyError):
        convert("fp8", flow_plan, exported.data)


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    """The shipped bundle as if its frames were still to be judged."""
    parts = Parts(tmp_path / "edge")
    with Bundle.open("edge") as edge:
        for file in edge.manifest.files:
            if file.path != "receipts/gate-b-fp16.json":
                parts.add(file.path, edge.read(file.path))
        parts.write_manifest(edge.manifest)
    return parts


def test_frames_are_judged_and_the_receipt_goes_into_the_bundle(parts: Parts, sample_photo: Path) -> None:
    judge_frames(parts, "fp16", [sample_photo])
    (receipt,) = parts.receipts
    assert (receipt.kind, receipt.graph, receipt.file) == ("gate-b-fp16", None, "receipts/gate-b-fp16.json")
    content = json.loads((parts.folder / receipt.file).read_bytes())
    assert content["passed"]
    assert content["worst"]["psnr"] >= content["tolerance"]["psnr"]


def test_frames_that_went_wrong_are_refused(parts: Parts, sample_photo: Path) -> None:
    old = parts.files.pop("flow.fp16.onnx")
    digest = parts.add(old.path, with_weight_changed((parts.folder / old.path).read_bytes()))
    manifest = (parts.folder / "manifest.json").read_text()
    assert manifest.count(old.sha256) == 2
    new = parts.files[old.path].bytes
    changed = manifest.replace(old.sha256, digest).replace(f'"bytes": {old.bytes},', f'"bytes": {new},')
    (parts.folder / "manifest.json").write_text(changed)
    with pytest.raises(StillflowError, match="fails gate B"):
        judge_frames(parts, "fp16", [sample_photo])
    assert parts.receipts == []
