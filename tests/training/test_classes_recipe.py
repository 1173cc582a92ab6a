# SPDX-License-Identifier: Apache-2.0
"""The recipe of the classes network, a few steps long, broken off and resumed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from stillflow.errors import StillflowError
from stillflow_training.classes_recipe import classes, draw_scene_photos, phase_at, rate_at, train
from stillflow_training.labels import read_labels
from stillflow_training.recipe import drawn_ahead

from .halves import PHASES, check_resumed, check_run, short_run


def test_a_run_ends_in_weights_receipt_and_curve(labelled: Path, tmp_path: Path) -> None:
    check_run("classes", short_run("classes", classes, labelled, tmp_path))


def test_a_broken_run_ends_in_the_same_weights(labelled: Path, tmp_path: Path) -> None:
    check_resumed("classes", train, labelled, tmp_path)


def test_without_data_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StillflowError, match="--data"):
        CliRunner().invoke(classes, ["--out", str(tmp_path)], catch_exceptions=False)


def test_phases_and_rates_follow_the_steps() -> None:
    config = {"phases": PHASES, "steps": 1000, "rate": 1.0}
    assert [phase_at(config, step)["height"] for step in (0, 1, 8, 999)] == [32, 64, 64, 64]
    rates = [rate_at(config, step) for step in range(1000)]
    assert rates[0] < 0.01
    assert rates.index(max(rates)) == 199
    assert rates[-1] < 0.02


def test_scenes_become_labelled_photos(labelled: Path) -> None:
    scenes = draw_scene_photos([p for p in read_labels(labelled, 96) if p.split == "train"], 20, 3)
    assert len(scenes) == 20
    for scene in scenes:
        assert scene.photo.shape == (*scene.classes.shape, 3)
        assert scene.suitability == -1  # nobody judged it
        assert ((scene.moves > 0) == ~np.isin(scene.classes, (0, 9))).all()
    assert any(scene.moves.any() for scene in scenes)


def test_batches_come_in_order_and_a_failure_to_draw_one_is_not_swallowed() -> None:
    assert list(drawn_ahead(lambda step: step * 10, 3, 12)) == [step * 10 for step in range(3, 12)]
    assert list(drawn_ahead(lambda step: step, 5, 5)) == []

    def draw(step: int) -> int:
        if step == 6:
            raise RuntimeError("no such batch")
        return step

    seen = []
    with pytest.raises(RuntimeError, match="no such batch"):
        seen.extend(drawn_ahead(draw, 4, 9))
    batches = drawn_ahead(draw, 4, 9)
    assert [next(batches), next(batches)] == [4, 5]
    batches.close()
