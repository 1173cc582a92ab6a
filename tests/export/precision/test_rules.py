# SPDX-License-Identifier: Apache-2.0
"""Each rule on the smallest graph that it speaks of; and what no rule speaks of is left to float16."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest

from stillflow.errors import StillflowError
from stillflow_export.precision.ranges import measure_ranges
from stillflow_export.precision.rules import HALF_MAX, SAFETY, Wiring, nodes_to_keep
from stillflow_export.samples import Sample

Write = Callable[..., bytes]
Noise = Callable[..., list[Sample]]

WIDE = {"w": np.full((32, 3, 3, 3), 0.01), "v": np.full((32, 32, 3, 3), 0.01)}
CONV = "a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w)"
LAST = "y = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (b, v)"


def kept(data: bytes, samples: list[Sample], keep: tuple[str, ...] = ()) -> dict[str, str]:
    return nodes_to_keep(Wiring(onnx.load_from_string(data)), measure_ranges(data, samples), keep)


def test_layers_between_layers_are_left_to_float16(written: Write, noise: Noise) -> None:
    assert kept(written(f"{CONV} b = Relu(a) {LAST}", WIDE), noise()) == {}


def test_values_out_of_range_stay(written: Write, noise: Noise) -> None:
    found = kept(
        written(f"{CONV} b = Mul(a, c) {LAST}", {**WIDE, "c": 1e4}),
        noise(scale=2 * HALF_MAX / SAFETY / 1e4 / 0.05),
    )
    assert found["mul_1"].startswith("overflow: values of b reach")
    assert found["conv_2"].startswith("overflow: ")


def test_sums_out_of_range_stay_though_their_result_is_small(written: Write, noise: Noise) -> None:
    weight = np.full((32, 3, 3, 3), 0.01)
    weight[:, 0], weight[:, 1] = 400, -400
    samples = noise()
    for sample in samples:
        sample.inputs["x"][:, 1] = sample.inputs["x"][:, 0]
    found = kept(written(f"{CONV} b = Relu(a) {LAST}", {**WIDE, "w": weight}), samples)
    assert found["conv_0"].startswith("overflow: sums of a reach")
    assert "relu_1" not in found


def test_large_constants_stay(written: Write, noise: Noise) -> None:
    found = kept(written(f"{CONV} b = Clip(a, l, h) {LAST}", {**WIDE, "l": -7e4, "h": 7e4}), noise())
    assert found["clip_1"].startswith("overflow: the constant l reaches 7e+04")


def test_small_constants_stay_with_what_follows(written: Write, noise: Noise) -> None:
    body = f"m = Abs(x) s = Add(m, e) r = Div(one, s) t = Mul(x, r) {CONV} b = Mul(a, a) {LAST}"
    found = kept(written(body, {**WIDE, "e": 1e-8, "one": 0.1}), noise())
    assert found["add_1"] == "constants: e is 1e-08 at most"
    assert found["div_2"].startswith("amplifiers: Div")
    assert found["mul_3"] == "amplifiers: after div_2"
    assert "conv_4" not in found


def test_values_below_float16_stay(written: Write, noise: Noise) -> None:
    found = kept(written(f"{CONV} b = Relu(a) {LAST}", WIDE), noise(scale=1e-6))
    assert found["relu_1"].startswith("underflow: b reaches")


@pytest.mark.parametrize(("axes", "stays"), [([2, 3], True), ([1], False)])
def test_only_sums_over_the_picture_stay(axes: list[int], stays: bool, written: Write, noise: Noise) -> None:
    body = f"{CONV} b = Relu(a) m = ReduceMean <keepdims = 1> (b, axes) n = Add(b, m) y = Relu(n)"
    found = kept(written(body, {**WIDE, "axes": np.array(axes)}), noise())
    assert ("reducemean_2" in found) is stays
    assert "add_3" not in found


def test_the_chain_before_a_logarithm_stays_as_far_as_it_is_light(written: Write, noise: Noise) -> None:
    weights = {"filter": np.full((4, 3, 3, 3), 0.1), "e": 0.003, "v": np.full((32, 4, 3, 3), 0.1)}
    body = (
        """
        f = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, filter)
        p = AveragePool <kernel_shape = [2, 2]> (f)
        s = Abs(p) t = Add(s, e) l = Log(t) b = Mul(l, l)
    """
        + LAST
    )
    found = kept(written(body, weights), noise())
    assert set(found) == {"conv_0", "averagepool_1", "abs_2", "add_3", "log_4", "mul_5"}
    wide = {**weights, "filter": np.full((32, 3, 3, 3), 0.1), "v": np.full((32, 32, 3, 3), 0.1)}
    assert set(kept(written(body, wide), noise())) == {"log_4"}


def test_the_variance_of_a_wide_tensor_stays(written: Write, noise: Noise) -> None:
    body = f"""{CONV} q = Mul(a, a) m = ReduceMean <keepdims = 1> (q, axes)
        s = Sqrt(m) b = Relu(a) z = Mul(b, s) y = Relu(z)"""
    found = kept(written(body, {**WIDE, "axes": np.array([1])}), noise())
    assert set(found) == {"mul_1", "reducemean_2", "sqrt_3"}


def test_light_arithmetic_at_both_ends_stays(three_layers: bytes, noise: Noise) -> None:
    found = kept(three_layers, noise())
    assert found == {
        "sub_0": "ends: light arithmetic on inputs",
        "tanh_8": "ends: light arithmetic that makes outputs",
    }


def test_views_between_float32_stay(written: Write, noise: Noise) -> None:
    body = f"{CONV} l = Exp(a) t = Transpose <perm = [0, 1, 3, 2]> (l) b = Sqrt(t) {LAST}"
    found = kept(written(body, WIDE), noise())
    assert found["transpose_2"] == "between: it moves values from float32 to float32"


def test_what_is_asked_for_stays(three_layers: bytes, noise: Noise) -> None:
    assert kept(three_layers, noise(), ("conv_3",))["conv_3"].startswith("asked")
    with pytest.raises(StillflowError, match="no node of that name"):
        kept(three_layers, noise(), ("conv_99",))
