# SPDX-License-Identifier: Apache-2.0
"""The verdict held against labels: what counts as agreement, and a fit that finds what separates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from stillflow.assess import WEIGHTS, Suitability
from stillflow_training.labels import read_labels
from stillflow_training.verdict_check import (
    Judged,
    agreement,
    cross_validated,
    fit,
    judge,
    matched_bias,
    motion_of_label,
    verdict_check,
)


def judged(label: int, score: int, chance: float) -> Judged:
    return Judged("a photo", "val", label, Suitability(score, (), {}, chance))


def test_agreement_is_about_sides() -> None:
    assert judged(3, 2, 0.8).agrees and judged(0, 1, 0.3).agrees
    assert not judged(2, 1, 0.4).agrees
    text = agreement([judged(3, 3, 0.9), judged(2, 2, 0.6), judged(1, 2, 0.7), judged(0, 0, 0.1)])
    assert "agrees on 75.0 % of 4 photos; always 'good' would on 50.0 %" in text
    assert "refused: 1 bad and 0 good ones" in text
    assert "75.0 % of pairs" in text


def measured(rng: np.random.Generator, count: int) -> tuple[list[dict[str, float]], np.ndarray]:
    """Photos that are good if what flows fills more than a fifth of them; the other measures say nothing."""
    found = [{name: float(rng.uniform(0, 0.5)) for name in WEIGHTS} for _ in range(count)]
    return found, np.array([one["flow_share"] > 0.2 for one in found])


def test_fit_finds_the_measure_that_separates() -> None:
    measures, suits = measured(np.random.default_rng(1), 300)
    _, weights = fit(measures, suits)
    assert max(weights, key=lambda name: abs(weights[name])) == "flow_share"
    assert weights["flow_share"] > 0
    assert cross_validated(measures, suits) > 0.93


def test_fit_of_what_cannot_be_told_apart_is_no_better_than_always_good() -> None:
    rng = np.random.default_rng(2)
    measures, _ = measured(rng, 200)
    suits = rng.random(200) < 0.8
    assert cross_validated(measures, suits) == pytest.approx(suits.mean(), abs=0.05)


def test_matched_bias_calls_that_share_good() -> None:
    found = np.random.default_rng(3).normal(1, 2, 200)
    bias = matched_bias(found.tolist(), 0.7)
    assert (found + bias > 0).sum() == pytest.approx(140, abs=1)


def test_labels_as_motion(labelled: Path) -> None:
    photos = read_labels(labelled, 320)
    fall = next(item for item in photos if item.name == "fall_train")
    motion = motion_of_label(fall)
    assert (motion.height, motion.width) == fall.classes.shape
    assert 0.4 < (motion.flow_matte > 0.5).mean() < 0.6
    assert motion.velocity[motion.flow_matte > 0.5][:, 1].min() > 0
    stone = next(one for one in judge(photos, None) if one.name == "stone_train")
    assert stone.found.verdict == "unsuitable"


def test_command_prints_both_splits_and_a_fit(labelled: Path) -> None:
    done = CliRunner().invoke(verdict_check, ["--data", str(labelled), "--labels", "--rows", "--refit"])
    assert done.exit_code == 0, done.output
    assert "train:" in done.output and "val:" in done.output
    assert done.output.count(" label 2 ") == 6
    assert "WEIGHTS = {" in done.output and "BIAS = " in done.output
