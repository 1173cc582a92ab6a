# SPDX-License-Identifier: Apache-2.0
"""Scenes whose truth is known: it must be the truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from stillflow_training.procedural import (
    FLOW_KINDS,
    KIND_CLASS,
    KINDS,
    SWAY_KINDS,
    Pictures,
    draw_scenes,
    make_scene,
    smooth_noise,
)
from stillflow_training.procedural.dice import Dice
from stillflow_training.procedural.plane import gather, positions, slopes, trace, uniform_velocity
from stillflow_training.procedural.smoke import solve_plumes
from stillflow_training.procedural.surface import Bent, Carried, Followed
from stillflow_training.procedural.texture import Texture, spectral_noise, tiling

SIZE = (96, 128)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures() -> Pictures:
    """Three photos: sea below and a person before it, leaves, bare wall."""
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 255, (3, 96, 128, 3)).astype(np.uint8)
    classes = np.zeros((3, 96, 128), np.uint8)
    classes[0, 24:], classes[0, :40, 50:70], classes[1] = 1, 6, 5
    return Pictures.of_arrays(pixels, classes)


@pytest.mark.parametrize("kind", KINDS)
def test_scenes_are_whole_and_the_same_for_the_same_seed(kind: str) -> None:
    a, b = (draw_scenes(seeded(9), 3, *SIZE, pictures(), kinds=[kind]) for _ in range(2))
    assert torch.equal(a.frame(0.3), b.frame(0.3))
    assert a.photo.shape == (3, 3, *SIZE)
    assert torch.equal(a.photo, a.frame(0.0))
    for values in (a.photo, a.velocity, a.matte, a.sway, a.frame(torch.tensor([0.1, 1.0, -2.0]))):
        assert torch.isfinite(values).all()
    for values in (a.photo, a.matte, a.frame(1.7)):
        assert 0 <= values.min() <= values.max() <= 1
    seen = a.matte > 0.95
    assert set(a.classes[seen].unique().tolist()) <= {KIND_CLASS[kind]}
    assert a.velocity.any() == (kind in FLOW_KINDS)
    assert a.sway.any() == (kind in SWAY_KINDS)


@pytest.mark.parametrize("kind", [k for k in FLOW_KINDS if k != "waves"])
def test_what_is_seen_moves_with_the_velocity(kind: str) -> None:
    """The layer a moment later is the layer now, read where each pixel came from (waves disperse)."""
    batch = draw_scenes(seeded(5), 4, *SIZE, kinds=[kind])
    speed = batch.velocity.square().sum(1).sqrt()
    # A move of about one pixel where it is fast.
    step = 1.0 / 128 / torch.quantile(speed.flatten(1), 0.9, 1)
    now, _ = batch.layer(0.0)
    later, _ = batch.layer(step)
    moved = gather(now, positions(*SIZE, now.device) + trace(batch.velocity, -step), mode="bicubic")
    trusted = ((speed * step[:, None, None] * 128 < 1.5) & (batch.layer(0.0)[1] > 0.5)).float()
    trusted[:, :3], trusted[:, -3:], trusted[:, :, :3], trusted[:, :, -3:] = 0, 0, 0, 0

    def error(guess: Tensor) -> float:
        return float(((guess - later).square().mean(1) * trusted).sum())

    # Light and foam stay where they are; without them three quarters of the change are the motion.
    assert error(moved) < 0.35 * error(now)


def test_carried_textures_move_exactly() -> None:
    dice = Dice(seeded(2))
    texture = Texture(torch.sigmoid(spectral_noise(dice, 1, 3, 128, torch.ones(1), torch.full((1,), 2.0))))
    xy = positions(64, 128, torch.device("cpu"))[None]
    drift = torch.zeros(1, 2, 64, 128)
    drift[:, 0] = 4 / 128
    painter = Carried(texture, xy, drift, torch.ones(1, 64, 128))
    before, after = (painter.paint(torch.tensor([t]))[0] for t in (0.0, 1.0))
    assert torch.allclose(after[..., 4:], before[..., :-4], atol=1e-4)
    still = Followed(texture, torch.eye(2)[None], torch.zeros(1, 2, 64, 128), torch.ones(1, 64, 128))
    assert torch.allclose(still.paint(torch.tensor([3.0]))[0], before, atol=1e-5)


def test_velocity_of_a_plane_is_its_drift_turned_back() -> None:
    xy = positions(48, 64, torch.device("cpu"))[None]
    material = torch.stack([2 * xy[:, 0] + xy[:, 1], -xy[:, 0] + 3 * xy[:, 1]], 1)
    velocity = uniform_velocity(material, torch.tensor([0.3, -0.2])[None, :, None, None])
    matrix = torch.tensor([[2.0, 1.0], [-1.0, 3.0]])
    assert torch.allclose(
        velocity[0, :, 20, 30], torch.linalg.solve(matrix, torch.tensor([0.3, -0.2])), atol=1e-4
    )


def test_traces_agree_with_the_kernels_law() -> None:
    from stillflow.kernels.reference import trace as law

    velocity = draw_scenes(seeded(8), 1, 48, 64, kinds=["stream"]).velocity
    mine = trace(velocity, torch.tensor([-0.7]))[0].permute(1, 2, 0).numpy() * 64
    field = np.ascontiguousarray(velocity[0].permute(1, 2, 0).numpy() * 64)
    assert np.abs(mine - law(field, -0.7)).max() < 0.02


def test_swaying_things_return_and_start_at_rest() -> None:
    batch = draw_scenes(seeded(4), 3, *SIZE, kinds=SWAY_KINDS)
    assert torch.allclose(batch.frame(batch.period), batch.photo, atol=2e-3)
    assert (batch.frame(batch.period * 0.37) - batch.photo).abs().amax() > 0.05
    painter = batch.surfaces[0][1]
    assert isinstance(painter, Bent)
    assert not painter.displacement(torch.zeros(1)).any()


def test_streams_neither_gather_nor_scatter_and_go_round_rocks() -> None:
    velocity = draw_scenes(seeded(6), 4, *SIZE, kinds=["stream"]).velocity
    divergence = slopes(velocity[:, 0])[0] + slopes(velocity[:, 1])[1]
    shear = slopes(velocity[:, 0])[1].abs() + slopes(velocity[:, 1])[0].abs()
    assert divergence[:, 2:-2, 2:-2].abs().mean() < 0.02 * shear.mean()


def test_falls_gather_speed_and_spread_in_the_pool() -> None:
    velocity = draw_scenes(seeded(7), 24, *SIZE, kinds=["fall"]).velocity
    assert (velocity[:, 1].median() > 0).all()
    divergence = slopes(velocity[:, 0])[0]
    assert divergence[:, -12:].mean() > 0


def test_plumes_rise_from_their_source() -> None:
    wind, dense = solve_plumes(Dice(seeded(1)), 3)
    assert (wind[:, 1] * dense[:, 0]).mean((1, 2)).max() < 0  # Up is negative.
    assert (dense[:, 0, -8:].amax((1, 2)) > 0.5).all()


def test_tiles_meet_at_their_borders() -> None:
    noise = spectral_noise(Dice(seeded(3)), 2, 1, 64, torch.tensor([1.0, 4.0]), torch.tensor([1.5, 1.5]))
    assert torch.allclose(noise.std((2, 3)), torch.ones(2, 1), atol=1e-4)
    ramp = torch.linspace(0, 1, 80).expand(1, 1, 80, 80)
    tile = tiling(ramp)
    assert tile.shape == (1, 1, 64, 64)
    jump = (tile[..., 0] - tile[..., -1]).abs().max()
    assert jump < 0.1 < (ramp[..., 0] - ramp[..., -1]).abs().max()
    texture = Texture(noise[:1])
    at = torch.rand(1, 2, 8, 8, generator=seeded(1)) + 0.0
    level = torch.zeros(1, 8, 8)
    assert torch.allclose(texture.at(at, level), texture.at(at + 3, level), atol=1e-3)


def test_far_textures_are_their_mean() -> None:
    tiles = spectral_noise(Dice(seeded(3)), 1, 1, 64, torch.ones(1), torch.full((1,), 1.0))
    far = Texture(tiles).at(torch.rand(1, 2, 16, 16, generator=seeded(2)), torch.full((1, 16, 16), 9.0))
    assert far.std() < 0.35 * tiles.std()


def test_another_surface_stands_behind_and_in_front() -> None:
    batch = draw_scenes(seeded(11), 8, *SIZE, pictures(), kinds=["fall", "river"])
    layer, _ = batch.layer(0.0)
    outside = (batch.matte < 0.01)[:, None].expand_as(layer)
    assert (batch.photo - layer)[outside].abs().mean() > 0.1
    assert batch.hides.amax((1, 2)).max() > 0.9


def test_pictures_give_backgrounds_cuts_and_patches() -> None:
    photos = pictures()
    dice = Dice(seeded(2))
    crops, classes = photos.crops(dice, 4, 64, 96)
    assert crops.shape == (4, 3, 64, 96)
    assert set(classes.unique().tolist()) <= {0, 1, 5, 6}
    patches = photos.patches(dice, (5,), 2, 64)
    assert patches is not None
    assert patches.shape == (2, 3, 64, 64)
    assert photos.patches(dice, (2,), 1, 64) is None
    region = photos.region(dice, (1,), 64, 96)
    assert region is not None
    assert 0 < region[1].mean() < 1
    unlabelled = Pictures.of_tensor(functional.interpolate(crops, size=(80, 120)))
    assert draw_scenes(seeded(1), 2, 64, 96, unlabelled.pixels / 255).photo.shape == (2, 3, 64, 96)


def test_noise_has_the_size_and_scale_that_was_asked_for() -> None:
    noise = smooth_noise(np.random.default_rng(1), 60, 200, 8)
    assert noise.shape == (60, 200)
    assert 0.2 < noise.std() < 2


def test_one_scene_as_arrays() -> None:
    photo = np.full((120, 160, 3), (10, 200, 30), np.uint8)
    scene = make_scene(np.random.default_rng(2), 64, 96, [photo, photo[:60]], "cloud")
    assert scene.render(0.0).shape == (64, 96, 3)
    assert scene.velocity.shape == (64, 96, 2)
    assert scene.matte.shape == scene.classes.shape == (64, 96)
    assert set(np.unique(scene.classes)) <= {0, KIND_CLASS["cloud"]}
    uncovered = scene.layer(0.0)
    assert np.abs(uncovered - scene.render(0.0))[scene.matte > 0.999].max() < 1
    assert make_scene(np.random.default_rng(5), 64, 96).kind in FLOW_KINDS
