# SPDX-License-Identifier: Apache-2.0
"""What a painter keeps of a photo is what the kernels define, to the bit, in whatever tiles it was encoded."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

torch = pytest.importorskip(
    "torch", reason="the generators here run in torch: pip install 'stillflow[export]'"
)

from stillflow.features.painter import Thrower, plain_painter  # noqa: E402
from stillflow.kernels.splat_reference import symmetric_splat  # noqa: E402
from stillflow.kernels.splat_source import Window, symmetric_source  # noqa: E402

from ..scenes import textured  # noqa: E402
from .generators import Generator  # noqa: E402


def planar(height: int, width: int) -> np.ndarray:
    return np.ascontiguousarray(textured(height, width).transpose(2, 0, 1) / np.float32(127.5) - 1)


@pytest.mark.parametrize("floor", [None, -1.0])
def test_the_source_is_that_of_the_kernels(floor: float | None) -> None:
    generator = Generator()
    photo = planar(132, 100)
    painter = plain_painter(photo, generator.networks(weight_floor=floor))
    with torch.no_grad():
        features, z = generator.encoder(torch.from_numpy(photo[None]))
    expected = symmetric_source(features[0].numpy(), z[0, 0].numpy(), floor)
    assert np.array_equal(painter.thrower.source.values, expected.values)
    assert painter.thrower.source.ends == expected.ends
    tiled = plain_painter(photo, generator.networks(12_000, weight_floor=floor))
    assert np.abs(tiled.thrower.source.values - expected.values).max() <= 1e-5
    assert np.array_equal(painter.fill, photo)


def test_frames_side_by_side_have_memory_of_their_own() -> None:
    rng = np.random.default_rng(0)
    source = symmetric_source(
        rng.normal(size=(4, 20, 24)).astype(np.float32), rng.normal(size=(20, 24)).astype(np.float32)
    )
    forward, backward = (rng.normal(0, 3, (20, 24, 2)).astype(np.float32) for _ in range(2))
    thrower = Thrower(source)
    whole = Window(0, 20, 0, 24)
    with (
        thrower.thrown(forward, backward, 0.7, whole) as a,
        thrower.thrown(backward, forward, 0.2, whole) as b,
    ):
        assert a is not b
        first, second = a.land(), b.land()
    for found, throws in ((first, (forward, backward, 0.7)), (second, (backward, forward, 0.2))):
        for got, expected in zip(found, symmetric_splat(source, *throws), strict=True):
            assert np.array_equal(got, expected)
    with thrower.thrown(forward, backward, 0.7, whole) as again:
        assert again in (a, b)
    kept = weakref.ref(forward), weakref.ref(backward)
    del forward, backward, throws
    assert [array() for array in kept] == [None, None], "two displacements of 4K take 133 MB"
