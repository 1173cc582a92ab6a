# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np

from stillflow.animator import Loop
from stillflow.photo import load_photo
from stillflow_bench import sheet


def test_times_are_those_to_look_at() -> None:
    assert sheet.times(120, 4) == (0, 30, 60, 90, 119, 15)


def test_sheet_shows_motion_frames_close_ups_and_the_plain_warp(river_loop: Loop, tmp_path: Path) -> None:
    drawn = load_photo(sheet.write(tmp_path / "new" / "river.png", river_loop, "river")).pixels
    whole = sheet.LABEL + round(sheet.TILE * 96 / 160)
    close = sheet.LABEL + 96
    assert drawn.shape == (whole + 2 * close, 7 * sheet.TILE, 3)
    top = whole + sheet.LABEL
    shown = drawn[top : top + 96, sheet.TILE : sheet.TILE + 160]
    assert np.array_equal(shown, river_loop.frame(0))


def test_sheet_can_do_without_close_ups(river_loop: Loop) -> None:
    drawn = sheet.draw(river_loop, "river", close_ups=False)
    assert drawn.shape == (sheet.LABEL + round(sheet.TILE * 96 / 160), 7 * sheet.TILE, 3)
