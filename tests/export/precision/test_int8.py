# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from stillflow.errors import StillflowError
from stillflow.sessions import open_session
from stillflow_export.gates import gate_b, require_passed
from stillflow_export.precision import int8
from stillflow_export.precision.int8 import BUDGET, to_int8
from stillflow_export.samples import Sample

Write = Callable[..., bytes]
Noise = Callable[..., list[Sample]]


@pytest.fixture(scope="module")
def four_layers(written: Write) -> bytes:
    """A first layer, two between, and a last."""
    rng = np.random.default_rng(11)
    weights = {
        "w0": rng.normal(size=(32, 3, 3, 3)) * 0.2,
        "w1": rng.normal(size=(32, 32, 3, 3)) * 0.06,
        "w2": rng.normal(size=(32, 32, 3, 3)) * 0.06,
        "w3": rng.normal(size=(2, 32, 3, 3)) * 0.06,
    }
    conv = "Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]>"
    body = f"""a = {conv} (x, w0) b = Relu(a) c = {conv} (b, w1) d = Relu(c) e = {conv} (d, w2)
        f = Add(b, e) g = Relu(f) y = {conv} (g, w3)"""
    return written(body, weights)


def test_layers_between_are_quantised_and_the_ends_are_not(four_layers: bytes, noise: Noise) -> None:
    made = to_int8(four_layers, noise())
    assert set(made.layers) == {"conv_2", "conv_4"}
    assert made.left["conv_0"].startswith("first") and made.left["conv_7"].startswith("last")
    model = onnx.load_from_string(made.data)
    kinds = Counter(t.data_type for t in model.graph.initializer if len(t.dims) == 4)
    assert kinds == {TensorProto.INT8: 2, TensorProto.FLOAT: 2}
    assert len(made.data) < 0.5 * len(four_layers)
    assert all(0 < share <= BUDGET for share in made.layers.values())


def test_it_passes_gate_b_and_is_not_exact(four_layers: bytes, noise: Noise) -> None:
    made = to_int8(four_layers, noise())
    receipt = gate_b(four_layers, made.data, noise(), name="four", precision="int8", made=made.as_json())
    require_passed(receipt)
    assert receipt.outputs["y"].rms is not None and receipt.outputs["y"].rms > 1e-4
    assert receipt.as_json()["made"]["layers_int8"] == made.layers


def scale_too_small(model: onnx.ModelProto) -> None:
    tensor = next(t for t in model.graph.initializer if t.name == "b/scale")
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) / np.float32(8), tensor.name))


def codes_changed(model: onnx.ModelProto) -> None:
    tensor = next(t for t in model.graph.initializer if t.name == "w2/codes")
    tensor.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(tensor), tensor.name))


@pytest.mark.parametrize("spoil", [scale_too_small, codes_changed])
def test_broken_scales_and_codes_fail_gate_b(
    spoil: Callable[[onnx.ModelProto], None], four_layers: bytes, noise: Noise
) -> None:
    model = onnx.load_from_string(to_int8(four_layers, noise()).data)
    spoil(model)
    receipt = gate_b(four_layers, model.SerializeToString(), noise(), name="four", precision="int8")
    with pytest.raises(StillflowError, match="fails gate B"):
        require_passed(receipt)


def test_a_layer_that_moves_the_outputs_too_far_stays(written: Write, noise: Noise) -> None:
    rng = np.random.default_rng(12)
    # One channel a thousand times larger than the rest, of which the last layer reads the rest alone.
    first = rng.normal(size=(32, 3, 1, 1))
    first[0] *= 1000
    middle = np.eye(32).reshape(32, 32, 1, 1)
    last = rng.normal(size=(2, 32, 1, 1))
    last[:, 0] = 0
    data = written(
        "a = Conv(x, w0) b = Conv(a, w1) c = Conv(b, w2) y = Conv(c, w3)",
        {"w0": first, "w1": middle, "w2": middle, "w3": last},
    )
    with pytest.raises(StillflowError, match="every layer moves its outputs by more than"):
        to_int8(data, noise())


def test_the_budget_holds_for_all_layers_together(
    four_layers: bytes, noise: Noise, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = sorted(to_int8(four_layers, noise()).layers.values())
    monkeypatch.setattr(int8, "BUDGET", shares[-1] * 1.0001)
    made = to_int8(four_layers, noise())
    assert list(made.layers.values()) == shares[:1], "either alone fits, both together do not"
    assert "budget is spent" in made.left[({"conv_2", "conv_4"} - set(made.layers)).pop()]


def test_the_same_graph_gives_the_same_bytes(four_layers: bytes, noise: Noise) -> None:
    assert to_int8(four_layers, noise()).data == to_int8(four_layers, noise()).data


def test_no_samples_is_an_error(four_layers: bytes) -> None:
    with pytest.raises(StillflowError, match="no samples"):
        to_int8(four_layers, [])


def test_openvino_computes_the_same(four_layers: bytes, noise: Noise) -> None:
    made = to_int8(four_layers, noise()).data
    first, second = open_session(made, "onnxruntime"), open_session(made, "openvino")
    for sample in noise():
        a, b = (session.run(sample.inputs)["y"] for session in (first, second))
        assert np.abs(a - b).max() < 0.03 * np.abs(a).max()


def test_tensorrt_rtx_reads_int8_layers(four_layers: bytes, noise: Noise) -> None:
    trt = pytest.importorskip("tensorrt_rtx_bindings", reason="needs the extra: pip install 'stillflow[rtx]'")
    log = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    assert parser.parse(to_int8(four_layers, noise()).data)
    kinds = [network.get_layer(i).type for i in range(network.num_layers)]
    assert kinds.count(trt.LayerType.QUANTIZE) == 2
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    profile.set_shape("x", (1, 3, 16, 16), (1, 3, 16, 24), (1, 3, 32, 32))
    config.add_optimization_profile(profile)
    assert builder.build_serialized_network(network, config) is not None
