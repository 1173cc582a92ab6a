# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest

from stillflow.errors import StillflowError
from stillflow_export.precision.ranges import Range, element_types, measure_ranges
from stillflow_export.samples import Sample

Write = Callable[..., bytes]
Noise = Callable[..., list[Sample]]


def test_extremes_are_those_of_all_samples(written: Write, noise: Noise) -> None:
    samples = noise(4)
    found = measure_ranges(written("a = Neg(x) y = Abs(a)"), samples)
    values = np.concatenate([s.inputs["x"] for s in samples])
    assert found["x"] == Range(float(values.min()), float(values.max()))
    assert found["a"] == Range(float(-values.max()), float(-values.min()))
    assert found["y"].magnitude == float(np.abs(values).max())


def test_sums_bound_every_partial_sum(written: Write, noise: Noise) -> None:
    # Weights that cancel: the sum is small, what it passes through on the way is not.
    weight = np.zeros((1, 3, 1, 1))
    weight[0, :, 0, 0] = 1000, -1000, 1
    data = written("y = Conv <kernel_shape = [1, 1]> (x, w)", {"w": weight})
    (sample,) = noise(1)
    x = sample.inputs["x"]
    x[:, 1] = x[:, 0]
    found = measure_ranges(data, [sample])["y"]
    assert found.magnitude == pytest.approx(np.abs(x[:, 2]).max(), rel=1e-2)
    assert found.sums == pytest.approx((2000 * np.abs(x[:, 0]) + np.abs(x[:, 2])).max(), rel=1e-5)


def test_sums_are_found_behind_stored_weights(written: Write, noise: Noise) -> None:
    weight = np.full((2, 3, 1, 1), 3, np.float16)
    data = written("w = Cast <to = 1> (s) y = Conv <kernel_shape = [1, 1]> (x, w)", {"s": weight})
    (sample,) = noise(1)
    assert measure_ranges(data, [sample])["y"].sums == pytest.approx(
        3 * np.abs(sample.inputs["x"]).sum(1).max(), rel=1e-5
    )


def test_nan_is_named(written: Write, noise: Noise) -> None:
    data = written("a = Log(x) y = Neg(a)")
    with pytest.raises(StillflowError, match=r"'a' holds NaN or infinity on the sample 'noise 0'"):
        measure_ranges(data, noise(1))


def test_no_samples_is_an_error(written: Write) -> None:
    with pytest.raises(StillflowError, match="no samples"):
        measure_ranges(written("y = Neg(x)"), [])


def test_wrong_inputs_are_an_error(written: Write) -> None:
    with pytest.raises(StillflowError, match="onnxruntime says"):
        measure_ranges(written("y = Neg(x)"), [Sample("odd", {"z": np.zeros((1, 3, 4, 4), np.float32)})])


def test_two_types_in_one_node_are_refused(written: Write) -> None:
    model = onnx.load_from_string(written("h = Cast <to = 1> (x) y = Add(x, h)"))
    model.graph.node[0].attribute[0].i = onnx.TensorProto.FLOAT16
    with pytest.raises(StillflowError, match="cannot tell the types"):
        element_types(model)
