# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stillflow.guidance import Guidance
from stillflow.motion import Motion
from stillflow_bench import direction
from stillflow_bench.report import Row
from stillflow_bench.truth import Answers
from stillflow_training.labels import LabelledPhoto


def turned(degrees: float, faster: float = 1.0) -> Any:
    a = math.radians(degrees)
    turn = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]], np.float32) * faster

    def change(motion: Motion, _: Any) -> Motion:
        return replace(motion, velocity=np.ascontiguousarray(motion.velocity @ turn.T, np.float32))

    return change


def measured(items: list[LabelledPhoto], predict: Any) -> dict[str, Row]:
    return {row.name: row for row in direction.measure(items, Answers(predict))}


@pytest.mark.parametrize("degrees", [0, 25, 70, 180])
def test_a_turned_answer_misses_by_the_turn(
    items: list[LabelledPhoto], truthful: Any, degrees: float
) -> None:
    rows = measured(items, truthful(turned(degrees)))
    assert rows["angular error"].samples == pytest.approx([degrees] * 3, abs=0.1)
    assert rows["angular error"].holds is (degrees <= 30)
    assert rows["share under 60 degrees"].value == float(degrees < 60)
    assert rows["angular error, one arrow given"].samples == pytest.approx([degrees], abs=0.1)
    assert rows["speed off by a factor"].value == pytest.approx(1, abs=0.01)


def test_to_the_right_everywhere_is_right_about_no_arrow_here(
    items: list[LabelledPhoto], truthful: Any
) -> None:
    """The falls go down and the clouds to the left."""
    rows = measured(items, truthful())
    assert rows["angular error"].baselines == {"to the right everywhere": pytest.approx(90)}
    assert rows["share under 60 degrees"].baselines == {"to the right everywhere": 0}
    assert rows["angular error, one arrow given"].baselines == {"rbf": pytest.approx(0, abs=0.1)}


def test_clouds_may_go_either_way_but_falls_may_not(items: list[LabelledPhoto], truthful: Any) -> None:
    rows = measured(items, truthful(turned(180)))
    alike = rows["angular error, either side alike for what drifts sideways"]
    assert sorted(alike.samples) == pytest.approx([0, 180, 180], abs=0.1)
    assert dict(
        zip(
            rows["angular error by photo"].parameters["photos"],
            rows["angular error by photo"].samples,
            strict=True,
        )
    ) == {"cloudy": pytest.approx(180), "fall": pytest.approx(180)}


def test_speed_is_off_by_its_factor_either_way(items: list[LabelledPhoto], truthful: Any) -> None:
    for faster in (3.0, 1 / 3):
        rows = measured(items, truthful(turned(0, faster)))
        assert rows["speed off by a factor"].value == pytest.approx(3, rel=0.02)


def test_only_the_guided_answer_is_asked_at_the_other_arrows(
    items: list[LabelledPhoto], truthful: Any
) -> None:
    def wrong_unless_told(motion: Motion, guidance: Guidance | None) -> Motion:
        return turned(0 if guidance else 90)(motion, guidance)

    rows = measured(items, truthful(wrong_unless_told))
    assert rows["angular error"].value == pytest.approx(90, abs=0.1)
    assert rows["angular error, one arrow given"].value == pytest.approx(0, abs=0.1)


def test_photos_without_arrows_say_nothing(items: list[LabelledPhoto], truthful: Any) -> None:
    assert direction.measure([items[2]], Answers(truthful())) == []
