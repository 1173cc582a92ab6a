# SPDX-License-Identifier: Apache-2.0
"""What the velocity network learns from: hints that tell the truth, doubtful classes, directions that are settled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stillflow_training.labels import read_labels
from stillflow_training.photo_bank import PhotoBank, Views
from stillflow_training.procedural import Pictures
from stillflow_training.velocity_samples import Samples, ScenePool, doubtful_classes, draw_samples, settled


@pytest.fixture(scope="module")
def samples(labelled: Path) -> Samples:
    photos = read_labels(labelled, 96)
    pool = ScenePool(Pictures.of_labels(photos, 64, 96), 24, 64, 96, 5)
    return draw_samples(PhotoBank(photos), torch.arange(6), pool, (64, 96), (4, 12), 6)


def test_shapes_and_ranges(samples: Samples) -> None:
    assert samples.photo.shape == (16, 3, 64, 96)
    assert samples.hints.shape == (16, 6, 64, 96)
    assert samples.velocity.shape == (16, 2, 16, 24)
    assert torch.allclose(samples.classes.sum(1), torch.ones(16, 16, 24), atol=1e-5)
    assert bool(torch.isfinite(samples.velocity).all())


def test_arrows_tell_the_truth(samples: Samples) -> None:
    told = samples.told
    assert torch.equal(told, samples.hints[:, 2].amax((1, 2)) > 0)
    on_stroke = torch.nn.functional.avg_pool2d(samples.hints[:, 2:3], 4) > 0.8
    given = torch.nn.functional.avg_pool2d(samples.hints[:, 3:5], 4)
    for i in torch.nonzero(told)[:, 0].tolist():
        where = (on_stroke[i, 0]) & (samples.weight[i, 0] > 0.5)
        if where.any():
            truth, said = samples.velocity[i][:, where].mean(1), given[i][:, where].mean(1)
            assert float((truth - said).norm()) < 0.5 * float(truth.norm()) + 0.02


def test_left_and_right_are_settled_to_the_right() -> None:
    velocity = torch.zeros(2, 2, 8, 8)
    velocity[:, 0] = -0.3
    velocity[:, 1] = 0.1
    ones = torch.ones(2, 8, 8)
    either = torch.stack([ones[0], torch.zeros(8, 8)])
    views = Views(torch.zeros(2, 3, 8, 8), ones.long() * 2, ones, velocity, ones, either, torch.ones(2))
    out = settled(views)
    assert float(out[0, 0].min()) == pytest.approx(0.3)
    assert float(out[1, 0].max()) == pytest.approx(-0.3)
    assert torch.equal(out[:, 1], velocity[:, 1])
    assert float(velocity[0, 0].max()) == pytest.approx(-0.3)  # the truth itself stays


def test_doubtful_classes_mostly_name_the_truth() -> None:
    classes = torch.zeros(64, 32, 32, dtype=torch.long)
    classes[:, 16:] = 5
    found = doubtful_classes(classes, torch.Generator().manual_seed(7)).argmax(1)
    right = (found[:, :3] == 0).float().mean() + (found[:, 5:] == 5).float().mean()
    assert 1.4 < float(right) < 2.0
