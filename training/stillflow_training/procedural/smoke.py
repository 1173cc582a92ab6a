# SPDX-License-Identifier: Apache-2.0
"""Smoke and mist: plumes whose wind comes from a small fluid solver, and banks of fog that drift and fold.

The solver (Stam 1999, Stable Fluids, with buoyancy and vorticity confinement, pressure by FFT) runs until the
plume stands; its mean over the last steps is the steady velocity that carries the smoke's texture.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from stillflow_training.procedural.dice import Dice
from stillflow_training.procedural.plane import blur, gather, positions, slopes
from stillflow_training.procedural.surface import Followed, Stage, Surface, column
from stillflow_training.procedural.texture import Texture, palette, spectral_noise, texture_size
from stillflow_training.procedural.water import with_patches

SPEED = (0.01, 0.08)
"""Widths a second in the plume's core."""

DRIFT = (0.004, 0.04)
"""Widths a second of a bank of mist."""

CELLS = 48
"""Of the solver's square domain, a side."""

STEPS = 44
"""Of the solver; the plume has reached the top after about 30."""

AVERAGED = 12
"""Last steps that the steady wind is the mean of: single states hold puffs that travel."""

COLOURS = [(0.85, 0.85, 0.86), (0.6, 0.6, 0.62), (0.95, 0.93, 0.9), (0.35, 0.34, 0.34), (0.8, 0.72, 0.6)]


def draw_smoke(stage: Stage, count: int) -> Surface:
    """Draw plumes that rise from a source, straight or bent by a wind."""
    dice = stage.dice
    wind, dense = solve_plumes(dice, count)
    x, y = stage.xy
    # The domain's source is at the middle of its lower border; it is laid so that it meets the picture's source.
    size = dice.uniform(0.8, 2.2, count)
    foot_x, foot_y = dice.uniform(0.15, 0.85, count), stage.tall * dice.uniform(0.55, 1.1, count)
    s, fx, fy = column(size, foot_x, foot_y)
    inner = torch.stack([(x - fx) / s + 0.5, (y - fy) / s + 0.94], 1)
    velocity = gather(wind, inner)
    cover = gather(dense, inner)[:, 0] * (inner[:, 1] < 0.97)
    core = torch.quantile(velocity.square().sum(1).sqrt().flatten(1), 0.95, 1)
    velocity = velocity * (dice.log_uniform(*SPEED, count) / core.clamp_min(1e-4))[:, None, None, None]
    # Beyond the plume the wind fades: there is no smoke to tell it, but traces that leave must not stop dead.
    texture = _smoke_texture(stage, count, column(dice.uniform(0.8, 3.5, count))[0])
    turn = torch.eye(2, device=dice.device) / dice.uniform(0.5, 1.0, count)[:, None, None]
    cover = cover.clamp(0, 1) * column(dice.uniform(0.6, 1.0, count))[0]
    return Surface(Followed(texture, turn, velocity, cover), velocity, (cover > 0.3).to(torch.uint8) * 3)


def draw_mist(stage: Stage, count: int) -> Surface:
    """Draw banks of mist that drift sideways and fold."""
    dice, tall = stage.dice, stage.tall
    _, y = stage.xy
    heading = torch.where(dice.chance(0.5, count) > 0, 0.0, torch.pi) + 0.35 * dice.normal(count)
    cosine, sine = column(torch.cos(heading), torch.sin(heading))
    cells = float(dice.uniform(1.5, 3.5))
    folds = dice.smooth(count, 1, stage.height, stage.width, cells)[:, 0]
    stream = cosine * y - sine * stage.xy[0] + folds * column(dice.uniform(0.02, 0.15, count))[0] / cells
    across, along = slopes(stream)
    velocity = torch.stack([along, -across], 1) * dice.log_uniform(*DRIFT, count)[:, None, None, None]
    base = column(tall * dice.uniform(0.2, 0.8, count))[0]
    thick = column(tall * dice.uniform(0.1, 0.35, count))[0]
    ragged = dice.smooth(count, 1, stage.height, stage.width, 4)[:, 0] * 0.3
    # A bank that lies in a valley, or one that fills everything below a line.
    lying = torch.exp(-((((y - base) / thick) + ragged).square()))
    filling = torch.sigmoid(((y - base) / thick + ragged) * 5)
    cover = torch.where(column(dice.chance(0.5, count))[0] > 0, lying, filling)
    cover = ((cover - 0.15) / 0.7).clamp(0, 1) * column(dice.uniform(0.6, 1.0, count))[0]
    texture = _smoke_texture(stage, count, column(dice.uniform(0.5, 3.0, count))[0])
    turn = torch.eye(2, device=dice.device) / dice.uniform(0.7, 1.5, count)[:, None, None]
    return Surface(Followed(texture, turn, velocity, cover), velocity, (cover > 0.3).to(torch.uint8) * 3)


def _smoke_texture(stage: Stage, count: int, filled: Tensor) -> Texture:
    """Colours and opacity of smoke: thick where lit folds overlap."""
    dice = stage.dice
    size = texture_size(stage.width)
    one = torch.ones(count, device=dice.device)
    folds = spectral_noise(dice, count, 2, size, one, dice.uniform(1.4, 2.0, count), coarsest=3.0)
    tone = palette(dice, COLOURS, count, 0.15)
    depth = dice.uniform(0.08, 0.3, count, 1, 1, 1)
    colours = (tone * (1 + depth * folds[:, :1])).clamp(0, 1)
    opacity = torch.sigmoid(1.8 * folds[:, 1:] + filled[:, None])
    tiles = torch.cat([colours, opacity], 1)
    return Texture(with_patches(stage, tiles, (3,), 0.25))


def solve_plumes(dice: Dice, count: int) -> tuple[Tensor, Tensor]:
    """Let plumes rise in a square box.

    Returns:
        steady wind (n, 2, CELLS, CELLS), boxes a unit of time, and mean density (n, 1, CELLS, CELLS), 0..1.
    """
    device = dice.device
    xy = positions(CELLS, CELLS, device)
    x, y = xy
    breadth = column(dice.uniform(0.03, 0.13, count))[0]
    source = torch.exp(-((x - 0.5) / breadth).square() - ((y - 0.93) / 0.035).square())[:, None]
    lift, blow = dice.uniform(0.6, 1.6, count)[:, None, None], dice.uniform(-0.25, 0.25, count)
    cross = blow[:, None, None] * (1 - y).clamp_min(0) * 1.2
    curl = dice.uniform(0.05, 0.35, count)[:, None, None]
    velocity = torch.zeros(count, 2, CELLS, CELLS, device=device)
    density = torch.zeros(count, 1, CELLS, CELLS, device=device)
    wind, dense = torch.zeros_like(velocity), torch.zeros_like(density)
    dt = 0.1
    gusts = dice.normal(STEPS, count, 1, 1)
    for step in range(STEPS):
        push = torch.stack([0.6 * (cross - velocity[:, 0]), -lift * density[:, 0]], 1)
        push[:, 0] += 0.25 * gusts[step] * source[:, 0]
        velocity = velocity + dt * (push + curl[:, None] * _confinement(velocity))
        velocity = _without_divergence(velocity)
        carried = gather(torch.cat([velocity, density], 1), xy - velocity * dt)
        velocity, density = carried[:, :2] * 0.995, (carried[:, 2:] * 0.99 + 0.4 * source).clamp(0, 1)
        if step >= STEPS - AVERAGED:
            wind, dense = wind + velocity / AVERAGED, dense + density / AVERAGED
    wind, dense = blur(wind, 0.8), blur(dense, 1.0)
    return wind, (dense / dense.amax((2, 3), keepdim=True).clamp_min(1e-3) * 3.5).clamp(0, 1)


def _confinement(velocity: Tensor) -> Tensor:
    """Force that keeps small vortices alive, towards the ridges of vorticity."""
    _, uy = slopes(velocity[:, 0])
    vx, _ = slopes(velocity[:, 1])
    spin = (vx - uy) / CELLS
    gx, gy = slopes(spin.abs())
    norm = torch.sqrt(gx * gx + gy * gy).clamp_min(1e-4)
    return torch.stack([gy / norm * spin, -gx / norm * spin], 1)


def _without_divergence(velocity: Tensor) -> Tensor:
    """Remove the part of a velocity that is a gradient, by FFT; the box is mirrored so that walls are closed."""
    padded = functional.pad(velocity, (0, 16, 0, 16))
    height, width = padded.shape[2:]
    ky = torch.fft.fftfreq(height, device=velocity.device)[:, None]
    kx = torch.fft.rfftfreq(width, device=velocity.device)[None]
    square = (kx * kx + ky * ky).clamp_min(1e-8)
    spectrum = torch.fft.rfft2(padded)
    along = (spectrum[:, 0] * kx + spectrum[:, 1] * ky) / square
    free = torch.stack([spectrum[:, 0] - along * kx, spectrum[:, 1] - along * ky], 1)
    return torch.fft.irfft2(free, s=(height, width))[:, :, :CELLS, :CELLS]
