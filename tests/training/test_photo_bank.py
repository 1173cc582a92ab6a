# SPDX-License-Identifier: Apache-2.0
"""Augmented views: truth moves along with the picture, and the same state draws the same views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stillflow_training import photo_bank
from stillflow_training.labels import LabelledPhoto, read_labels
from stillflow_training.photo_bank import PhotoBank, colour_jitter


def ramp(height: int, width: int) -> LabelledPhoto:
    """A photo whose red tells x and whose green tells y, left half water, that moves right and down."""
    y, x = np.mgrid[0:height, 0:width]
    photo = np.stack([x * 255 // (width - 1), y * 255 // (height - 1), np.zeros_like(x)], -1).astype(np.uint8)
    water = (x < width // 2).astype(np.uint8)
    velocity = np.where(water[..., None] > 0, np.array([0.2, 0.1], np.float32), 0).astype(np.float32)
    weight = water.astype(np.float32)
    arrows = np.zeros((0, 5), np.float32)
    return LabelledPhoto(
        "ramp", "train", photo, water, water, velocity, weight, arrows, 3, np.zeros_like(water)
    )


@pytest.fixture
def unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither colours nor pasted regions, so that a view can be read."""
    monkeypatch.setattr(photo_bank, "colour_jitter", lambda photo, random: photo)
    monkeypatch.setattr(photo_bank, "PASTED", 0.0)
    monkeypatch.setattr(photo_bank, "SPLIT", 0.0)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("size", [(48, 64), (64, 48)])
def test_classes_follow_the_picture(size: tuple[int, int]) -> None:
    bank = PhotoBank([ramp(60, 90)])
    views = bank.draw(16, *size, torch.Generator().manual_seed(1), torch.tensor([0]))
    red = views.photo[:, 0]
    clear = (red - 0.5).abs() > 0.05
    assert bool(((red < 0.5) == (views.classes == 1))[clear].all())
    assert torch.equal(views.moves, (views.classes == 1).float())


@pytest.mark.usefixtures("unchanged")
def test_velocities_turn_and_stretch_with_the_picture() -> None:
    bank = PhotoBank([ramp(60, 90)])
    views = bank.draw(12, 48, 64, torch.Generator().manual_seed(2), torch.tensor([0]))
    y, x = 20, 30
    for i in range(12):
        if views.classes[i, y - 2 : y + 3, x - 2 : x + 3].min() != 1:
            continue
        # A step along the velocity changes red and green as the photo's own velocity does.
        red, green = views.photo[i, 0], views.photo[i, 1]
        gradient = torch.stack(
            [
                torch.stack([red[y, x + 2] - red[y, x - 2], red[y + 2, x] - red[y - 2, x]]) / 4,
                torch.stack([green[y, x + 2] - green[y, x - 2], green[y + 2, x] - green[y - 2, x]]) / 4,
            ]
        )
        moved = gradient @ (views.velocity[i, :, y, x] * 64)
        expected = torch.tensor([0.2 * 90 / 89, 0.1 * 90 / 59])
        assert torch.allclose(moved, expected, atol=0.03), (i, moved)


def test_the_same_state_draws_the_same_views(labelled: Path) -> None:
    bank = PhotoBank(read_labels(labelled, 96))
    first, again = (bank.draw(4, 32, 64, torch.Generator().manual_seed(3), torch.arange(6)) for _ in range(2))
    other = bank.draw(4, 32, 64, torch.Generator().manual_seed(4), torch.arange(6))
    assert torch.equal(first.photo, again.photo)
    assert not torch.equal(first.photo, other.photo)


def test_rare_and_still_photos_are_drawn_more_often(labelled: Path) -> None:
    photos = read_labels(labelled, 96)
    bank = PhotoBank(photos)
    assert [float(v) for v in bank.often] == [2.0 if not p.moves.any() else 1.0 for p in photos]


@given(st.integers(0, 2**31), st.floats(0, 1))
def test_jitter_stays_a_picture(seed: int, level: float) -> None:
    photo = torch.full((8, 3, 4, 4), level)
    out = colour_jitter(photo, torch.Generator().manual_seed(seed))
    assert out.shape == photo.shape
    assert float(out.min()) >= 0 and float(out.max()) <= 1
