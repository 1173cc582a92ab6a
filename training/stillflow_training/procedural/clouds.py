# SPDX-License-Identifier: Apache-2.0
"""Cloud decks: a layer above the camera in perspective, carried by a steady wind that may turn with distance."""

from __future__ import annotations

import torch

from stillflow_training.procedural.plane import uniform_velocity
from stillflow_training.procedural.rivers import inverse
from stillflow_training.procedural.surface import Carried, Shading, Stage, Surface, column
from stillflow_training.procedural.texture import Texture, grain, palette, spectral_noise, texture_size
from stillflow_training.procedural.water import with_patches

SPEED = (0.004, 0.03)
"""Widths a second at the upper border of the picture."""

SKY = [
    (0.25, 0.45, 0.75),
    (0.45, 0.6, 0.8),
    (0.6, 0.65, 0.72),
    (0.75, 0.5, 0.4),
    (0.35, 0.35, 0.5),
    (0.75, 0.72, 0.7),
]
CLOUD = [(0.95, 0.95, 0.96), (0.85, 0.84, 0.84), (0.98, 0.85, 0.7), (0.7, 0.7, 0.74), (0.9, 0.75, 0.75)]
SHADE = [(0.5, 0.53, 0.6), (0.35, 0.36, 0.4), (0.6, 0.45, 0.42), (0.2, 0.22, 0.28)]


def draw_clouds(stage: Stage, count: int) -> Surface:
    """Draw decks of clouds over any skyline."""
    dice, tall = stage.dice, stage.tall
    x, y = stage.xy
    horizon = tall * dice.uniform(0.45, 1.7, count)
    far = horizon[:, None, None] * inverse(horizon[:, None, None] - y)
    # Sideways is the rule; a wind towards the camera or away from it spreads or gathers the deck.
    heading = torch.where(dice.chance(0.5, count) > 0, 0.0, torch.pi) + 0.45 * dice.normal(count)
    speed = dice.log_uniform(*SPEED, count)
    # The wind is weaker near the ground, far away in the picture: stream lines Z = const keep their own pace.
    shear = column(dice.uniform(-0.04, 0.12, count))[0]
    pace = 1 / (1 + shear * (far - 1)).clamp_min(0.5)
    cosine, sine, rate = column(torch.cos(heading), torch.sin(heading), speed)
    side = (x - 0.5) * far
    ahead, beside = side * cosine + far * sine, far * cosine - side * sine
    repeat = column(dice.uniform(0.9, 2.5, count))[0]
    # A pace must be constant along its stream line: only what goes straight sideways may be sheared.
    straight = sine.abs() < 0.25
    pace = torch.where(straight, pace, torch.ones_like(pace))
    ahead = torch.where(straight, side * torch.sign(cosine), ahead)
    beside = torch.where(straight, far, beside)
    material = torch.stack([beside / repeat, ahead / repeat], 1)
    drift = torch.stack([torch.zeros_like(pace), rate * pace / repeat], 1)
    velocity = uniform_velocity(material, drift)

    skyline = column(tall * dice.uniform(0.3, 1.1, count))[0]
    hills = dice.smooth(count, 1, 1, stage.width, 4)[:, 0] * column(dice.uniform(0.0, 0.08, count))[0]
    cover = (y < torch.minimum(skyline, horizon[:, None, None] - 0.03) + hills).float()
    haze = ((far - 3) / 12).clamp(0, 0.7)
    light = 1 - 0.25 * dice.uniform(-1, 1, count)[:, None, None] * (y / tall - 0.5)
    shading = Shading(light.expand_as(haze), haze, palette(dice, SKY, count, 0.2))
    return Surface(
        Carried(_deck(stage, count), material, drift, cover, shading),
        velocity,
        (cover > 0.5).to(torch.uint8) * 2,
    )


def _deck(stage: Stage, count: int) -> Texture:
    """Clouds seen from below: holes of sky, lit tops, darker thick parts."""
    dice = stage.dice
    size = texture_size(stage.width)
    stretch = dice.log_uniform(0.5, 2.5, count)
    thick = spectral_noise(dice, count, 1, size, stretch, dice.uniform(1.5, 2.2, count), coarsest=2.0)
    relief = spectral_noise(dice, count, 1, size, stretch, dice.uniform(1.4, 2.0, count), coarsest=4.0)
    covered = dice.uniform(-0.3, 2.0, count, 1, 1, 1)
    share = torch.sigmoid((thick + covered) * dice.log_uniform(1.5, 6.0, count, 1, 1, 1))
    sky, lit, shade = (palette(dice, c, count, 0.15) for c in (SKY, CLOUD, SHADE))
    body = lit + (shade - lit) * torch.sigmoid(1.5 * relief + 0.8 * (thick - 1))
    tiles = (sky + (body - sky) * share + grain(dice, count, size, 0.008)).clamp(0, 1)
    return Texture(with_patches(stage, tiles, (2,), 0.35))
