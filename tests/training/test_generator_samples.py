# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np

from stillflow_training.generator_samples import draw_blends, draw_cuts
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


def test_blends_hold_two_sources_and_the_truth_between_them(labelled: Path) -> None:
    photos = read_labels(labelled, long_side=96)
    batch = draw_blends(np.random.default_rng(1), photos, 2, (64, 96))
    assert batch["a"].shape == batch["b"].shape == batch["truth"].shape == (2, 3, 64, 96)
    assert ((batch["w0"] >= 0) & (batch["w0"] <= 1)).all()
    assert ((batch["u"] > 0) & (batch["u"] < 1)).all()
    assert all(np.isfinite(values).all() for values in batch.values())


def test_same_seed_same_batch(labelled: Path) -> None:
    photos = read_labels(labelled, long_side=96)
    a, b = (draw_blends(np.random.default_rng(7), photos, 1, (64, 96)) for _ in range(2))
    assert all(np.array_equal(a[name], b[name]) for name in a)
