# SPDX-License-Identifier: Apache-2.0
"""Rivers on a plane in perspective, bounded by banks: fastest in the middle, at rest at the bank.

The ground is seen by a camera above it: a pixel at height y shows what is Z = H / (y - horizon) away and
X = (x - 0.5) Z to the side. So speed in the picture falls with the distance below the horizon, as in photos.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stillflow_training.procedural.plane import uniform_velocity
from stillflow_training.procedural.surface import Carried, Shading, Stage, Surface, column
from stillflow_training.procedural.texture import palette
from stillflow_training.procedural.water import FOAM, water_texture

SPEED = (0.02, 0.15)
"""Widths a second at the lower border of the picture."""

NEAREST = 0.02
"""Widths below the horizon where the plane is cut off; from there on it goes on straight, with no meaning."""


def ground(stage: Stage, horizon: Tensor) -> tuple[Tensor, Tensor]:
    """Where each pixel lies on the plane, X and Z, in units in which the picture's lower border is at Z = 1."""
    x, y = stage.xy
    far = (stage.tall - horizon)[:, None, None] * inverse(y - horizon[:, None, None])
    return (x - 0.5) * far, far


def inverse(depth: Tensor) -> Tensor:
    """1 / depth from ``NEAREST`` on, its tangent below: distances of a plane without a pole at the horizon."""
    cut = depth.clamp_min(NEAREST)
    return (2 - depth.minimum(cut) / cut) / cut


def draw_rivers(stage: Stage, count: int) -> Surface:
    """Draw rivers: two in three run towards the camera or away from it, the others across the picture."""
    dice, tall = stage.dice, stage.tall
    horizon = tall * dice.uniform(-0.35, 0.5, count)
    side, far = ground(stage, horizon)
    along = column(dice.chance(0.65, count))[0] > 0
    # Banks: a centre line that meanders, and a half width.
    bend = dice.uniform(0.0, 0.5, count)
    length = dice.log_uniform(1.0, 6.0, count)
    phase = dice.uniform(0, 6.28, count)
    half = dice.log_uniform(0.2, 0.8, count)
    middle = dice.uniform(-0.35, 0.35, count)
    b, l, p, w, m = column(bend, length, phase, half, middle)
    centre = m + b * w * torch.sin(far * (6.28 / l) + p) * (far / 3).clamp_max(1)
    lengthwise = (side - centre) / w
    near, deep = column(dice.uniform(0.9, 1.3, count), dice.log_uniform(0.4, 6.0, count))
    crosswise = ((far - near - 0.1 * b * deep * torch.sin(side * (6.28 / l) + p)) / deep) * 2 - 1
    across = torch.where(along, lengthwise, crosswise)
    path = torch.where(along, far, side)
    width = torch.where(along, w, deep / 2)
    # A turbulent profile: nearly flat in the middle, zero at the bank.
    pace = (1 - across.square().clamp(0, 1)) ** 0.35
    ahead = torch.where(column(dice.chance(0.5, count))[0] > 0, 1.0, -1.0)
    speed = column(dice.log_uniform(*SPEED, count))[0]
    # At the lower border Z = 1 a step along Z is (tall - horizon) on screen, a step along X is one width.
    speed = speed * ahead / torch.where(along, (tall - horizon)[:, None, None].clamp_min(0.3), 1.0)
    repeat = column(dice.uniform(0.6, 1.4, count))[0]
    material = torch.stack([across * width / repeat, path / repeat], 1)
    drift = torch.stack([torch.zeros_like(pace), pace * speed / repeat], 1)
    velocity = uniform_velocity(material, drift)
    edge = 1 + 0.10 * dice.smooth(count, 1, stage.height, stage.width, 12)[:, 0]
    y = stage.xy[1]
    seen = y > (horizon + NEAREST + 0.12 * dice.uniform(0.1, 1, count))[:, None, None]
    cover = ((across.abs() < edge) & seen).float()
    # Rapids: patches of foam that stay where they are, as over rocks.
    rapids = dice.smooth(count, 1, stage.height, stage.width, 6)[:, 0]
    white = ((rapids - column(dice.uniform(0.6, 3, count))[0]) * 0.3).clamp(0, 0.45)
    light = (1 + 0.12 * dice.smooth(count, 1, stage.height, stage.width, 2)[:, 0]).clamp(0.6, 1.4)
    shading = Shading(light, white, palette(dice, FOAM, count, 0.08))
    texture = water_texture(stage, count, (1.2, 6.0), (-0.8, 0.6))
    return Surface(Carried(texture, material, drift, cover, shading), velocity, (cover > 0.5).to(torch.uint8))
