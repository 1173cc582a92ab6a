# SPDX-License-Identifier: Apache-2.0
"""Loops in torch must be the kernels' loops, and their truth what was hidden."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stillflow.generator import plate_mean
from stillflow.kernels import reference
from stillflow.kernels.arrays import SceneArrays
from stillflow_training.generator_loops import (
    Loops,
    draw_loops,
    path_change,
    play,
    repainted,
)
from stillflow_training.procedural.plane import positions

SIZE = (64, 96)


@pytest.fixture(scope="module")
def loops() -> Loops:
    return draw_loops(torch.Generator().manual_seed(3), None, 3, SIZE, 2, exact=True)


def test_loops_are_whole_and_the_same_for_the_same_seed(loops: Loops) -> None:
    again = draw_loops(torch.Generator().manual_seed(3), None, 3, SIZE, 2)
    assert torch.equal(loops.field, again.field)
    assert torch.equal(loops.moments[1].truth, again.moments[1].truth)
    assert loops.field.shape == (3, 9, *SIZE)
    assert torch.equal(loops.field[:, 3:4], loops.known)
    assert torch.allclose(loops.field[:, :3], loops.plate, atol=1e-6)
    assert (loops.judged <= loops.known[:, 0]).all() and loops.judged.any()
    for moment in loops.moments:
        assert 0 <= moment.truth.min() <= moment.truth.max() <= 1
        assert ((moment.u > 0) & (moment.u < 1)).all()


def test_only_the_hidden_is_wrong(loops: Loops) -> None:
    for moment in loops.moments:
        error = (play(loops.plate, loops.inside, moment) - moment.truth).square().mean(1)
        least, most = torch.minimum(*moment.sure), torch.maximum(*moment.sure)
        shown, gone = loops.judged * (least > 0.999), loops.judged * (most < 0.5)
        # Means and correlations are taken around a place: what is hidden near by is seen in them a little.
        assert (error * shown).sum() / shown.sum() < 2e-4
        if gone.sum() > 20:
            assert (error * gone).sum() / gone.sum() > 5 * (error * shown).sum() / shown.sum()


def test_the_truth_is_the_scenes_own_but_for_what_fields_and_gathers_lose(loops: Loops) -> None:
    for moment in loops.moments:
        sure = loops.judged * (torch.minimum(*moment.sure) > 0.999)
        assert ((moment.truth - moment.scene).square().mean(1) * sure).sum() / sure.sum() < 0.003


def test_nothing_said_is_the_closed_form(loops: Loops) -> None:
    mean = np.stack([plate_mean(p.permute(1, 2, 0).numpy().copy()) for p in loops.plate])
    plate = torch.from_numpy(mean).permute(0, 3, 1, 2)
    trust = torch.zeros(3, 2, *SIZE)
    trust[:, 0] = 1
    painted, inside = repainted(loops, plate, trust)
    assert torch.allclose(painted, loops.plate, atol=1e-5)
    assert torch.equal(inside, loops.inside)


def test_frames_are_the_kernels() -> None:
    """Against the reference kernels, on a picture four times as large that is constant in blocks."""
    h, w = SIZE
    rng = np.random.default_rng(1)
    scene = draw_loops(torch.Generator().manual_seed(5), None, 1, SIZE, 1)
    plate = np.rint(scene.plate[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    inside = rng.uniform(0.02, 1, SIZE).astype(np.float32)
    big = np.ascontiguousarray(plate.repeat(4, 0).repeat(4, 1))
    arrays = SceneArrays(
        photo=big,
        plate=big,
        matte=np.full((4 * h, 4 * w), 255, np.uint8),
        velocity=np.ascontiguousarray(scene.travel[0].permute(1, 2, 0).numpy() * w),
        flow=np.ones((h, w), np.uint8),
        cycles=np.ones((h, w), np.uint8),
        inside=inside,
        sway=np.zeros((0, h, w, 4), np.float32),
        blend=None,
        low=reference.low_pass(big),
        frames=1,
    )
    moment = scene.moments[0]
    planes = reference.fields(arrays, float(moment.u))
    frame = np.empty_like(big)
    reference.compose(arrays, planes, 0, 4 * h, frame)
    mine = play(
        torch.from_numpy(plate).permute(2, 0, 1)[None] / 255, torch.from_numpy(inside)[None, None], moment
    )
    law = frame.reshape(h, 4, w, 4, 3).mean((1, 3))
    ours = mine[0].permute(1, 2, 0).numpy() * 255
    flat = np.abs(np.diff(plate.astype(int), axis=0, prepend=plate[:1])).max(-1) < 8
    middle = np.zeros(SIZE, bool)
    middle[6:-6, 6:-6] = True
    assert np.abs(law - ours)[middle & flat].mean() < 6
    assert np.corrcoef(law[middle].ravel(), ours[middle].ravel())[0, 1] > 0.97


def test_what_moves_with_its_velocity_does_not_change_along_the_path() -> None:
    xy = positions(*SIZE, torch.device("cpu"))[None]
    travel = torch.zeros(1, 2, *SIZE)
    travel[:, 0] = 10 / 96
    now = (torch.sin(40 * xy[:, :1]) * 0.5 + 0.5).expand(-1, 3, -1, -1)
    later = (torch.sin(40 * (xy[:, :1] - 1 / 96)) * 0.5 + 0.5).expand(-1, 3, -1, -1)
    ones = torch.ones(1, *SIZE)
    assert path_change(now, later, travel, 0.1, ones) < 1e-3
    assert path_change(now, now, travel, 0.1, ones) > 0.05
