# SPDX-License-Identifier: Apache-2.0
"""The generator's field is laid out as documented, comes back at the scene's size, and is followed as far as told."""

from __future__ import annotations

import numpy as np
import pytest

from stillflow import generator


def field(h=50, w=70, travel=8.0, photo=None):
    known = np.zeros((h, w), np.float32)
    known[:, 20:50] = 1
    velocity = np.zeros((h, w, 2), np.float32)
    velocity[..., 0] = travel
    fill = np.full((h, w, 3), 51, np.float32)
    ones = np.ones((h, w), np.uint8)
    return generator.generator_field(fill, known, velocity, ones, np.maximum(known, 0.02), 4, photo)


def test_planes_mean_what_they_say():
    photo = np.zeros((50, 70, 3), np.float32)
    photo[..., 0] = 255
    planes = field(photo=photo)
    assert planes.shape == (9, 50, 70)
    assert np.allclose(planes[:3], 0.2)
    assert np.allclose(planes[5], 8.0 * 4 / generator.DISPLACEMENT_UNIT)
    assert not planes[6].any()
    assert np.allclose(planes[7], 0.299)
    assert np.allclose(planes[8], 1)
    assert np.allclose(field()[7], 0.2)


def test_any_size_is_brought_to_the_network_and_back():
    seen = []

    def run(inputs):
        seen.append(inputs["field"].shape)
        h, w = inputs["field"].shape[2:]
        return {"plate": np.full((1, 3, h, w), 1.5, np.float32), "trust": np.ones((1, 2, h, w), np.float32)}

    plate, trust = generator.generator_from(run)(field(500, 333))
    assert seen == [(1, 9, 320, 224)]
    assert plate.shape == (3, 500, 333)
    assert plate.max() == 1
    assert trust.shape == (2, 500, 333)


def layer(seed=1, height=61, width=82):
    rng = np.random.default_rng(seed)
    photo = rng.integers(0, 255, (height, width, 3), np.uint8)
    plate = photo.copy()
    plate[:, width // 2 :] = rng.integers(0, 255, plate[:, width // 2 :].shape, np.uint8)
    matte = np.zeros((height, width), np.uint8)
    matte[:, : width // 2] = 255
    h, w = -(-height // 4), -(-width // 4)
    known = np.zeros((h, w), np.float32)
    known[:, : w // 2] = 1
    return generator.Layer(
        photo,
        plate,
        matte,
        known,
        np.ones((h, w, 2), np.float32),
        np.ones((h, w), np.uint8),
        np.maximum(known, 0.02),
        8,
    )


def says(colour, texture, trust):
    """A generator that says the same everywhere."""

    def generate(planes):
        _, h, w = planes.shape
        said = np.stack([np.full((h, w), v, np.float32) for v in (texture, trust)])
        return np.full((3, h, w), colour, np.float32), said

    return generate


def test_nothing_is_followed_that_the_outputs_leave_to_closed_forms():
    made = layer()
    plate, inside = generator.consult(says(0.4, 0, 0.5), {}, made)
    assert np.array_equal(plate, made.plate)
    assert np.array_equal(inside, made.inside)


def test_what_is_beyond_the_edge_is_repainted_and_trusted_and_nothing_else():
    made = layer()
    plate, inside = generator.consult(says(0.4, 0, 0.5), {"plate": "network", "blend": "network"}, made)
    beyond = made.matte == 0
    assert np.array_equal(plate[~beyond], made.photo[~beyond])
    assert np.abs(plate[beyond].astype(int) - 102).max() <= 1
    assert np.allclose(inside, np.clip(made.inside + 0.5, 0.02, 1))
    textured, still = generator.consult(says(0.4, 0, 0.5), {"plate": "network"}, made)
    assert textured[beyond].std() > 20 > plate[beyond].std()
    assert np.array_equal(still, made.inside)


def test_no_trust_is_added_where_the_photo_was_left_beyond_the_edge():
    made = layer()
    made.plate[20:44, 60:76] = made.photo[20:44, 60:76]
    plate, inside = generator.consult(says(0.4, 0, 0.5), {"plate": "network", "blend": "network"}, made)
    assert np.array_equal(plate[20:44, 60:76], made.photo[20:44, 60:76])
    assert np.array_equal(inside[4:12, 14:20], made.inside[4:12, 14:20])
    assert inside[1, 18] == made.inside[1, 18] + np.float32(0.5)


def test_no_trust_is_added_to_what_sways_beyond_the_edge():
    made = layer()
    # A tree: it has a matte of its own, and its plate is the photo.
    made.plate[20:44, 60:76] = made.photo[20:44, 60:76]
    made.matte[20:44, 60:76] = 255
    _, inside = generator.consult(says(0.4, 0, 0.5), {"plate": "network", "blend": "network"}, made)
    assert np.array_equal(inside[6:10, 16:18], made.inside[6:10, 16:18])


def test_a_gray_photo_stays_gray():
    made = layer()
    one = {name: getattr(made, name)[..., :1].repeat(3, -1) for name in ("photo", "plate")}
    gray = generator.Layer(**{**vars(made), **one})

    def tinted(planes):
        colours, trust = says(0.4, 0.3, 0)(planes)
        colours[0] += 0.3
        return colours, trust

    curve = np.arange(256, dtype=np.float32)[:, None].repeat(3, -1)
    plate, _ = generator.consult(tinted, {"plate": "network", "blend": "network"}, gray, curve)
    assert (plate[..., 0] == plate[..., 1]).all() and (plate[..., 1] == plate[..., 2]).all()
    assert not np.array_equal(plate, gray.plate)


def test_graphs_of_older_bundles_leave_the_closed_form():
    made = layer()

    def run(inputs):
        h, w = inputs["field"].shape[2:]
        return {"plate": np.zeros((1, 3, h, w), np.float32), "blend": np.ones((1, 2, h, w), np.float32)}

    old = generator.generator_from(run)
    plate, inside = generator.consult(old, {"plate": "network", "blend": "network"}, made)
    assert np.array_equal(plate, made.plate)
    assert np.array_equal(inside, made.inside)


@pytest.mark.parametrize("size", [(64, 96), (131, 57)])
def test_the_plates_own_mean_with_all_its_texture_is_the_plate(size):
    rng = np.random.default_rng(3)
    plate = rng.integers(20, 230, (*size, 3), np.uint8)
    small = rng.uniform(60, 200, (-(-size[0] // 4), -(-size[1] // 4), 3)).astype(np.float32)
    mean = generator.plate_mean(small)
    assert np.array_equal(generator.repaint(plate, np.ones(size, np.uint8), mean, mean, None), plate)
    lifted = generator.repaint(plate, np.ones(size, np.uint8), mean, mean + 10, None)
    assert np.array_equal(lifted, plate + 10)
