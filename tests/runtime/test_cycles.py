# SPDX-License-Identifier: Apache-2.0
"""The plan of cross-fade cycles."""

from __future__ import annotations

import numpy as np
import pytest

from stillflow.cycles import LONGEST_TRAVEL, cycle_plan


def test_fast_regions_fade_more_often_and_never_too_far() -> None:
    region = np.ones((60, 80), np.uint8)
    slow, _ = cycle_plan(region, np.full((60, 80), 0.01, np.float32), 4.0)
    fast, factor = cycle_plan(region, np.full((60, 80), 0.5, np.float32), 4.0)
    assert slow.max() == 1
    assert fast.min() == 4, "one cycle a second is the most"
    assert factor.max() == pytest.approx(LONGEST_TRAVEL / 0.5, rel=1e-3)
