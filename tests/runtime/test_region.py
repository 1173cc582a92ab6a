# SPDX-License-Identifier: Apache-2.0
"""Regions follow the photo's own colours where the map is too coarse to."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow import region
from stillflow.kernels.arrays import field_shape
from stillflow.motion import Motion

from .scenes import textured


def coarse_motion(classes: np.ndarray, factor: int = 8) -> Motion:
    """The motion a network sees that has one sample for factor x factor pixels of a class map."""
    height, width = classes.shape
    h, w = field_shape(height, width)

    def blurred(mask: np.ndarray) -> np.ndarray:
        small = (width // factor, height // factor)
        shrunk = cv2.resize(mask.astype(np.float32), small, interpolation=cv2.INTER_AREA)
        return cv2.resize(cv2.GaussianBlur(shrunk, (0, 0), 0.7), (w, h))

    shares = np.stack([blurred(classes == k) for k in range(10)])
    return Motion(
        velocity=np.zeros((h, w, 2), np.float32),
        matte=1 - shares[0] - shares[9],
        classes=shares.argmax(0).astype(np.uint8),
        confidence=np.ones((h, w), np.float32),
        sway=np.zeros((0, h, w, 4), np.float32),
        height=height,
        width=width,
    )


def sky_with_a_mast() -> tuple[np.ndarray, np.ndarray]:
    """Clouds (2) over ground (0), a dark mast of 6 pixels before them; photo and classes."""
    classes = np.full((240, 320), 2, np.uint8)
    classes[180:] = 0
    classes[40:180, 150:156] = 0
    photo = np.where((classes == 2)[..., None], 190, 60) + (textured(240, 320).astype(int) - 128) // 6
    return np.clip(photo, 0, 255).astype(np.uint8), classes


def test_a_mast_before_clouds_is_cut_out_though_the_map_is_too_coarse():
    photo, classes = sky_with_a_mast()
    motion = coarse_motion(classes)
    # Half way up, the map itself says cloud.
    assert motion.flow_matte[25, 38] > 0.5
    flows, sways = region.flow_region(motion, photo)
    assert (flows[60:170, 151:155] == 0).mean() > 0.95
    assert (flows[10:170, 20:140] > 0).mean() > 0.99
    assert not sways.any()


def test_small_holes_stay_only_where_they_are_sure():
    lead = np.full((200, 250), 3, np.float32)
    lead[150:] = -3
    lead[20:26, 20] = -2  # a railing before clouds
    lead[60:63, 60:62] = -0.2  # a shade in them
    lead[180:183, 100:102] = 2  # a glint below
    cut = region._without_specks(lead, 0.7) > 0
    assert not cut[20:26, 20].any()
    assert cut[60:63, 60:62].all()
    assert not cut[150:].any()
    assert cut[:150].sum() == 150 * 250 - 6
    assert (region._without_specks(lead, np.inf) > 0)[:150].all()


def test_the_cut_is_nearer_to_the_truth_than_the_map():
    photo, classes = sky_with_a_mast()
    motion = coarse_motion(classes)
    plain = cv2.resize(motion.flow_matte, (320, 240)) > 0.5
    flows, _ = region.flow_region(motion, photo)
    wrong = ((flows > 0) != (classes == 2)).mean()
    assert wrong < 0.5 * (plain != (classes == 2)).mean()


def test_flow_and_sway_meet_where_their_colours_do():
    classes = np.full((240, 320), 1, np.uint8)
    classes[:117] = 5
    photo = textured(240, 320) // 4
    photo[:117, :, 1] += 120
    flows, sways = region.flow_region(coarse_motion(classes, factor=16), photo)
    assert (sways[:112] > 0).all()
    assert (flows[122:] > 0).all()
    assert not (flows.astype(bool) & sways.astype(bool)).any()


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), height=st.integers(4, 70), width=st.integers(4, 70))
def test_any_map_gives_two_masks_that_do_not_overlap(seed, height, width):
    rng = np.random.default_rng(seed)
    h, w = field_shape(height, width)
    motion = Motion(
        velocity=np.zeros((h, w, 2), np.float32),
        matte=rng.random((h, w)).astype(np.float32),
        classes=rng.integers(0, 10, (h, w), np.uint8),
        confidence=np.ones((h, w), np.float32),
        sway=np.zeros((0, h, w, 4), np.float32),
        height=height,
        width=width,
    )
    flows, sways = region.flow_region(motion, textured(height, width, seed))
    for mask in (flows, sways):
        assert mask.shape == (height, width)
        assert set(np.unique(mask)) <= {0, 255}
    assert not (flows & sways).any()


def test_nothing_and_everything():
    photo = textured(64, 64)
    for kind, expected in ((0, (0, 0)), (1, (255, 0)), (5, (0, 255))):
        flows, sways = region.flow_region(coarse_motion(np.full((64, 64), kind, np.uint8)), photo)
        assert (flows == expected[0]).all()
        assert (sways == expected[1]).all()


def test_the_matte_lies_inside_its_region_and_has_no_ramp_at_the_border():
    mask = np.zeros((60, 80), np.uint8)
    mask[20:, 10:70] = 255
    matte = region.inner_ramp(mask, 6)
    assert not matte[mask == 0].any()
    assert (matte[30:, 20:60] == 255).all(), "the lower border is no edge"
    assert matte[20, 40] < 40


def test_flow_classes_part_where_the_photo_does():
    # A dark sea under a pale cloud; the map is six pixels off.
    rng = np.random.default_rng(3)
    photo = np.full((128, 192, 3), (215, 220, 225), np.float32)
    photo[64:] = (30, 70, 120)
    photo = np.clip(photo + rng.normal(0, 4, photo.shape), 0, 255).astype(np.uint8)
    classes = np.full((128, 192), 2, np.uint8)
    classes[58:] = 1
    kinds = region.flow_kinds(coarse_motion(classes), photo)
    assert (kinds[:15] == 2).all()
    assert (kinds[17:] == 1).all()


def test_flow_classes_of_a_still_photo_are_none():
    photo = textured(64, 96, 1)
    assert not region.flow_kinds(coarse_motion(np.zeros((64, 96), np.uint8)), photo).any()
