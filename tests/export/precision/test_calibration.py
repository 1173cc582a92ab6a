# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stillflow.errors import StillflowError
from stillflow_export.precision.calibration import (
    BINS,
    STEPS,
    activation_scales,
    best_clip,
    quantized_weights,
)
from stillflow_export.samples import Sample

Write = Callable[..., bytes]
Noise = Callable[..., list[Sample]]


def error(values: np.ndarray, scale: float) -> float:
    return float(((np.clip(np.rint(values / scale), -STEPS, STEPS) * scale - values) ** 2).mean())


def test_the_scale_has_about_the_least_error(written: Write, noise: Noise) -> None:
    model = onnx.load_from_string(written("a = Mul(x, x) b = Mul(a, x) y = Neg(b)"))
    samples = noise(3)
    found = activation_scales(model, {"a", "b"}, samples)
    x = np.concatenate([s.inputs["x"].ravel() for s in samples])
    for name, values in (("a", x**2), ("b", x**3)):
        tried = [error(values, clip * np.abs(values).max() / STEPS) for clip in np.linspace(0.1, 1, 91)]
        assert error(values, found[name]) <= 1.05 * min(tried)


def test_even_values_are_not_cut_and_rare_ones_are() -> None:
    assert best_clip(np.ones(BINS), 4.0) == pytest.approx(4.0, rel=0.02)
    counts = np.zeros(BINS)
    counts[: BINS // 4], counts[-1] = 1e6, 1
    assert best_clip(counts, 4.0) < 1.2


def test_a_tensor_of_zeros_is_named(written: Write) -> None:
    model = onnx.load_from_string(written("a = Mul(x, x) y = Neg(a)"))
    dark = [Sample("dark", {"x": np.zeros((1, 3, 8, 8), np.float32)})]
    with pytest.raises(StillflowError, match="'a' holds 0 and nothing else"):
        activation_scales(model, {"a"}, dark)
    with pytest.raises(StillflowError, match="no samples"):
        activation_scales(model, {"a"}, [])


@settings(max_examples=50, deadline=None)
@given(arrays(np.float32, (4, 3, 3, 3), elements=st.floats(-100, 100, width=32)))
def test_weights_are_off_by_half_a_step_at_most(weights: np.ndarray) -> None:
    codes, scales = quantized_weights(weights)
    assert codes.dtype == np.int8 and np.abs(codes.astype(int)).max(initial=0) <= STEPS
    back = codes * scales[:, None, None, None]
    assert (np.abs(back - weights) <= 0.501 * scales[:, None, None, None] + 1e-30).all()
