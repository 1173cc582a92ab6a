# SPDX-License-Identifier: Apache-2.0
"""Textures of water: drawn ones, dark to foam, and patches of real water."""

from __future__ import annotations

import torch
from torch import Tensor

from stillflow_training.procedural.surface import Stage
from stillflow_training.procedural.texture import (
    Texture,
    coloured,
    grain,
    palette,
    spectral_noise,
    texture_size,
)

DARK = [(0.05, 0.11, 0.13), (0.10, 0.12, 0.08), (0.03, 0.06, 0.10), (0.16, 0.14, 0.11), (0.09, 0.09, 0.10)]
MIDDLE = [(0.25, 0.38, 0.42), (0.32, 0.35, 0.25), (0.18, 0.27, 0.36), (0.42, 0.37, 0.30), (0.40, 0.42, 0.44)]
FOAM = [(0.86, 0.90, 0.92), (0.80, 0.82, 0.80), (0.93, 0.93, 0.90)]


def water_texture(
    stage: Stage, count: int, stretch: tuple[float, float], foam: tuple[float, float], real: float = 0.4
) -> Texture:
    """Textures whose streaks run along the second coordinate.

    Args:
        stage: where it is drawn.
        count: n.
        stretch: least and most length of a streak over its width.
        foam: least and most lift of the noise towards foam, in deviations.
        real: share of patches of real water, where there are photos with water.
    """
    dice = stage.dice
    size = texture_size(stage.width)
    height = spectral_noise(
        dice, count, 1, size, dice.log_uniform(*stretch, count), dice.uniform(0.9, 1.6, count)
    )
    # Long-exposure silk at one end, hard crests at the other.
    sharpness = dice.log_uniform(0.7, 4.0, count, 1, 1, 1)
    tiles = coloured(
        height + dice.uniform(*foam, count, 1, 1, 1),
        palette(dice, DARK, count, 0.35),
        palette(dice, MIDDLE, count, 0.3),
        palette(dice, FOAM, count, 0.1),
        sharpness,
    )
    tiles = (tiles + grain(dice, count, size, 0.02)).clamp(0, 1)
    return Texture(with_patches(stage, tiles, (1,), real))


def with_patches(stage: Stage, tiles: Tensor, classes: tuple[int, ...], share: float) -> Tensor:
    """Replace a share of drawn tiles by patches of real photos, where there are any of these classes."""
    if stage.pictures is None:
        return tiles
    chosen = torch.nonzero(stage.dice.chance(share, len(tiles)))[:, 0]
    patches = (
        stage.pictures.patches(stage.dice, classes, len(chosen), tiles.shape[-1]) if len(chosen) else None
    )
    if patches is not None:
        tiles = tiles.clone()
        tiles[chosen, :3] = patches
    return tiles
