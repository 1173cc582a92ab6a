# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from stillflow.animator import Animator, Loop
from stillflow_bench.labelled_loops import figures_of, loop_rows, loops
from stillflow_bench.report import Row
from stillflow_training.labels import LabelledPhoto


def told(name: str, photo: str, method: str, value: float, limit: float | None = None) -> Row:
    return Row("quality", name, "", (value,), {"photo": photo, "method": method}, limit)


def test_a_limit_must_hold_for_the_worst_photo_and_other_methods_stand_beside() -> None:
    measured = [
        (
            "a",
            [told("detail, most", "a", "stillflow", 1.0, 1.05), told("detail, most", "a", "plain warp", 1.2)],
        ),
        (
            "b",
            [told("detail, most", "b", "stillflow", 1.1, 1.05), told("detail, most", "b", "plain warp", 0.9)],
        ),
    ]
    (row,) = loop_rows(measured)
    assert (row.value, row.holds, row.part) == (1.1, False, "loops")
    assert row.baselines == {"plain warp": 1.2}
    assert row.parameters["photos"] == ["a", "b"]


def test_a_photo_in_which_nothing_moves_has_no_detail_but_a_seam() -> None:
    measured = [
        ("a", [told("flicker", "a", "stillflow", 0.5), told("outside, worst frame", "a", "stillflow", 0, 0)]),
        ("b", [told("outside, worst frame", "b", "stillflow", 3, 0)]),
    ]
    rows = {row.name: row for row in loop_rows(measured)}
    assert rows["flicker"].parameters["photos"] == ["a"]
    assert rows["outside, worst frame"].value == 3
    assert rows["outside, worst frame"].holds is False


def test_a_real_loop_has_every_figure(items: list[LabelledPhoto], river_loop: Loop) -> None:
    rows = {row.name: row for row in loop_rows([figures_of(items[0], river_loop)])}
    assert set(rows["flicker"].baselines) == {"repeat the photo", "plain warp"}
    assert rows["detail, least"].baselines["repeat the photo"] == pytest.approx(1)
    assert rows["moving share"].value > 0.3


def test_every_photo_is_animated_at_the_size_asked_for(items: list[LabelledPhoto]) -> None:
    told: list[str] = []
    made = list(loops(items[:2], Animator(), size=64, seconds=1.0, fps=4.0, report=told.append))
    assert [item.name for item, _ in made] == ["cloudy", "fall"]
    assert all(loop.scene.width == 64 and len(loop) == 4 for _, loop in made)
    assert told == ["1/2 cloudy", "2/2 fall"]
