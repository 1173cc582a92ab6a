# SPDX-License-Identifier: Apache-2.0
"""Layered generators: what is thrown, and how both decoders share a tile (frames: test_feature_scene.py)."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip(
    "torch", reason="the generators here run in torch: pip install 'stillflow[export]'"
)

from stillflow.features.feature_scene import build_feature_scene  # noqa: E402
from stillflow.features.layered import layered_painter  # noqa: E402
from stillflow.kernels.splat_source import layered_source  # noqa: E402
from stillflow.photo import Photo  # noqa: E402

from ..scenes import textured  # noqa: E402
from .generators import Generator  # noqa: E402


def test_the_source_is_that_of_the_kernels() -> None:
    generator = Generator()
    photo = np.ascontiguousarray(textured(60, 72).transpose(2, 0, 1) / np.float32(127.5) - 1)
    painter = layered_painter(photo, generator.networks(layers=True))
    with torch.no_grad():
        features, z = generator.encoder(torch.from_numpy(photo[None]))
        ab, af = generator.alpha_encoder(torch.from_numpy(photo[None]))[0].numpy()
    expected = layered_source(features[0].numpy(), z[0, 0].numpy(), af, ab)
    assert np.array_equal(painter.thrower.source.values, expected.values)
    assert painter.thrower.source.ends == expected.ends
    assert painter.standing == pytest.approx(1 / (1 + np.exp(-ab)), abs=1e-6)


def test_tiles_show_no_difference() -> None:
    generator = Generator()
    photo = Photo.from_array(textured(208, 224))
    velocity = np.full((208, 224, 2), (0.7, -0.4), np.float32)
    whole, tiled = (
        build_feature_scene(photo, velocity, generator.networks(most, layers=True), seconds=1, fps=20)
        for most in (1 << 30, 30_000)
    )
    assert len(tiled.painter.decoders.cores(whole.windows[0], 208, 224)) > 1
    assert np.abs(whole.decoded(7) - tiled.decoded(7)).max() <= 1e-5
