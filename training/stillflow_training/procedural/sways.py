# SPDX-License-Identifier: Apache-2.0
"""What sways: trees and grass as bent hierarchies, cloth that hangs or flies from where it is fixed.

Truth is the displacement that a frame is read with, d(p, t) = sum over k of a_k (cos k w t - 1) + b_k sin k w t:
stems are fixed at the foot and bend with the square of the height, branches swing about their own root at
their own phase, leaves tremble. The same sum carries travelling waves in grass and cloth.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stillflow_training.procedural.plane import blur, smoothstep
from stillflow_training.procedural.surface import Bent, Stage, Surface, column
from stillflow_training.procedural.texture import Texture, coloured, palette, spectral_noise, texture_size
from stillflow_training.procedural.water import with_patches

HARMONICS = 3
"""K, as in ``stillflow.sway``."""

PERIOD = (3.0, 6.0)
"""Seconds of the first harmonic."""

AMPLITUDE = (0.002, 0.012)
"""Picture widths at the tip of a tree or blade; a photo's foliage of that size moves so in a light wind."""

BRANCHES = 9
"""Of one tree."""

LEAF_DARK = [(0.04, 0.08, 0.03), (0.08, 0.09, 0.04), (0.10, 0.06, 0.03)]
LEAF = [(0.20, 0.35, 0.10), (0.32, 0.40, 0.15), (0.15, 0.28, 0.14), (0.55, 0.35, 0.10), (0.45, 0.42, 0.2)]
LEAF_LIGHT = [(0.55, 0.65, 0.30), (0.75, 0.75, 0.45), (0.85, 0.65, 0.3), (0.6, 0.7, 0.5)]
STRAW = [(0.35, 0.5, 0.15), (0.6, 0.52, 0.25), (0.3, 0.42, 0.2), (0.7, 0.6, 0.35)]
DYE = [
    (0.7, 0.1, 0.1),
    (0.1, 0.2, 0.6),
    (0.85, 0.85, 0.8),
    (0.8, 0.6, 0.1),
    (0.15, 0.4, 0.25),
    (0.4, 0.2, 0.4),
]


def wave(amplitude: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients (cosine, sine) of amplitude * sin(k w t + phase), which starts where it stands in the photo."""
    return amplitude * torch.sin(phase), amplitude * torch.cos(phase)


def draw_trees(stage: Stage, count: int) -> Surface:
    """Draw trees and bushes: a stem, branches about their roots, leaves."""
    dice, tall = stage.dice, stage.tall
    x, y = stage.xy
    foot_x, foot_y = dice.uniform(0.15, 0.85, count), tall * dice.uniform(0.7, 1.2, count)
    height = tall * dice.uniform(0.5, 1.1, count)
    fx, fy, h = column(foot_x, foot_y, height)
    up = ((fy - y) / h).clamp(0, 1.3)
    stem = torch.stack([up.square(), -0.15 * up.square()], 1)
    reach = column(dice.uniform(0.15, 0.35, count))[0] * h / tall
    lean = dice.uniform(-0.1, 0.1, count)[:, None, None]
    # Branches: tips in the crown, roots on the stem; a pixel swings with those whose tip is near.
    weight, swing = [], []
    crown = torch.zeros_like(up)
    for _ in range(BRANCHES):
        level = column(dice.uniform(0.35, 1.0, count))[0]
        out = column(dice.uniform(-1, 1, count))[0] * reach * torch.sqrt((1.25 - level).clamp_min(0.05)) * 1.3
        tip_x, tip_y = fx + lean * level + out, fy - h * level
        root_y = tip_y + 0.12 * h
        size = reach * column(dice.uniform(0.35, 0.7, count))[0]
        near = torch.exp(-((x - tip_x).square() + (y - tip_y).square()) / size.square())
        away = torch.sqrt((x - fx).square() + (y - root_y).square()) / (reach + 1e-3)
        crown = torch.maximum(crown, near)
        weight.append(near + 1e-4)
        swing.append(away.clamp(0, 1.5) ** 1.5)
    share = torch.stack(weight, 1)
    share = share / share.sum(1, keepdim=True)
    branch = torch.stack(swing, 1) * share
    full = column(dice.log_uniform(*AMPLITUDE, count))[0]
    sway = torch.zeros(count, HARMONICS, 4, *up.shape[1:], device=up.device)
    # The stem has the slowest harmonic and a little of the next, branches the next ones, leaves the last.
    lag = dice.uniform(0, 6.28, count)[:, None, None]
    for k, part in ((0, 0.7), (1, 0.2)):
        _add(sway, k, stem * (full * part)[:, None], lag + 1.3 * k)
    phases = lag[:, None] + 1.5 * dice.normal(count, BRANCHES, 1, 1)
    for k, part in ((0, 0.25), (1, 0.45), (2, 0.12)):
        a, b = wave(branch * (full * part)[:, None], phases * (1 + 0.4 * k))
        tilt = dice.uniform(-0.6, 0.6, count, BRANCHES, 1, 1)
        sway[:, k, 0], sway[:, k, 2] = sway[:, k, 0] + a.sum(1), sway[:, k, 2] + b.sum(1)
        sway[:, k, 1], sway[:, k, 3] = sway[:, k, 1] + (a * tilt).sum(1), sway[:, k, 3] + (b * tilt).sum(1)
    tremble = dice.smooth(count, 2, stage.height, stage.width, 22)
    leaf = up.clamp(0, 1)[:, None] * full[:, None] * 0.10 * tremble
    _add(sway, 2, leaf, 3.0 * dice.smooth(count, 1, stage.height, stage.width, 10)[:, 0])

    ragged = dice.smooth(count, 1, stage.height, stage.width, 40)[:, 0]
    rough = dice.smooth(count, 1, stage.height, stage.width, 9)[:, 0]
    trunk = ((x - fx - lean * up).abs() < 0.012 + 0.03 * (1 - up) * reach) & (up > 0) & (up < 0.8)
    middle = torch.exp(-(((x - fx - lean * up) / (reach * 1.1)).square() + ((up - 0.72) / 0.3).square()))
    leaves = torch.maximum(crown, middle) + 0.10 * rough + 0.10 * ragged > 0.5
    cover = blur((leaves | trunk).float()[:, None], 0.6)[:, 0]
    colours = _leaves(stage, count)
    bark = palette(dice, [(0.25, 0.2, 0.15), (0.15, 0.13, 0.12), (0.4, 0.38, 0.34)], count, 0.2)
    light = (1 + 0.5 * (tall - y) / tall - 0.3 + 0.1 * rough).clamp(0.4, 1.5)
    colours = torch.where((trunk & ~leaves)[:, None], bark * (0.8 + 0.2 * rough[:, None]), colours)
    colours = (colours * light[:, None]).clamp(0, 1)
    if stage.pictures is not None:
        for i in torch.nonzero(dice.chance(0.5, count))[:, 0].tolist():
            real = stage.pictures.region(dice, (5,), stage.height, stage.width)
            if real is not None:
                colours[i], cover[i] = real
    return _bent(stage, colours, cover, sway, 5)


def draw_grass(stage: Stage, count: int) -> Surface:
    """Draw grass, reeds or corn: blades fixed below, over which gusts travel."""
    dice, tall = stage.dice, stage.tall
    x, y = stage.xy
    foot, high = tall * dice.uniform(0.85, 1.25, count), tall * dice.uniform(0.25, 0.7, count)
    foot, high = column(foot, high)
    uneven = (
        0.13 * dice.smooth(count, 1, 1, stage.width, 64)[:, 0]
        + 0.15 * dice.smooth(count, 1, 1, stage.width, 5)[:, 0]
    )
    up = ((foot - y) / (high * (1 + uneven)).clamp_min(0.02)).clamp(0, 1.1)
    full = column(dice.log_uniform(*AMPLITUDE, count))[0] * 1.3
    sway = torch.zeros(count, HARMONICS, 4, *up.shape[1:], device=up.device)
    gust = column(dice.uniform(4, 14, count) * torch.where(dice.chance(0.5, count) > 0, 1.0, -1.0))[0]
    local = 0.8 * dice.smooth(count, 1, stage.height, stage.width, 8)[:, 0]
    bend = torch.stack([up**1.7, -0.2 * up**1.7], 1)
    for k, part in ((0, 0.6), (1, 0.45), (2, 0.2)):
        _add(sway, k, bend * (full * part)[:, None], -gust * x * (1 + 0.6 * k) + local * (1 + k))
    cover = ((up > 0) & (up < 1)).float()
    size = texture_size(stage.width)
    blades = spectral_noise(
        dice, count, 1, size, dice.log_uniform(6, 20, count), dice.uniform(0.7, 1.2, count), coarsest=8
    )
    tiles = coloured(
        blades,
        palette(dice, LEAF_DARK, count, 0.3),
        palette(dice, STRAW, count, 0.2),
        palette(dice, LEAF_LIGHT, count, 0.15),
        dice.log_uniform(1, 3, count, 1, 1, 1),
    )
    texture = Texture(with_patches(stage, tiles, (5,), 0.25))
    # Blades fan out a little from below.
    fan = column(dice.uniform(-0.3, 0.3, count))[0]
    where = torch.stack([(x - 0.5) * (1 + fan * up), y.expand_as(up)], 1) / 0.8
    colours = texture.at(where, torch.zeros_like(up))
    light = (0.45 + 0.75 * smoothstep(up)).clamp(0, 1.3)
    return _bent(stage, (colours * light[:, None]).clamp(0, 1), cover, sway, 5)


def draw_cloth(stage: Stage, count: int) -> Surface:
    """Draw flags, curtains and washing: fixed along one side, waves run to the free one."""
    dice, tall = stage.dice, stage.tall
    x, y = stage.xy
    turn = (dice.uniform(0, 1, count) * 3).floor() - 1  # -1 fixed on the right, 0 above, 1 on the left
    left, top = dice.uniform(0.05, 0.45, count), tall * dice.uniform(0.05, 0.4, count)
    wide, high = dice.uniform(0.3, 0.6, count), tall * dice.uniform(0.35, 0.6, count)
    t, l, o, w, h = column(turn, left, top, wide, high)
    across, down = (x - l) / w, (y - o) / h
    free = torch.where(t == 0, down, torch.where(t > 0, across, 1 - across)).clamp(0, 1)
    beside = torch.where(t == 0, across, down)
    number = column(dice.uniform(4, 11, count))[0]
    skew = column(dice.uniform(-2, 2, count))[0]
    folds = number * free + skew * beside + 0.5 * dice.smooth(count, 1, stage.height, stage.width, 3)[:, 0]
    full = column(dice.log_uniform(*AMPLITUDE, count))[0] * 1.2
    sway = torch.zeros(count, HARMONICS, 4, *across.shape[1:], device=x.device)
    # A flag moves up and down, a curtain sideways; both shorten a little where they fold.
    push = torch.where((t == 0)[:, None], torch.tensor([1.0, 0.25])[:, None, None].to(x.device),
                       torch.tensor([0.3, 1.0])[:, None, None].to(x.device))  # fmt: skip
    for k, part in ((0, 0.5), (1, 0.5), (2, 0.2)):
        _add(sway, k, push * (free**1.2 * full * part)[:, None], -folds * (1 + 0.5 * k) + 0.7 * k)
    flutter = 0.03 * torch.sin(folds) * free
    edge_a, edge_b = across + flutter * (t == 0), down + flutter * (t != 0)
    cover = ((edge_a > 0) & (edge_a < 1) & (edge_b > 0) & (edge_b < 1)).float()
    shade = (1 + 0.3 * torch.cos(folds) * (0.25 + free)).clamp(0.3, 1.5)
    first, second = palette(dice, DYE, count, 0.2), palette(dice, DYE, count, 0.2)
    stripes = (
        torch.sin(beside * column(dice.uniform(3, 25, count))[0]) > column(dice.uniform(-1, 2, count))[0]
    )
    size = texture_size(stage.width)
    weave = spectral_noise(
        dice, count, 1, size, torch.ones(count, device=x.device), dice.uniform(0.6, 1.3, count), coarsest=6
    )
    tiles = Texture(with_patches(stage, (0.8 + 0.06 * weave).expand(-1, 3, -1, -1).clamp(0, 1), (8,), 0.2))
    colours = tiles.at(torch.stack([across, down], 1), torch.zeros_like(across))
    colours = colours * torch.where(stripes[:, None], first, second) * 1.2
    return _bent(stage, (colours * shade[:, None]).clamp(0, 1), blur(cover[:, None], 0.5)[:, 0], sway, 8)


def _leaves(stage: Stage, count: int) -> Tensor:
    """Foliage (n, 3, h, w): clumps of leaves, lit above and dark between, or real ones."""
    dice = stage.dice
    size = texture_size(stage.width)
    one = torch.ones(count, device=dice.device)
    leaf = spectral_noise(dice, count, 1, size, one, dice.uniform(0.5, 1.0, count), coarsest=14)
    clump = spectral_noise(dice, count, 1, size, one, one * 1.5, coarsest=5)
    tiles = coloured(
        0.8 * leaf + 0.6 * clump,
        palette(dice, LEAF_DARK, count, 0.3),
        palette(dice, LEAF, count, 0.2),
        palette(dice, LEAF_LIGHT, count, 0.15),
        dice.log_uniform(1, 3, count, 1, 1, 1),
    )
    texture = Texture(with_patches(stage, tiles, (5,), 0.5))
    where = stage.xy.expand(count, -1, -1, -1) / dice.uniform(0.6, 1.1, count)[:, None, None, None]
    return texture.at(where, torch.zeros_like(where[:, 0]))


def _add(sway: Tensor, k: int, amplitude: Tensor, phase: Tensor) -> None:
    """Add amplitude (n, 2, h, w) times sin((k + 1) w t + phase (n, h, w))."""
    cosine, sine = wave(amplitude, phase[:, None])
    sway[:, k, 0:2] += cosine
    sway[:, k, 2:4] += sine


def _bent(stage: Stage, colours: Tensor, cover: Tensor, sway: Tensor, label: int) -> Surface:
    period = stage.dice.uniform(*PERIOD, len(cover))
    painter = Bent(colours, cover, sway, period)
    still = torch.zeros_like(sway[:, 0, :2])
    return Surface(painter, still, (cover > 0.5).to(torch.uint8) * label, sway=sway, period=period)
