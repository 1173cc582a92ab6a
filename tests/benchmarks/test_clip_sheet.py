# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stillflow.animator import Loop
from stillflow.photo import load_photo
from stillflow_bench import clip_sheet, sheet
from stillflow_bench.clip import Clip
from stillflow_bench.real_motion import RealMotion, played_velocity


@pytest.fixture(scope="module")
def clip(river_loop: Loop) -> Clip:
    """The river's frames upside down."""
    frames = np.stack([river_loop.frame(t)[::-1] for t in range(len(river_loop))])
    return Clip(frames, river_loop.fps, "river")


def test_a_sheet_shows_what_happened_over_what_was_made(river_loop: Loop, clip: Clip, tmp_path: Path) -> None:
    played = played_velocity(river_loop.arrays)
    real = RealMotion(np.asarray(river_loop.arrays.matte > 1), played, False, "measured from the clip")
    drawn = clip_sheet.draw(river_loop, clip, real)
    times = tuple(dict.fromkeys(sheet.times(12, int(river_loop.arrays.cycles.max()))))
    whole, close = sheet.LABEL + round(sheet.TILE * 96 / 160), sheet.LABEL + 96
    assert drawn.shape == (4 * whole + 3 * close, sheet.TILE * max(5, len(times)), 3)
    for row, column in ((0, 1), (1, 0), (2, len(times) - 1)):
        top, left = 4 * whole + row * close + sheet.LABEL, column * sheet.TILE
        shown = drawn[top : top + 96, left : left + 160]
        if row < 2:
            of = clip.frames[times[column]] if row == 0 else river_loop.frame(times[column])
            assert np.array_equal(shown, of)
        else:
            assert not np.array_equal(shown, river_loop.frame(times[column]))
    written = load_photo(clip_sheet.write(tmp_path / "new" / "river.jpg", river_loop, clip, real)).pixels
    assert written.shape == drawn.shape
    apart = drawn[3 * whole + sheet.LABEL : 4 * whole, : sheet.TILE]
    assert apart.max() > 100


def test_a_sheet_without_the_truth_is_as_wide(river_loop: Loop, clip: Clip) -> None:
    known = RealMotion(np.ones((96, 160), bool), None, True, "mask.png")
    assert clip_sheet.draw(river_loop, clip, None).shape == clip_sheet.draw(river_loop, clip, known).shape


def test_colours_say_which_way_and_how_fast() -> None:
    field = np.zeros((4, 4, 2), np.float32)
    field[0] = (2, 0)
    field[1] = (-1, 0)
    drawn = clip_sheet.flow_picture(field, 2.0)
    assert drawn[0, 0].tolist() == [255, 0, 0]
    assert drawn[1, 0, 0] == 0 and drawn[1, 0, 1] == drawn[1, 0, 2] == pytest.approx(127, abs=1)
    assert not drawn[2:].any()
