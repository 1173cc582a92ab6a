# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np

from stillflow_training.generator_samples import draw_cuts
from stillflow_training.labels import read_labels


def test_cuts_hide_what_the_truth_shows(labelled: Path) -> None:
    photos = read_labels(labelled, long_side=96)
    batch = draw_cuts(np.random.default_rng(1), photos, 2, (64, 96))
    assert batch["field"].shape == (2, 9, 64, 96)
    assert batch["truth"].shape == (2, 3, 64, 96)
    assert 0 <= batch["truth"].min() <= batch["truth"].max() <= 1
    hidden, known = batch["hidden"] > 0, batch["field"][:, 3] > 0
    assert hidden.any()
    assert not (hidden & known).any()
    plate = batch["field"][:, :3]
    assert np.allclose(
        plate.transpose(0, 2, 3, 1)[known], batch["truth"].transpose(0, 2, 3, 1)[known], atol=0.003
    )


def test_something_else_stands_in_front_of_what_is_hidden(labelled: Path) -> None:
    photos = read_labels(labelled, long_side=96)
    batch = draw_cuts(np.random.default_rng(3), photos, 3, (64, 96))
    luma = np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), batch["truth"], (0, 1))
    hidden = batch["hidden"] > 0
    assert np.abs(batch["field"][:, 7] - luma)[hidden].mean() > 0.05


def test_same_seed_same_batch(labelled: Path) -> None:
    photos = read_labels(labelled, long_side=96)
    a, b = (draw_cuts(np.random.default_rng(7), photos, 1, (64, 96)) for _ in range(2))
    assert all(np.array_equal(a[name], b[name]) for name in a)
