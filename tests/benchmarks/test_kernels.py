# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from stillflow_bench.kernels import measure, moving
from stillflow_bench.photos import scenery


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_scene_moves_about_the_share_that_was_asked_for(share: float) -> None:
    matte = moving(scenery(320, 180), share).matte
    assert (matte > 0).mean() == pytest.approx(share, abs=0.05)


def test_rows_hold_what_they_say() -> None:
    rows = {row.name: row for row in measure(repeats=3, sizes=("360p",))}
    names = [
        f"{part}, 360p, 30% moving"
        for part in ("frame / copy", "frame / hot copy", "copy", "hot copy", "fields", "compose")
    ]
    assert list(rows) == names
    ratio, _, copy, _, fields, compose = (rows[name] for name in names)
    assert all(len(row.samples) == 3 and min(row.samples) > 0 for row in rows.values())
    for i in range(3):
        assert ratio.samples[i] == pytest.approx((fields.samples[i] + compose.samples[i]) / copy.samples[i])
    assert ratio.limit is None
    assert ratio.parameters["moving_share"] == pytest.approx(0.3, abs=0.05)
