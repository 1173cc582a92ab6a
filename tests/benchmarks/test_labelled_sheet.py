# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillflow.animator import Loop
from stillflow.motion import Motion
from stillflow.photo import load_photo
from stillflow_bench import labelled_sheet, sheet
from stillflow_bench.truth import Answers
from stillflow_training.labels import LabelledPhoto


def test_agreement_is_green_false_motion_red_and_what_was_missed_blue() -> None:
    photo = np.full((30, 40, 3), 100, np.uint8)
    found, truth = np.zeros((60, 80), bool), np.zeros((60, 80), bool)
    found[:, :40], truth[:30] = True, True
    drawn = labelled_sheet.agreement(photo, found, truth)
    for (y, x), colour in {
        (5, 5): labelled_sheet.HIT,
        (25, 5): labelled_sheet.FALSE,
        (5, 35): labelled_sheet.MISSED,
        (25, 35): (100, 100, 100),
    }.items():
        assert drawn[y, x] == pytest.approx([(100 + c) / 2 for c in colour], abs=1)


def test_a_sheet_holds_both_rows_and_says_the_iou(
    items: list[LabelledPhoto], truthful: Any, river_loop: Loop, tmp_path: Path
) -> None:
    item = items[1]
    answer = Answers(truthful()).of(item)
    drawn = labelled_sheet.draw(item, answer, river_loop)
    tile = round(labelled_sheet.TILE * 448 / 640)
    assert drawn.shape == (2 * (tile + sheet.LABEL), 5 * labelled_sheet.TILE, 3)
    assert labelled_sheet.verdict(item, answer) == "IoU 1.00"
    path = labelled_sheet.write(tmp_path / "new" / "fall.png", drawn)
    assert np.array_equal(load_photo(path).pixels, drawn)


def test_label_and_answer_are_drawn_as_they_differ(
    items: list[LabelledPhoto], truthful: Any, river_loop: Loop
) -> None:
    def nothing(motion: Motion, _: Any) -> Motion:
        return replace(motion, matte=np.zeros_like(motion.matte))

    right = labelled_sheet.draw(items[1], Answers(truthful()).of(items[1]), river_loop)
    wrong = labelled_sheet.draw(items[1], Answers(truthful(nothing)).of(items[1]), river_loop)
    differs = (right != wrong).any(axis=2)[: right.shape[0] // 2]
    columns = [differs[:, i * 320 : (i + 1) * 320].mean() for i in range(5)]
    assert columns[2] > 0.3
    assert columns[3] > 0.3
    assert (columns[0], columns[1], columns[4]) == (0, 0, 0)


def test_the_overview_begins_with_the_worst_photo_and_ends_with_still_ones(
    items: list[LabelledPhoto], truthful: Any
) -> None:
    def no_water(motion: Motion, _: Any) -> Motion:
        return replace(motion, matte=motion.matte * (motion.classes != 1))

    answers = Answers(truthful(no_water))
    drawn = labelled_sheet.overview(items, [answers.of(item) for item in items])
    width, height = labelled_sheet.SMALL
    assert drawn.shape == (height + sheet.LABEL, labelled_sheet.COLUMNS * width, 3)
    low = drawn[sheet.LABEL + 100, :, :].astype(int)
    tints = [low[i * width + 40 : i * width + 150].mean(axis=0) for i in range(3)]
    assert tints[0].argmax() == 2  # the fall, all missed: blue
    assert tints[1].argmax() == 1  # the clouds, all found: green
    assert np.ptp(tints[2]) < 1  # the stone: gray
    assert labelled_sheet.verdict(items[2], answers.of(items[2])) == "nothing moves; 0.0 % called so"
