# SPDX-License-Identifier: Apache-2.0
"""A Motion refuses what does not fit and draws what it holds."""

from __future__ import annotations

import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow.motion import CLASS_NAMES, FLOW_CLASSES, SWAY_CLASSES, Motion

from .scenes import falling_motion, falling_photo


def test_every_class_is_still_flowing_or_swaying():
    assert sorted({0, 9, *FLOW_CLASSES, *SWAY_CLASSES}) == list(range(len(CLASS_NAMES)))


def test_flow_and_sway_mattes_do_not_overlap():
    motion = falling_motion(64, 64)
    assert motion.flow_matte.any()
    assert not (motion.flow_matte * motion.sway_matte).any()


@pytest.mark.parametrize("name", ["velocity", "matte", "classes", "confidence", "sway"])
def test_a_wrong_shape_is_refused(name):
    good = vars(falling_motion(64, 64))
    with pytest.raises(StillflowError, match=name):
        Motion(**(good | {name: good[name][..., :3, :]}))


def test_not_a_number_is_refused():
    good = vars(falling_motion(64, 64))
    velocity = good["velocity"].copy()
    velocity[0, 0, 0] = np.nan
    with pytest.raises(StillflowError, match="NaN"):
        Motion(**(good | {"velocity": velocity}))


def test_the_picture_tints_only_what_moves():
    photo, motion = falling_photo()
    picture = motion.picture(photo.pixels)
    assert picture.shape == photo.pixels.shape
    assert np.array_equal(picture[:, :16], photo.pixels[:, :16])
    assert not np.array_equal(picture[:, 40:80], photo.pixels[:, 40:80])
