# SPDX-License-Identifier: Apache-2.0
"""Foretold artefacts: none where the content stays inside, all where it runs across a narrow band."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.artefacts import LEAST_STRENGTH, safe_strength, uncovered_share
from stillflow.motion import Motion

from .scenes import falling_motion


def band(samples: int, speed: float, height: int = 480, width: int = 640) -> Motion:
    """An upright band of water, so many field samples wide, that runs across itself."""
    motion = falling_motion(height, width, 0.0)
    matte = np.zeros_like(motion.matte)
    middle = matte.shape[1] // 2
    matte[:, middle - samples // 2 : middle + samples // 2] = 1
    velocity = np.zeros_like(motion.velocity)
    velocity[..., 0] = speed
    return replace(motion, matte=matte, classes=matte.astype(np.uint8), velocity=velocity)


def test_what_stays_inside_uncovers_nothing() -> None:
    # Along the band and across the border, where positions are mirrored.
    assert uncovered_share(falling_motion(480, 640, 0.3)) == 0
    assert safe_strength(falling_motion(480, 640, 0.3)) == 1


def test_what_runs_across_a_narrow_band_uncovers_all_of_it() -> None:
    assert uncovered_share(band(8, 0.5)) == pytest.approx(1, abs=0.05)
    assert safe_strength(band(8, 0.5)) == LEAST_STRENGTH


def test_nothing_that_flows_uncovers_nothing() -> None:
    still = replace(falling_motion(96, 128), matte=np.zeros((24, 32), np.float32))
    assert uncovered_share(still) == 0
    assert safe_strength(still) == 1


def test_a_speck_is_not_worth_slowing_down_for() -> None:
    motion = band(8, 0.5)
    matte = motion.matte.copy()
    matte[4:] = 0
    speck = replace(motion, matte=matte)
    assert uncovered_share(speck) > 0.5
    assert safe_strength(speck) == 1


@settings(deadline=None, max_examples=25)
@given(st.integers(6, 60), st.floats(0.0, 1.0))
def test_the_safe_strength_is_safe_or_the_least(samples: int, speed: float) -> None:
    motion = band(samples, speed)
    strength = safe_strength(motion, limit=0.1)
    assert LEAST_STRENGTH <= strength <= 1
    assert strength == LEAST_STRENGTH or uncovered_share(motion, strength) <= 0.1


def test_a_lower_limit_never_asks_for_more_speed() -> None:
    motion = band(24, 0.3)
    found = [safe_strength(motion, limit=limit) for limit in (0.02, 0.1, 0.3, 1.0)]
    assert found == sorted(found)
    assert found[0] < found[-1] == 1
