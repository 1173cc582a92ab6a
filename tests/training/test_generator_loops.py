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
    Moment,
    blended,
    draw_loops,
    local_mean,
    path_change,
    play,
    repainted,
)
from stillflow_training.procedural.plane import positions, trace

SIZE = (64, 96)


@pytest.fixture(scope="module")
def loops() -> Loops:
    return draw_loops(torch.Generator().manual_seed(3), None, 3, SIZE, 2)


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


def test_frames_come_near_the_truth_where_both_sources_are_valid(loops: Loops) -> None:
    for moment in loops.moments:
        error = (play(loops.plate, loops.inside, moment) - moment.truth).square().mean(1)
        sure = torch.minimum(*moment.sure) > 0.99
        shown, gone = loops.judged * sure, loops.judged * (torch.maximum(*moment.sure) < 0.5)
        assert (error * shown).sum() / shown.sum() < 0.003
        if gone.sum() > 20:
            assert (error * gone).sum() / gone.sum() > (error * shown).sum() / shown.sum()


def test_nothing_said_is_the_closed_form(loops: Loops) -> None:
    mean = np.stack([plate_mean(p.permute(1, 2, 0).numpy().copy()) for p in loops.plate])
    plate = torch.from_numpy(mean).permute(0, 3, 1, 2)
    blend = torch.zeros(3, 4, *SIZE)
    blend[:, 2] = 1
    painted, inside = repainted(loops, plate, blend)
    assert torch.allclose(painted, loops.plate, atol=1e-5)
    assert torch.equal(inside, loops.inside)
    frame = play(painted, inside, loops.moments[0], blend[:, :2])
    assert torch.allclose(frame, play(loops.plate, loops.inside, loops.moments[0]), atol=1e-4)


def test_weights_and_blend_are_the_kernels(loops: Loops) -> None:
    """The kernel's fields at field size, on a scene whose picture is four times as large and constant in blocks."""
    h, w = SIZE
    rng = np.random.default_rng(1)
    plate = rng.integers(0, 255, (h, w, 3), np.uint8)
    velocity = np.ascontiguousarray(loops.travel[0].permute(1, 2, 0).numpy() * w)
    inside = np.ascontiguousarray(loops.inside[0, 0].numpy())
    blend = rng.normal(0, 1, (h, w, 2)).astype(np.float32)
    big = np.ascontiguousarray(plate.repeat(4, 0).repeat(4, 1))
    arrays = SceneArrays(
        photo=big,
        plate=big,
        matte=np.full((4 * h, 4 * w), 255, np.uint8),
        velocity=velocity,
        flow=np.ones((h, w), np.uint8),
        cycles=np.ones((h, w), np.uint8),
        inside=inside,
        sway=np.zeros((0, h, w, 4), np.float32),
        blend=blend,
        low=reference.low_pass(big),
        frames=1,
    )
    u = 0.4
    planes = reference.fields(arrays, u)
    xy = positions(h, w, torch.device("cpu"))
    places, ramps = [], []
    for time in (-u, 1 - u):
        at = xy + trace(loops.travel[:1], torch.tensor([time]))
        beyond = torch.stack([-at[:, 0], at[:, 0] - 1, -at[:, 1], at[:, 1] - h / w]).amax(0).clamp_min(0) * w
        places.append(at)
        ramps.append((1 - beyond / reference.EDGE_RAMP).clamp_min(0))
    moment = Moment(
        (places[0], places[1]),
        (ramps[0], ramps[1]),
        (ramps[0], ramps[1]),
        torch.full((1, 1, 1), u),
        loops.plate[:1],
    )
    # Black and white plates tell the weight: without texture the blend is w.
    sources = [torch.ones(1, 3, h, w), torch.zeros(1, 3, h, w)]
    sure = []
    for at, ramp in zip(moment.places, moment.ramps, strict=True):
        from stillflow_training.procedural.plane import gather

        sure.append((gather(loops.inside[:1], at)[:, 0] * ramp).clamp_min(reference.CONFIDENCE_FLOOR))
    a, b = (1 - u) * sure[0], u * sure[1]
    weight = a / (a + b)
    shift = np.sin(np.pi * u) * blend[..., 0] + np.sin(2 * np.pi * u) * blend[..., 1]
    odds = np.exp(np.clip(shift, -8, 8))
    expected = weight[0].numpy() * odds / (weight[0].numpy() * odds + 1 - weight[0].numpy())
    middle = np.s_[4:-4, 4:-4]
    assert np.abs(expected - planes[4])[middle].mean() < 0.01
    mixed = blended(sources[0], sources[1], sources[0], sources[1], torch.from_numpy(expected)[None])
    assert np.allclose(mixed[0, 0].numpy(), expected, atol=1e-3)
    low = local_mean(torch.from_numpy(plate).permute(2, 0, 1)[None] / 255)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(low - arrays.low).max() < 0.1


def test_what_moves_with_its_velocity_does_not_change_along_the_path() -> None:
    xy = positions(*SIZE, torch.device("cpu"))[None]
    travel = torch.zeros(1, 2, *SIZE)
    travel[:, 0] = 10 / 96
    now = (torch.sin(40 * xy[:, :1]) * 0.5 + 0.5).expand(-1, 3, -1, -1)
    later = (torch.sin(40 * (xy[:, :1] - 1 / 96)) * 0.5 + 0.5).expand(-1, 3, -1, -1)
    ones = torch.ones(1, *SIZE)
    assert path_change(now, later, travel, 0.1, ones) < 1e-3
    assert path_change(now, now, travel, 0.1, ones) > 0.05
