# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow.guidance import Guidance
from stillflow.motion import Motion
from stillflow.photo import load_photo
from stillflow_bench.truth import Answers, overlap, read_truth, something_moves, textures
from stillflow_training.labels import LabelledPhoto


def test_photos_are_read_as_the_runtime_reads_them(labelled_folder: Path, items: list[LabelledPhoto]) -> None:
    assert [item.name for item in items] == ["cloudy", "fall", "stone"]
    for item in items:
        assert np.array_equal(item.photo, load_photo(labelled_folder / "photos" / f"{item.name}.png").pixels)
    assert [something_moves(item) for item in items] == [True, True, False]


def test_splits_and_samples(labelled_folder: Path) -> None:
    names = [item.name for item in read_truth(labelled_folder)]
    assert names == ["fall", "stone"]
    assert [item.name for item in read_truth(labelled_folder, "train")] == ["cloudy"]
    assert [item.name for item in read_truth(labelled_folder, "all", 2)] == ["cloudy", "fall"]


def test_a_split_without_photos_and_a_folder_without_labels_are_told(
    labelled_folder: Path, tmp_path: Path
) -> None:
    rows = (labelled_folder / "LICENCES.csv").read_text().replace(",val,", ",train,")
    (tmp_path / "LICENCES.csv").write_text(rows)
    for folder in ("photos", "labels"):
        (tmp_path / folder).symlink_to(labelled_folder / folder)
    with pytest.raises(StillflowError, match="val") as caught:
        read_truth(tmp_path)
    assert "--split" in caught.value.fix
    with pytest.raises(StillflowError, match=r"LICENCES\.csv"):
        read_truth(tmp_path / "nowhere")


def test_the_labels_themselves_overlap_with_the_labels(items: list[LabelledPhoto], truthful: Any) -> None:
    answers = Answers(truthful())
    for item in items:
        answer = answers.of(item)
        assert overlap(answer.moves, item.moves > 0) == 1
        assert np.array_equal(answer.classes, item.classes)


def test_each_photo_is_asked_about_once(items: list[LabelledPhoto], truthful: Any) -> None:
    asked = []

    def count(motion: Motion, guidance: Guidance | None) -> Motion:
        asked.append(guidance)
        return motion

    answers = Answers(truthful(count))
    assert answers.of(items[1]) is answers.of(items[1])
    answers.given_first_arrow(items[1])
    assert asked[0] is None
    (arrow,) = asked[1].arrows
    assert (arrow.x0, arrow.y1) == (pytest.approx(0.5), pytest.approx(0.8))
    assert len(asked) == 2


def test_a_class_that_stands_still_does_not_move_whatever_the_matte_says(
    items: list[LabelledPhoto], truthful: Any
) -> None:
    answers = Answers(truthful(lambda motion, _: replace(motion, matte=np.ones_like(motion.matte))))
    assert overlap(answers.of(items[1]).moves, items[1].moves > 0) == 1


def test_overlap_of_halves_is_a_third() -> None:
    a, b = np.zeros((4, 9), bool), np.zeros((4, 9), bool)
    a[:, :6], b[:, 3:9] = True, True
    assert overlap(a, b) == pytest.approx(1 / 3)
    assert overlap(~a & a, ~b & b) == 1


def test_textures_are_small(items: list[LabelledPhoto]) -> None:
    large = replace(items[0], photo=np.zeros((400, 640, 3), np.uint8))
    assert [t.shape for t in textures([large])] == [(220, 352, 3)]
