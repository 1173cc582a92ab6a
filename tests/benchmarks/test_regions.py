# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stillflow.motion import Motion
from stillflow_bench import regions
from stillflow_bench.report import Row
from stillflow_bench.truth import Answers
from stillflow_training.labels import LabelledPhoto


def measured(items: list[LabelledPhoto], predict: Any) -> dict[str, Row]:
    return {row.name: row for row in regions.measure(items, Answers(predict))}


def test_the_labels_reach_every_aim(items: list[LabelledPhoto], truthful: Any) -> None:
    rows = measured(items, truthful())
    assert rows["IoU of what moves"].samples == (1, 1)
    assert rows["IoU of what moves"].parameters["photos"] == ["cloudy", "fall"]
    assert rows["IoU of what moves"].baselines == {"everything moves": 0.5, "nothing moves": 0}
    assert rows["false motion where nothing moves"].samples == (0,)
    assert rows["IoU of water, all pixels"].value == rows["IoU of cloud or smoke, all pixels"].value == 1
    assert not [row for row in rows.values() if row.holds is False]


def test_half_of_the_fall_is_half_the_iou(items: list[LabelledPhoto], truthful: Any) -> None:
    def left_half(motion: Motion, _: Any) -> Motion:
        matte = motion.matte.copy()
        matte[:, : matte.shape[1] // 2] = 0
        return replace(motion, matte=matte)

    rows = measured(items, truthful(left_half))
    assert rows["IoU of what moves"].value == pytest.approx(0.5, abs=0.02)
    assert rows["IoU of what moves"].holds is False
    assert rows["IoU of water, all pixels"].value == 1


def test_calling_everything_moving_scores_as_its_baseline(items: list[LabelledPhoto], truthful: Any) -> None:
    def all_water(motion: Motion, _: Any) -> Motion:
        return replace(
            motion, matte=np.ones_like(motion.matte), classes=np.ones_like(motion.classes, np.uint8)
        )

    rows = measured(items, truthful(all_water))
    for name in ("IoU of what moves", "false motion where nothing moves", "false motion at suitability 0"):
        assert rows[name].value == pytest.approx(rows[name].baselines["everything moves"])
    water = rows["IoU of water, all pixels"]
    assert water.value == pytest.approx(water.baselines["all of it"]) == pytest.approx(1 / 6)
    assert rows["false motion where nothing moves"].holds is False


def test_cloud_called_smoke_counts_as_both_together(items: list[LabelledPhoto], truthful: Any) -> None:
    def smoke(motion: Motion, _: Any) -> Motion:
        return replace(motion, classes=np.where(motion.classes == 2, 3, motion.classes).astype(np.uint8))

    rows = measured(items, truthful(smoke))
    assert rows["IoU of cloud, all pixels"].value == 0
    assert rows["IoU of smoke, all pixels"].value == 0
    assert rows["IoU of cloud or smoke, all pixels"].value == 1
