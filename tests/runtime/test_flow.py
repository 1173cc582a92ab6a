# SPDX-License-Identifier: Apache-2.0
"""Hints become planes, planes become a Motion, and the closed form follows its arrows."""

from __future__ import annotations

import numpy as np
import pytest

from stillflow import flow
from stillflow.guidance import Arrow, Hints
from stillflow.photo import Photo

from .scenes import textured


def water_below(inputs):
    """A network that calls the lower half water moving right at 0.1 widths a second."""
    _, _, height, width = inputs["photo"].shape
    h, w = height // 2, width // 2
    classes = np.zeros((1, 10, h, w), np.float32)
    classes[0, 0, : h // 2], classes[0, 1, h // 2 :] = 5, 5
    moves = np.where(np.arange(h)[:, None] >= h // 2, 6.0, -6.0) * np.ones((1, w))
    velocity = np.zeros((1, 2, h, w), np.float32)
    velocity[:, 0] = 1
    return {
        "classes": classes,
        "moves": moves[None, None].astype(np.float32),
        "velocity": velocity,
        "spread": np.full((1, 1, h, w), -2, np.float32),
    }


@pytest.fixture(scope="module")
def photo():
    return Photo.from_array(textured(120, 160))


def test_no_hints_are_zero_but_the_row():
    planes = flow.hint_planes(Hints(), 32, 64)
    assert not planes[:5].any()
    assert planes[5, 0, 0] == 0
    assert planes[5, -1, 0] == 1


def test_one_arrow_sets_the_velocity_everywhere():
    planes = flow.hint_planes(Hints(arrows=(Arrow(0.2, 0.5, 0.4, 0.5, 1.0),)), 32, 64)
    assert planes[2].max() == pytest.approx(1, abs=0.05)
    assert planes[2].min() == pytest.approx(flow.ARROW_FLOOR, abs=1e-3)
    assert np.allclose(planes[3], 2.0, atol=1e-2)
    assert np.allclose(planes[4], 0, atol=1e-3)


def test_the_networks_answer_becomes_a_motion(photo):
    motion = flow.predict_motion(photo, Hints(), water_below, {})
    assert motion.matte.shape == (30, 40)
    assert motion.flow_matte[25].min() > 0.9
    assert motion.flow_matte[3].max() < 0.1
    assert motion.velocity[25, 20] == pytest.approx((0.1, 0), abs=1e-3)


def test_strength_scales_and_still_wins(photo):
    still = np.zeros((120, 160), np.float32)
    still[:, :80] = 1
    motion = flow.predict_motion(photo, Hints(strength=2.0, still=still), water_below, {})
    assert motion.velocity[25, 30, 0] == pytest.approx(0.2, abs=1e-3)
    assert motion.matte[:, :18].max() < 0.05


def test_a_mask_says_what_moves(photo):
    mask = np.zeros((120, 160), np.float32)
    mask[:60] = 1
    motion = flow.predict_motion(photo, Hints(mask=mask), water_below, {})
    assert motion.matte[5].min() > 0.9
    assert motion.matte[25].max() < 0.1
    assert motion.sources["matte"] == "user"


def test_the_manifest_switches_the_closed_form_on(photo):
    hints = Hints(arrows=(Arrow(0.5, 0.9, 0.5, 0.7, 1.0),))
    rbf = flow.predict_motion(photo, hints, water_below, {"velocity_guided": "rbf"})
    network = flow.predict_motion(photo, hints, water_below, {"velocity_guided": "network"})
    assert rbf.velocity[25, 20, 1] < -0.1
    # Bent: the network's field, turned upwards and quickened.
    assert network.velocity[25, 20] == pytest.approx((0, -0.2 * 120 / 160), abs=2e-3)
    assert network.velocity[25, 2] == pytest.approx((0, -0.2 * 120 / 160), abs=2e-3)
    assert network.sources["velocity"] == "network"
    assert network.confidence.min() == 1, "who drew an arrow is not told to draw one"
    assert rbf.sources["velocity"] == "rbf"
