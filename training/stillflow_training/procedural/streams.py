# SPDX-License-Identifier: Apache-2.0
"""Water seen from above or near: any divergence-free flow, the curl of a stream function, round obstacles.

The stream function is constant on each obstacle's rim (after Bridson et al. 2007, Curl-noise for procedural
fluid flow), so that no water crosses it: it goes round, and speeds up beside it.
"""

from __future__ import annotations

import torch

from stillflow_training.procedural.plane import slopes, smoothstep
from stillflow_training.procedural.surface import Followed, Shading, Stage, Surface, column
from stillflow_training.procedural.texture import palette
from stillflow_training.procedural.water import FOAM, water_texture

SPEED = (0.015, 0.15)
"""Widths a second, mean."""

OBSTACLES = 3
"""At most."""


def draw_streams(stage: Stage, count: int) -> Surface:
    """Draw streams with eddies and rocks."""
    dice = stage.dice
    x, y = stage.xy
    angle = dice.uniform(0, 6.28, count)
    cosine, sine = column(torch.cos(angle), torch.sin(angle))
    stream = cosine * (y - stage.tall / 2) - sine * (x - 0.5)
    cells = float(dice.uniform(1.5, 4.5))
    eddies = dice.smooth(count, 1, stage.height, stage.width, cells)[:, 0]
    stream = stream + eddies * column(dice.uniform(0.02, 0.2, count))[0] / cells
    hard = torch.zeros_like(stream)
    for _ in range(OBSTACLES):
        cx, cy = column(dice.uniform(0, 1, count), stage.tall * dice.uniform(0, 1, count))
        radius, squash = column(dice.log_uniform(0.03, 0.14, count), dice.uniform(0.6, 1.6, count))
        there = column(dice.chance(0.6, count))[0]
        radius = radius * there
        distance = torch.sqrt(((x - cx) * squash).square() + (y - cy).square()) - radius
        inside = (distance < 0).float() * there
        rim = (stream * (inside + 1e-6)).sum((1, 2), keepdim=True) / (inside + 1e-6).sum((1, 2), keepdim=True)
        share = smoothstep(distance / (1.2 * radius + 1e-3)) * there + (1 - there)
        stream = rim + (stream - rim) * share
        hard = torch.maximum(hard, inside)
    across, along = slopes(stream)
    velocity = torch.stack([along, -across], 1)
    mean = velocity.square().sum(1).mean((1, 2)).sqrt()
    scale = dice.log_uniform(*SPEED, count) / mean.clamp_min(1e-3)
    velocity = (velocity * scale[:, None, None, None]).clamp(-1, 1)
    shape = dice.smooth(count, 1, stage.height, stage.width, float(dice.uniform(1, 2.5)))[:, 0]
    cover = (shape > column(dice.uniform(-2.2, 0.2, count))[0]).float()
    # Streaks lie along the mean flow: the texture's second coordinate runs with it.
    flow = velocity.mean((2, 3))
    flow = flow / flow.square().sum(1, keepdim=True).sqrt().clamp_min(1e-6)
    repeat = dice.uniform(0.6, 1.2, count)[:, None]
    turn = torch.stack([torch.stack([-flow[:, 1], flow[:, 0]], 1), flow], 1) / repeat[:, :, None]
    light = (1 + 0.15 * dice.smooth(count, 1, stage.height, stage.width, 2)[:, 0]).clamp(0.5, 1.5)
    # Foam hangs about rocks.
    slow = velocity.square().sum(1).sqrt() / dice.log_uniform(0.5, 2, count)[:, None, None]
    slow = slow / slow.mean((1, 2), keepdim=True)
    white = ((slow - 1.4) * 0.5).clamp(0, 0.6) * column(dice.uniform(0, 1, count))[0]
    shading = Shading(light, white, palette(dice, FOAM, count, 0.08))
    texture = water_texture(stage, count, (1.5, 5.0), (-0.8, 0.8))
    painter = Followed(texture, turn, velocity, cover, shading)
    return Surface(painter, velocity, (cover > 0.5).to(torch.uint8), hard=hard)
