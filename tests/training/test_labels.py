# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow_training.labels import licence_rows, read_labels, sideways_classes, spread_arrows


def test_labels_become_arrays(labelled: Path) -> None:
    photos = {photo.name: photo for photo in read_labels(labelled, long_side=96)}
    assert len(photos) == 6
    fall = photos["fall_train"]
    assert fall.split == "train"
    assert fall.photo.shape == (64, 96, 3)
    assert set(np.unique(fall.classes)) == {0, 1}
    assert np.array_equal(fall.moves, (fall.classes == 1).astype(np.uint8))
    assert fall.arrows.shape == (2, 5)
    assert not photos["stone_val"].moves.any()


def test_one_split_can_be_read_alone(labelled: Path) -> None:
    held_back = read_labels(labelled, long_side=96, only="val")
    assert [photo.name for photo in held_back] == ["fall_val", "sky_val", "stone_val"]


def test_velocity_follows_the_arrows_where_the_class_is(labelled: Path) -> None:
    fall = next(photo for photo in read_labels(labelled, long_side=96) if photo.name == "fall_val")
    inside = fall.classes == 1
    assert np.allclose(fall.velocity[inside], (0, 0.2), atol=1e-4)
    assert not fall.velocity[~inside].any()
    assert fall.weight[inside].min() >= 0.2
    assert fall.weight.max() <= 1


def test_arrows_of_other_speeds_share_by_distance() -> None:
    classes = np.ones((40, 80), np.uint8)
    velocity, _ = spread_arrows(classes, [(1, (0.1, 0.5, 0.2, 0.5, 0.1)), (1, (0.8, 0.5, 0.9, 0.5, 0.3))])
    assert velocity[20, 12, 0] == pytest.approx(0.1, abs=0.01)
    assert velocity[20, 68, 0] == pytest.approx(0.3, abs=0.01)


def test_drifting_clouds_may_go_either_way_but_falls_may_not(labelled: Path) -> None:
    photos = {photo.name: photo for photo in read_labels(labelled, long_side=96)}
    assert np.array_equal(photos["sky_train"].either > 0, photos["sky_train"].classes == 2)
    assert not photos["fall_train"].either.any()
    assert sideways_classes([]) == []


def test_a_folder_without_licences_or_labels_is_refused(labelled: Path, tmp_path: Path) -> None:
    with pytest.raises(StillflowError, match=r"LICENCES\.csv") as caught:
        licence_rows(tmp_path)
    assert "--data" in caught.value.fix
    (tmp_path / "LICENCES.csv").write_bytes((labelled / "LICENCES.csv").read_bytes())
    with pytest.raises(StillflowError, match="labels"):
        read_labels(tmp_path)


def test_the_real_labels_can_be_read(shared_data: Path) -> None:
    rows = licence_rows(shared_data)
    assert {row["split"] for row in rows} == {"train", "val"}
    assert all(row["licence"] and row["source"] for row in rows)
