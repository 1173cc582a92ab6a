# SPDX-License-Identifier: Apache-2.0
"""Textures that tile: noise of a chosen spectrum and palette, or patches of real photos, with a pyramid each."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from stillflow_training.procedural.dice import Dice

LEVELS = 5
"""Levels of a texture's pyramid; what is farther away than 16 samples a pixel is about its mean."""


class Texture:
    """Textures (n, c, s, s) that repeat every unit of their coordinates, each with its pyramid."""

    def __init__(self, tiles: Tensor) -> None:
        levels = [tiles]
        while len(levels) < LEVELS and levels[-1].shape[-1] > 8:
            levels.append(functional.avg_pool2d(levels[-1], 2))
        # One row and column more, so that a lookup between the last sample and the first needs no modulo.
        self.levels = [functional.pad(level, (0, 1, 0, 1), mode="circular") for level in levels]
        self.size = tiles.shape[-1]

    def at(self, where: Tensor, level: Tensor) -> Tensor:
        """Read the textures.

        Args:
            where: (n, 2, h, w) coordinates; one unit is one repetition.
            level: (n, h, w) pyramid level, 0 the finest.

        Returns:
            (n, c, h, w).
        """
        result: Tensor | None = None
        top = len(self.levels) - 1
        level = level.clamp(0, top)
        for i, tiles in enumerate(self.levels):
            weight = (1 - (level - i).abs()).clamp_min(0)
            if not bool((weight > 0).any()):
                continue
            size = self.size >> i
            # A sample of level i is the mean of 2^i fine ones: its centre lies (2^i - 1)/2 of them further.
            at = torch.remainder(where * size - 0.5 * (1 - 0.5**i), size)
            read = functional.grid_sample(
                tiles, (at.permute(0, 2, 3, 1) * (2 / size) - 1), mode="bilinear", align_corners=True
            )
            result = read * weight[:, None] if result is None else result + read * weight[:, None]
        assert result is not None
        return result


def spectral_noise(
    dice: Dice, count: int, channels: int, size: int, stretch: Tensor, slope: Tensor, coarsest: float = 3.0
) -> Tensor:
    """Noise that tiles, of unit variance.

    Args:
        dice: random numbers.
        count: n.
        channels: c.
        size: samples a side, even.
        stretch: (n,), how much longer than wide its streaks are, along the second coordinate.
        slope: (n,), amplitude falls with frequency to this power: 1 is rough, 2 smooth.
        coarsest: periods a tile below which the spectrum is flat.

    Returns:
        (n, c, size, size) float32.
    """
    device = dice.device
    fy = torch.fft.fftfreq(size, device=device)[:, None] * size
    fx = torch.fft.rfftfreq(size, device=device)[None] * size
    along = fy[None] * stretch[:, None, None]
    radius = torch.sqrt(fx[None] ** 2 + along**2 + coarsest**2)
    amplitude = radius ** -slope[:, None, None]
    amplitude[:, 0, 0] = 0
    phase = dice.normal(count, channels, size, size // 2 + 1, 2)
    noise = torch.fft.irfft2(torch.view_as_complex(phase) * amplitude[:, None], s=(size, size))
    noise = noise - noise.mean((2, 3), keepdim=True)
    return noise / noise.std((2, 3), keepdim=True).clamp_min(1e-9)


def tiling(patches: Tensor) -> Tensor:
    """Make square patches (n, c, m, m) tile: the last fifth of each side fades into the beginning."""
    for axis in (2, 3):
        size = patches.shape[axis]
        lap = size // 5
        keep = size - lap
        start, rest, end = patches.split([lap, keep - lap, lap], axis)
        ramp = torch.linspace(0, 1, lap, device=patches.device)
        ramp = ramp[:, None] if axis == 2 else ramp[None]
        mean = patches.mean(axis, keepdim=True)
        # Square roots keep the contrast of two patterns that have nothing to do with each other.
        mixed = mean + (start - mean) * torch.sqrt(ramp) + (end - mean) * torch.sqrt(1 - ramp)
        patches = torch.cat([mixed, rest], axis)
    return patches


def palette(dice: Dice, colours: list[tuple[float, float, float]], count: int, spread: float) -> Tensor:
    """Each scene's own shade of one of some colours, (n, 3, 1, 1) 0..1."""
    table = torch.tensor(colours, dtype=torch.float32, device=dice.device)
    index = (dice.uniform(0, 1, count) * len(colours)).long().clamp_max(len(colours) - 1)
    brightness = torch.exp(spread * dice.normal(count, 1))
    tint = 1 + 0.4 * spread * dice.normal(count, 3)
    return (table[index] * brightness * tint).clamp(0.01, 1)[:, :, None, None]


def coloured(height: Tensor, dark: Tensor, middle: Tensor, light: Tensor, sharpness: Tensor) -> Tensor:
    """Paint noise (n, 1, s, s) of unit variance from dark over middle to light, (n, 3, s, s).

    Args:
        height: the noise.
        dark: (n, 3, 1, 1), colour of what lies two deviations below.
        middle: colour at the mean.
        light: colour of crests.
        sharpness: (n, 1, 1, 1), 1 is a soft passage to the crests' colour, 4 a hard one.
    """
    down = torch.sigmoid(-height * 1.6)
    up = torch.sigmoid((height - 0.9) * 1.6 * sharpness)
    low = middle + (dark - middle) * (2 * down - 1).clamp_min(0)
    return low + (light - low) * up


def grain(dice: Dice, count: int, size: int, strength: float) -> Tensor:
    """Fine noise that tiles, (n, 1, size, size)."""
    noise = dice.normal(count, 1, size, size)
    noise = functional.conv2d(
        functional.pad(noise, (1, 1, 1, 1), mode="circular"),
        torch.full((1, 1, 3, 3), 1 / 9, device=noise.device),
    )
    return noise * (3 * strength)


def texture_size(width: int) -> int:
    """Samples a side of a tile for pictures of a width: the next power of two, at least 128."""
    return int(2 ** max(7, math.ceil(math.log2(width))))
