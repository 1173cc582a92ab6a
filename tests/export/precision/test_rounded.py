# SPDX-License-Identifier: Apache-2.0
"""The judge rounds: what is infinite or lost in float16 is so here, though the engine computes in float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from stillflow.sessions import open_session
from stillflow_export.precision.half import to_half
from stillflow_export.precision.rounded import rounded
from stillflow_export.samples import Sample

Write = Callable[..., bytes]
Noise = Callable[..., list[Sample]]

HALF = "h = Cast <to = 10> (x) a = Mul(h, c) b = Mul(a, d) y = Cast <to = 1> (b)"


def run(data: bytes, value: float) -> float:
    x = np.full((1, 3, 4, 4), value, np.float32)
    return float(open_session(data).run({"x": x})["y"][0, 0, 0, 0])


def test_what_overflows_between_two_layers_is_infinite(written: Write) -> None:
    data = rounded(written(HALF, {"c": np.float16(1000), "d": np.float16(0.001)}))
    assert run(data, 10.0) == pytest.approx(10, rel=2e-3)
    assert run(data, 100.0) == np.inf


def test_what_is_below_the_smallest_is_zero(written: Write) -> None:
    data = rounded(written(HALF, {"c": np.float16(1e-4), "d": np.float16(1e4)}))
    assert run(data, 1e-3) == pytest.approx(1e-3, rel=0.5)
    assert run(data, 1e-4) == 0


def test_every_step_is_rounded(written: Write) -> None:
    data = rounded(written("h = Cast <to = 10> (x) a = Add(h, c) b = Sub(a, c) y = Cast <to = 1> (b)",
                           {"c": np.float16(1)}))  # fmt: skip
    assert run(data, 2.0**-12) == 0
    assert run(data, 2.0**-9) == 2.0**-9


def test_it_differs_from_the_engines_own_way_by_rounding_alone(three_layers: bytes, noise: Noise) -> None:
    half = to_half(three_layers, noise()).data
    own, strict, full = (open_session(d, "onnxruntime") for d in (half, rounded(half), three_layers))
    for sample in noise():
        a, b, c = (session.run(sample.inputs)["y"] for session in (own, strict, full))
        assert np.abs(a - b).max() < 2e-3
        assert 0 < np.abs(b - c).max() < 3e-3


def test_float32_comes_back_as_it_is(three_layers: bytes) -> None:
    assert rounded(three_layers) is three_layers
