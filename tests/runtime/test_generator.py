# SPDX-License-Identifier: Apache-2.0
"""The generator's field is laid out as documented and comes back at the scene's size."""

from __future__ import annotations

import numpy as np

from stillflow import generator


def field(h=50, w=70, travel=8.0):
    known = np.zeros((h, w), np.float32)
    known[:, 20:50] = 1
    velocity = np.zeros((h, w, 2), np.float32)
    velocity[..., 0] = travel
    fill = np.full((h, w, 3), 51, np.float32)
    return generator.generator_field(
        fill, known, velocity, np.ones((h, w), np.uint8), np.maximum(known, 0.02), 4
    )


def test_planes_mean_what_they_say():
    planes = field()
    assert planes.shape == (9, 50, 70)
    assert np.allclose(planes[:3], 0.2)
    assert np.allclose(planes[5], 8.0 * 4 / generator.DISPLACEMENT_UNIT)
    # Half a cycle moves 16 samples to the right: the left part of the region came from outside.
    assert planes[7, 25, 22] < 0.1
    assert planes[7, 25, 45] > 0.9
    assert planes[8, 25, 45] < 0.1


def test_any_size_is_brought_to_the_network_and_back():
    seen = []

    def run(inputs):
        seen.append(inputs["field"].shape)
        h, w = inputs["field"].shape[2:]
        return {"plate": np.full((1, 3, h, w), 1.5, np.float32), "blend": np.ones((1, 2, h, w), np.float32)}

    plate, blend = generator.generator_from(run)(field(500, 333))
    assert seen == [(1, 9, 320, 224)]
    assert plate.shape == (3, 500, 333)
    assert plate.max() == 1
    assert blend.shape == (2, 500, 333)
