# SPDX-License-Identifier: Apache-2.0
"""A sound float16 graph passes; graphs broken in the ways that half precision breaks them do not."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper, numpy_helper

from stillflow.errors import StillflowError
from stillflow_export.gates import GateReceipt, gate_b, require_passed, vector_tolerance
from stillflow_export.gates.gate_b import ENGINE_FLOOR, ENGINE_SHARE
from stillflow_export.precision.half import to_half
from stillflow_export.samples import Sample

Edit = Callable[[onnx.ModelProto], None]


def reference(gain: float = 1.0) -> bytes:
    """Two layers and two outputs; the first layer's values grow with ``gain`` and shrink again in the second."""
    rng = np.random.default_rng(5)
    text = """<ir_version: 10, opset_import: ["" : 18]>
    small (float[1,3,height,width] x) => (float[a,b,c,d] colours, float[a,e,c,d] logits) {
        a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w0, b0)
        r = Relu(a)
        b = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (r, w1, b1)
        head, logits = Split <axis = 1> (b, parts)
        colours = Tanh(head)
    }"""
    model = onnx.parser.parse_model(text)
    weights = {
        "w0": rng.normal(size=(20, 3, 3, 3)) * 0.2 * gain,
        "b0": rng.normal(size=20) * 0.1 * gain,
        "w1": rng.normal(size=(6, 20, 3, 3)) * 0.1 / gain,
        "b1": rng.normal(size=6) * 0.1,
    }
    for name, values in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
    model.graph.initializer.append(numpy_helper.from_array(np.array([3, 3]), "parts"))
    for i, node in enumerate(model.graph.node):
        node.name = f"{node.op_type.lower()}_{i}"
    data: bytes = model.SerializeToString()
    return data


def samples() -> list[Sample]:
    rng = np.random.default_rng(6)
    return [Sample(f"noise {i}", {"x": rng.random((1, 3, 24, 32)).astype(np.float32)}) for i in range(3)]


def judge(candidate: bytes, against: bytes | None = None, precision: str = "fp16") -> GateReceipt:
    return gate_b(against or reference(), candidate, samples(), name="small", precision=precision)


def half(data: bytes | None = None) -> onnx.ModelProto:
    return onnx.load_from_string(to_half(data or reference(), samples()).data)


def test_a_sound_graph_passes_far_inside_the_limits() -> None:
    receipt = judge(half().SerializeToString())
    require_passed(receipt)
    for report in receipt.outputs.values():
        assert report.rms is not None and report.rms_allowed is not None
        assert 0 < report.max_abs < report.allowed / 4
        assert 0 < report.rms < report.rms_allowed / 4
        assert report.worst_sample.startswith("noise")


def test_the_receipt_is_plain_json_and_complete() -> None:
    content = json.loads(json.dumps(judge(half().SerializeToString()).as_json(), allow_nan=False))
    assert content["gate"] == "B" and content["precision"] == "fp16"
    assert content["tolerance"] == {"peak": 0.05, "rms": 0.005}
    assert content["reference_sha256"] != content["onnx_sha256"]
    assert set(content["outputs"]) == {"colours", "logits"}
    assert len(content["samples"]) == 3


def weight(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(t for t in model.graph.initializer if t.name == name)


def one_weight_changed(model: onnx.ModelProto) -> None:
    tensor = weight(model, "w1")
    values = numpy_helper.to_array(tensor).copy()
    values[4, 3, 1, 1] += 0.5
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def one_weight_nan(model: onnx.ModelProto) -> None:
    tensor = weight(model, "w1")
    values = numpy_helper.to_array(tensor).copy()
    values[0, 0, 0, 0] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def outputs_swapped(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        node.output[:] = [{"colours": "logits", "logits": "colours"}.get(n, n) for n in node.output]


def black(model: onnx.ModelProto) -> None:
    tensor = weight(model, "b1")
    values = numpy_helper.to_array(tensor).copy()
    values[:3] = -50
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


BROKEN: dict[str, tuple[Edit, set[str]]] = {
    "one weight changed": (one_weight_changed, {"logits"}),
    "one weight NaN": (one_weight_nan, {"colours"}),
    "outputs swapped": (outputs_swapped, {"colours", "logits"}),
    "black": (black, {"colours"}),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_graph_fails_where_it_is_broken(kind: str) -> None:
    spoil, where = BROKEN[kind]
    model = half()
    spoil(model)
    receipt = judge(model.SerializeToString())
    assert not receipt.passed
    assert {name for name, report in receipt.outputs.items() if not report.passed} == where
    json.dumps(receipt.as_json(), allow_nan=False)
    with pytest.raises(StillflowError, match="fails gate B") as caught:
        require_passed(receipt)
    assert "noise" in caught.value.why


def forced(data: bytes) -> bytes:
    """Everything in float16, ranges or not: what a converter without them would write."""
    model = onnx.load_from_string(data)
    for tensor in list(model.graph.initializer):
        if tensor.data_type == TensorProto.FLOAT:
            array = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    nodes = [helper.make_node("Cast", ["x"], ["x_half"], to=TensorProto.FLOAT16)]
    for node in model.graph.node:
        node.input[:] = ["x_half" if n == "x" else n for n in node.input]
        node.output[:] = [f"{n}_half" if n in ("colours", "logits") else n for n in node.output]
        nodes.append(node)
    nodes += [
        helper.make_node("Cast", [f"{n}_half"], [n], to=TensorProto.FLOAT) for n in ("colours", "logits")
    ]
    made = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(made)
    return model.SerializeToString()


def test_values_beyond_float16_fail_where_they_are_forced_and_pass_where_they_are_kept() -> None:
    large = reference(gain=1e5)
    receipt = judge(forced(large), large)
    assert not receipt.passed
    assert {r.detail for r in receipt.outputs.values()} == {"it holds NaN or infinite values"}
    assert judge(half(large).SerializeToString(), large).passed
    assert judge(forced(reference()), reference()).passed, "the graph is sound where its ranges fit"


def test_other_shapes_fail() -> None:
    model = half()
    parts = weight(model, "parts")
    parts.CopyFrom(numpy_helper.from_array(np.array([2, 4]), "parts"))
    receipt = judge(model.SerializeToString())
    assert "should be float32 (1, 3, 24, 32)" in receipt.outputs["colours"].detail


def test_other_outputs_are_an_error() -> None:
    model = half()
    del model.graph.output[1]
    with pytest.raises(StillflowError, match="it gives colours and not colours, logits"):
        judge(model.SerializeToString())


def test_a_gate_without_samples_does_not_pass() -> None:
    with pytest.raises(StillflowError, match="no samples"):
        gate_b(reference(), reference(), (), name="small", precision="fp16")


def test_a_typical_error_fails_though_no_value_stands_out() -> None:
    model = onnx.load_from_string(reference())
    scale = judge(reference()).outputs["logits"].scale
    values = numpy_helper.to_array(weight(model, "b1")).copy()
    values[3:] += 0.008 * scale  # a sixth of what one value may be off by, everywhere
    weight(model, "b1").CopyFrom(numpy_helper.from_array(values, "b1"))
    report = judge(model.SerializeToString()).outputs["logits"]
    assert report.max_abs < report.allowed / 5 and not report.passed


def test_one_value_that_stands_out_fails_though_most_are_right() -> None:
    samples_of_one = [Sample("one", {"x": np.zeros((1, 3, 64, 64), np.float32)})]
    samples_of_one[0].inputs["x"][0, 0, 30, 30] = 1
    text = """<ir_version: 10, opset_import: ["" : 18]>
    small (float[1,3,height,width] x) => (float[1,3,height,width] y) { y = Mul(x, k) }"""
    first, second = onnx.parser.parse_model(text), onnx.parser.parse_model(text)
    for model, factor in ((first, 1.0), (second, 0.8)):
        model.graph.initializer.append(numpy_helper.from_array(np.array(factor, np.float32), "k"))
    data = [model.SerializeToString() for model in (first, second)]
    receipt = gate_b(*data, samples_of_one, name="small", precision="fp16")
    report = receipt.outputs["y"]
    assert report.rms is not None and report.rms_allowed is not None
    assert report.rms < report.rms_allowed and not report.passed


def test_vectors_allow_an_engine_more_than_was_measured() -> None:
    receipt = judge(half().SerializeToString())
    found = vector_tolerance(receipt)
    for name, report in receipt.outputs.items():
        wanted = max(ENGINE_SHARE * report.max_abs, ENGINE_FLOOR * report.scale)
        assert found[name].absolute == pytest.approx(wanted, rel=1e-2)
        assert found[name].relative == 0
