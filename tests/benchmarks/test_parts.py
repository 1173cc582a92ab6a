# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stillflow.animator import Animator
from stillflow.errors import StillflowError
from stillflow_bench import parts
from stillflow_bench.cli.quality import PART_NAMES


@pytest.fixture(scope="module")
def animator() -> Animator:
    return Animator()


def test_the_command_names_every_part() -> None:
    assert tuple(parts.PARTS) == PART_NAMES
    assert parts.named("labels, time,") == ("labels", "time")


def test_parts_about_photos_measure_the_split_that_was_asked_for(
    labelled_folder: Path, animator: Animator
) -> None:
    said: list[str] = []
    plan = parts.Plan(data=labelled_folder, only=("direction", "labels"))
    rows = parts.measure(plan, animator, said.append)
    assert {row.part for row in rows} == {"labels", "direction"}
    assert rows[0].parameters["photos"] == ["fall"]
    assert said[:2] == ["labels: 1/2 fall", "labels: 2/2 stone"]


def test_each_part_is_kept_as_soon_as_it_is_done(labelled_folder: Path, animator: Animator) -> None:
    kept: list[set[str]] = []
    plan = parts.Plan(data=labelled_folder, only=("verdict", "labels", "direction"))
    rows = parts.measure(plan, animator, keep=lambda found: kept.append({row.part for row in found}))
    assert kept == [{"labels"}, {"direction"}, {"verdict"}]
    assert {row.part for row in rows} == {"labels", "direction", "verdict"}


def test_without_photos_their_parts_say_so(tmp_path: Path, animator: Animator) -> None:
    for data, why in ((None, "--data"), (tmp_path, "LICENCES.csv")):
        rows = parts.measure(parts.Plan(data=data, only=("labels", "verdict", "loops")), animator)
        assert [row.part for row in rows] == ["labels", "verdict", "loops"]
        assert all(why in row.missing and not row.samples for row in rows)


def test_without_torch_the_procedural_parts_say_so(
    animator: Animator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torch"]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith("stillflow_training.")]:
        if name.split(".")[1] not in ("labels", "arrows"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    rows = parts.measure(parts.Plan(only=("velocity", "generator")), animator)
    assert [(row.part, row.samples) for row in rows] == [("velocity", ()), ("generator", ())]
    assert all("torch" in row.missing for row in rows)


def test_photos_without_arrows_give_no_direction_but_a_row(labelled_folder: Path, animator: Animator) -> None:
    plan = parts.Plan(data=labelled_folder, only=("direction",))
    run = parts._Run(plan, animator, lambda _: None)
    run.items = [item for item in run.items if item.name == "stone"]
    (row,) = run.part("direction")
    assert "nothing in these photos" in row.missing


def test_an_unknown_part_is_refused(animator: Animator) -> None:
    with pytest.raises(StillflowError, match="'colour'") as caught:
        parts.measure(parts.Plan(only=("labels", "colour")), animator)
    assert "direction" in caught.value.fix


def test_sheets_are_drawn_also_without_figures_of_loops(
    labelled_folder: Path, animator: Animator, tmp_path: Path
) -> None:
    plan = parts.Plan(data=labelled_folder, only=("labels",), sheets=tmp_path, size=64, seconds=1.0, fps=4.0)
    rows = parts.measure(plan, animator)
    assert {row.part for row in rows} == {"labels"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fall.jpg", "overview.png", "stone.jpg"]


def test_loops_are_measured_and_drawn_in_one_go(
    labelled_folder: Path, animator: Animator, tmp_path: Path
) -> None:
    plan = parts.Plan(
        data=labelled_folder, only=("loops",), split="train", sheets=tmp_path, size=64, seconds=1.0, fps=4.0
    )
    rows = parts.measure(plan, animator)
    assert {"moving share", "frame 0, inside"} <= {row.name for row in rows}
    assert (tmp_path / "cloudy.jpg").is_file()
