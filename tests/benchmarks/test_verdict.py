# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from stillflow.animator import Animator
from stillflow.assess import Suitability
from stillflow_bench.verdict import measure, verdict_rows
from stillflow_training.labels import LabelledPhoto
from stillflow_training.verdict_check import Judged


def judged(name: str, label: int, score: int) -> Judged:
    return Judged(name, "val", label, Suitability(score, (), {}, chance=score / 3))


def test_agreement_is_about_sides_and_stands_beside_always_good() -> None:
    some = [judged("a", 3, 2), judged("b", 2, 0), judged("c", 1, 0), judged("d", 0, 3), judged("e", 2, 3)]
    rows = {row.name: row for row in verdict_rows(some)}
    agrees = rows["verdict agrees"]
    assert agrees.samples == (1, 0, 1, 0, 1)
    assert agrees.baselines == {"always good": pytest.approx(0.6)}
    assert agrees.holds is False
    assert rows["good photos refused"].value == pytest.approx(1 / 3)
    assert rows["bad photos called good"].value == pytest.approx(1 / 2)
    assert rows["chance by the verdict"].parameters["photos"] == ["a", "b", "c", "d", "e"]
    assert rows["suitability by the label"].samples == (3, 2, 1, 0, 2)


def test_photos_of_one_side_only_have_no_figure_of_the_other() -> None:
    names = [row.name for row in verdict_rows([judged("a", 3, 3)])]
    assert "bad photos called good" not in names
    assert verdict_rows([judged("a", 3, 3)])[0].holds is True


def test_the_shipped_verdict_is_asked_about_every_photo(items: list[LabelledPhoto]) -> None:
    rows = measure(items, Animator())
    assert rows[0].parameters["photos"] == ["cloudy", "fall", "stone"]
    assert set(rows[0].samples) <= {0.0, 1.0}
