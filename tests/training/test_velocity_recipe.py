# SPDX-License-Identifier: Apache-2.0
"""The recipe of the velocity network, a few steps long, broken off and resumed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stillflow.bend import bend_velocity
from stillflow.errors import StillflowError
from stillflow.guidance import Arrow
from stillflow_training.velocity_recipe import bend, coherence, train, velocity

from .halves import check_resumed, check_run, short_run


def test_a_run_ends_in_weights_receipt_and_curve(labelled: Path, tmp_path: Path) -> None:
    check_run("velocity", short_run("velocity", velocity, labelled, tmp_path))


def test_a_broken_run_ends_in_the_same_weights(labelled: Path, tmp_path: Path) -> None:
    check_resumed("velocity", train, labelled, tmp_path)


def test_without_data_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StillflowError, match="--data"):
        CliRunner().invoke(velocity, ["--out", str(tmp_path)], catch_exceptions=False)


@given(st.integers(0, 2**31), st.integers(1, 5))
@example(60568, 5)  # five turns that cancel to 0.0012 of their length
@settings(max_examples=25, deadline=None)
def test_fields_are_bent_as_the_runtime_bends_them(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    h, w = 18, 30
    field = (rng.normal(0, 0.1, 2) + 0.03 * rng.normal(size=(h, w, 2))).astype(np.float32)
    arrows = tuple(
        Arrow(*rng.uniform(0.05, 0.95, 4).tolist(), float(rng.uniform(0.5, 5))) for _ in range(count)
    )
    told = torch.zeros(1, 5, 4)
    for k, a in enumerate(arrows):
        told[0, k] = torch.tensor([(a.x0 + a.x1) / 2, (a.y0 + a.y1) / 2 * h / w, *a.velocity(h / w)])
    torch_form = bend(torch.from_numpy(field.transpose(2, 0, 1)[None]), told)[0].permute(1, 2, 0).numpy()
    numpy_form = bend_velocity(field, arrows, h / w)
    # OpenCV reads between samples in steps of 1/32.
    assert np.abs(torch_form - numpy_form).max() < 0.05 * np.abs(numpy_form).max() + 1e-4


def test_coherence_is_blind_to_a_turn_and_stretch_of_the_whole() -> None:
    a = torch.randn(1, 2, 6, 8, generator=torch.Generator().manual_seed(8))
    turned = torch.stack([-2 * a[:, 1], 2 * a[:, 0]], 1)
    ones = torch.ones(1, 1, 6, 8)
    assert float(coherence(a, turned, ones)) == pytest.approx(1, abs=1e-5)
    assert float(coherence(a, torch.randn(1, 2, 6, 8), ones)) < 0.5
