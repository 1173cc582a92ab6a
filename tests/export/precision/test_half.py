# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import collections
import re
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from stillflow.errors import StillflowError
from stillflow.sessions import open_session
from stillflow_export.onnx_export import ExportedGraph
from stillflow_export.plan import GraphPlan
from stillflow_export.precision.half import check_typed, to_half
from stillflow_export.precision.ranges import element_types
from stillflow_export.samples import Sample
from stillflow_export.stored_weights import pack_weights

Write = Callable[..., bytes]
Noise = Callable[..., list[Sample]]


def deviation(reference: bytes, candidate: bytes, samples: list[Sample]) -> float:
    first, second = (open_session(data, "onnxruntime") for data in (reference, candidate))
    pairs = [(first.run(s.inputs)["y"], second.run(s.inputs)["y"]) for s in samples]
    assert all(got.dtype == np.float32 for _, got in pairs)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def types_of_layers(data: bytes) -> collections.Counter[str]:
    model = onnx.load_from_string(data)
    types = element_types(model)
    return collections.Counter(
        f"{node.op_type} {TensorProto.DataType.Name(types[node.output[0]])}" for node in model.graph.node
    )


def test_layers_compute_in_float16_and_come_close(three_layers: bytes, noise: Noise) -> None:
    made = to_half(three_layers, noise())
    found = types_of_layers(made.data)
    assert found["Conv FLOAT16"] == 3 and found["Conv FLOAT"] == 0
    assert found["Tanh FLOAT"] == 1
    assert made.half == 7 and made.casts == 2 and len(made.kept_fp32) == 2
    assert 1e-6 < deviation(three_layers, made.data, noise()) < 2e-3
    assert len(made.data) < 0.6 * len(three_layers)


def test_the_same_graph_gives_the_same_bytes(three_layers: bytes, noise: Noise) -> None:
    assert to_half(three_layers, noise()).data == to_half(three_layers, noise()).data


def test_names_and_free_sizes_stay(exported: ExportedGraph, flow_plan: GraphPlan) -> None:
    samples = list(flow_plan.samples(()))
    before = onnx.load_from_string(exported.data).graph
    after = onnx.load_from_string(to_half(exported.data, samples).data).graph
    assert list(after.input) == list(before.input)
    assert list(after.output) == list(before.output)


def test_an_exported_network_with_its_small_constants(exported: ExportedGraph, flow_plan: GraphPlan) -> None:
    samples = list(flow_plan.samples(()))
    made = to_half(exported.data, samples)
    first, second = (open_session(data, "onnxruntime") for data in (exported.data, made.data))
    for sample in samples:
        expected, got = first.run(sample.inputs), second.run(sample.inputs)
        for name, values in expected.items():
            assert np.isfinite(got[name]).all()
            assert np.abs(got[name] - values).max() < 0.01 * np.abs(values).max()
    assert any(reason.startswith("constants") for reason in made.kept_fp32.values())


def test_stored_weights_make_the_same_graph(three_layers: bytes, noise: Noise) -> None:
    model = onnx.load_from_string(three_layers)
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 4:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    whole = model.SerializeToString()
    assert pack_weights(model) > 0
    packed = model.SerializeToString()
    one, other = (onnx.load_from_string(to_half(data, noise()).data) for data in (whole, packed))
    assert list(one.graph.node) == list(other.graph.node)
    assert {t.name: t.raw_data for t in one.graph.initializer} == {
        t.name: t.raw_data for t in other.graph.initializer
    }


def test_a_tensor_that_is_read_in_both_types_and_is_an_output(written: Write, noise: Noise) -> None:
    weights = {"w": np.full((32, 3, 3, 3), 0.01), "v": np.full((32, 32, 1, 1), 0.01), "e": 1e-8}
    data = written(
        """a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w)
        q = Abs(a) s = Add(q, e) l = Sqrt(s) m = Mul(l, a)
        y = Conv <kernel_shape = [1, 1]> (a, v)""",
        weights,
    )
    model = onnx.load_from_string(data)
    for name in ("a", "m"):
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, list("efgh")))
    made = to_half(model.SerializeToString(), noise())
    result = onnx.load_from_string(made.data)
    assert [o.name for o in result.graph.output] == ["y", "a", "m"]
    first, second = (open_session(d, "onnxruntime") for d in (model.SerializeToString(), made.data))
    for sample in noise():
        expected, got = first.run(sample.inputs), second.run(sample.inputs)
        assert all(np.allclose(got[n], expected[n], atol=2e-3, rtol=2e-3) for n in ("y", "a", "m"))


def test_division_by_a_tiny_constant_stays_finite(written: Write, noise: Noise) -> None:
    # A partial convolution's renormalisation: 9 / (sum of the mask + 1e-8), where the sum may be 0.
    body = """m = Sign(x) p = Relu(m)
        s = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (p, ones)
        t = Add(s, e) r = Div(nine, t) u = Clip(s, zero, one) y = Mul(r, u)"""
    weights = {"ones": np.ones((1, 1, 3, 3)), "e": 1e-8, "nine": 9.0, "zero": 0.0, "one": 1.0}
    data = written(body.replace("m = Sign(x) p = Relu(m)", "p = Relu(x)"), weights, channels=1)
    samples = noise(channels=1)
    for sample in samples:
        sample.inputs["x"][:] = np.sign(sample.inputs["x"])
        sample.inputs["x"][..., :6, :6] = 0
    assert deviation(data, to_half(data, samples).data, samples) < 1e-5


def test_mixed_types_are_refused(three_layers: bytes, noise: Noise) -> None:
    model = onnx.load_from_string(to_half(three_layers, noise()).data)
    check_typed(model)
    node = next(n for n in model.graph.node if n.op_type == "Cast")
    node.attribute[0].i = TensorProto.FLOAT
    with pytest.raises(StillflowError):
        check_typed(model)


def test_float16_at_the_interface_is_refused(three_layers: bytes) -> None:
    model = onnx.load_from_string(three_layers)
    model.graph.node.append(onnx.helper.make_node("Cast", ["y"], ["z"], to=TensorProto.FLOAT16))
    model.graph.output.append(onnx.helper.make_tensor_value_info("z", TensorProto.FLOAT16, list("efgh")))
    with pytest.raises(StillflowError, match="z is float16"):
        check_typed(model)


PIECES = ("Relu", "Abs", "Sigmoid", "Exp", "Sqrt", "Log", "Square", "Residual", "Conv", "Mean", "Clip")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6), st.floats(1e-3, 1e3))
def test_any_chain_of_layers_comes_out_typed_and_close(
    written: Write, noise: Noise, pieces: list[str], scale: float
) -> None:
    rng = np.random.default_rng(1)
    weights: dict[str, object] = {
        "w": rng.normal(size=(20, 3, 3, 3)) * 0.2,
        "c": rng.normal(size=(20, 20, 1, 1)) * 0.2,
        "e": 1e-3,
        "axes": np.array([2, 3]),
        "low": -50.0,
        "high": 5.0,
    }
    lines = ["t0 = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w)"]
    for i, piece in enumerate(pieces):
        a, b = f"t{i}", f"t{i + 1}"
        lines.append(
            {
                "Exp": f"k{i} = Clip({a}, low, high) {b} = Exp(k{i})",
                "Sqrt": f"k{i} = Abs({a}) l{i} = Add(k{i}, e) {b} = Sqrt(l{i})",
                "Log": f"k{i} = Abs({a}) l{i} = Add(k{i}, e) {b} = Log(l{i})",
                "Square": f"k{i} = Clip({a}, low, high) {b} = Mul(k{i}, k{i})",
                "Residual": f"k{i} = Conv <kernel_shape = [1, 1]> ({a}, c) {b} = Add({a}, k{i})",
                "Conv": f"{b} = Conv <kernel_shape = [1, 1]> ({a}, c)",
                "Mean": f"k{i} = ReduceMean <keepdims = 1> ({a}, axes) {b} = Sub({a}, k{i})",
                "Clip": f"{b} = Clip({a}, low, high)",
            }.get(piece, f"{b} = {piece}({a})")
        )
    data = written("\n".join([*lines, f"y = Identity(t{len(pieces)})"]), weights)
    samples = noise(2, scale=scale)
    made = to_half(data, samples)
    # Some chains magnify whatever is rounded: roots and logarithms near zero, small differences of large values. So the
    # chain is judged against itself in float32, with a rounding to 11 digits after each of its steps.
    shaken = [
        re.sub(r"\bt(\d+) =", r"s\1 =", line) + f" t{i} = Mul(s{i}, n{i})" for i, line in enumerate(lines)
    ]
    noises = {f"n{i}": 1 + rng.uniform(-1, 1, (1, 20, 16, 24)) * 2.0**-11 for i in range(len(lines))}
    rounded = written("\n".join([*shaken, f"y = Identity(t{len(pieces)})"]), {**weights, **noises})
    first, second, third = (open_session(d, "onnxruntime") for d in (data, made.data, rounded))
    for sample in samples:
        expected, got, near = (s.run(sample.inputs)["y"] for s in (first, second, third))
        assert np.isfinite(got).all()
        scale_of = max(float(np.abs(expected).max()), 1e-6)
        for share in (0.5, 0.97):
            off, allowed = (np.quantile(np.abs(v - expected), share) for v in (got, near))
            assert off <= 100 * allowed + 0.002 * scale_of


def test_tensorrt_rtx_builds_it_with_the_types_of_the_file(three_layers: bytes, noise: Noise) -> None:
    trt = pytest.importorskip("tensorrt_rtx_bindings", reason="needs the extra: pip install 'stillflow[rtx]'")
    log = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    assert parser.parse(to_half(three_layers, noise()).data)
    kinds = collections.Counter(
        str(network.get_layer(i).get_output(0).dtype)
        for i in range(network.num_layers)
        if network.get_layer(i).type == trt.LayerType.CONVOLUTION
    )
    assert kinds == {"DataType.HALF": 3}
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    profile.set_shape("x", (1, 3, 16, 16), (1, 3, 16, 24), (1, 3, 32, 32))
    config.add_optimization_profile(profile)
    assert builder.build_serialized_network(network, config) is not None
