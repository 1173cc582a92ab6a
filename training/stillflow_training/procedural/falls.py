# SPDX-License-Identifier: Apache-2.0
"""Falls: a calm upstream, a lip, water that gathers speed over one ledge or several, foam, and a pool.

The pool takes the water up: there the flow slows down and spreads, so its divergence at the foot is real.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stillflow_training.procedural.plane import smoothstep, uniform_velocity
from stillflow_training.procedural.surface import Carried, Shading, Stage, Surface, column
from stillflow_training.procedural.texture import palette
from stillflow_training.procedural.water import FOAM, water_texture

SPEED = (0.06, 0.4)
"""Widths a second at the foot."""

STEPS = 160
"""Entries of the tables along the stream, from half a width above the lip to two below."""

REACH = (-0.5, 2.0)
"""First and last place of the tables, widths below the lip."""


def draw_falls(stage: Stage, count: int) -> Surface:
    """Draw falls."""
    dice, tall = stage.dice, stage.tall
    x, y = stage.xy
    centre = dice.uniform(0.2, 0.8, count)
    half = dice.log_uniform(0.05, 0.45, count)
    lip = tall * dice.uniform(-0.15, 0.45, count)
    drop = tall * dice.uniform(0.3, 0.8, count)
    jag = dice.smooth(count, 1, 1, stage.width, 7)[:, 0] * dice.uniform(0, 0.014, count)[:, None, None]
    lean = dice.uniform(-0.2, 0.2, count)
    c, w, top, fall, slant = column(centre, half, lip, drop, lean)
    below = y - top - jag
    speed, age, spread = _along(stage, count, drop, half)
    table = lambda values: _look_up(values, below)  # noqa: E731
    across = (x - c - slant * below.clamp(0, 2).minimum(fall)) / table(spread)
    wander = (
        dice.smooth(count, 1, stage.height, stage.width, 3)[:, 0] * column(dice.uniform(0, 0.03, count))[0]
    )
    across = across + wander / table(spread) * smoothstep(below / 0.2)
    # The middle of the stream is fastest.
    pace = (1 - 0.35 * across.square()).clamp(0.35, 1)
    repeat = dice.uniform(0.5, 1.0, count)[:, None, None]
    # One repetition along the fall is as long as one across it, at the middle of the drop.
    mean = _look_up(speed, (0.6 * fall).expand(-1, 1, 1))
    material = torch.stack([across * w / repeat, table(age) * mean / repeat], 1)
    drift = torch.stack([torch.zeros_like(pace), pace * mean / repeat], 1)
    velocity = uniform_velocity(material, drift)

    pool = smoothstep((below - fall) / 0.03)
    edge = (
        1
        + column(dice.uniform(0.02, 0.2, count))[0]
        * dice.smooth(count, 1, stage.height, stage.width, 9)[:, 0]
    )
    curtain = (across.abs() < edge) & (below > 0) & (below < fall + 0.02)
    # The pool is wider than the stream in it; some falls have none, some no stream above the lip.
    basin = (across.abs() < (edge + column(dice.uniform(0.3, 4, count))[0])) & (below >= fall - 0.01 * edge)
    basin = basin & (column(dice.chance(0.75, count))[0] > 0)
    above = (
        (across.abs() < edge) & (below <= 0) & (below > -column(dice.uniform(0.01, 0.12, count))[0] * edge)
    )
    above = above & (column(dice.chance(0.35, count))[0] > 0)
    cover = (curtain | basin | above).float()

    near = (below - fall) / column(dice.uniform(0.02, 0.10, count))[0]
    foam = torch.exp(-near.square()) * column(dice.uniform(0.2, 0.85, count))[0]
    white = smoothstep(below / 0.04) * (1 - pool) * column(dice.uniform(0.0, 0.35, count))[0]
    light = 1 - pool * (1 - torch.exp(-near.square())) * column(dice.uniform(0, 0.5, count))[0]
    shading = Shading(light, (foam + white).clamp(0, 0.9), palette(dice, FOAM, count, 0.08))
    texture = water_texture(stage, count, (2.0, 10.0), (0.0, 1.2))
    painter = Carried(texture, material, drift, cover, shading)
    return Surface(painter, velocity, (cover > 0.5).to(torch.uint8))


def _along(stage: Stage, count: int, drop: Tensor, half: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Tables along the stream: speed, age (seconds since the lip) and half width, (n, STEPS) each."""
    dice = stage.dice
    place = torch.linspace(*REACH, STEPS, device=dice.device)[None]
    end = drop[:, None]
    fast = dice.log_uniform(*SPEED, count)[:, None]
    slow = fast * dice.uniform(0.3, 0.6, count)[:, None]
    # v² = v0² + 2 g s from the last ledge on; one to three ledges, each of which takes most of the speed away.
    ledges = 1 + (dice.uniform(0, 1, count) * 2.2).floor()[:, None]
    part = (place / end).clamp(0, 0.999) * ledges
    fallen = part - part.floor() * 0.75
    falling = torch.sqrt(slow**2 + (fast**2 - slow**2) * fallen)
    rest = fast * dice.uniform(0.12, 0.4, count)[:, None]
    length = dice.uniform(0.03, 0.15, count)[:, None]
    calm = rest + (fast - rest) * torch.exp(-((place - end) / length).clamp_min(0))
    speed = torch.where(place < 0, slow.expand_as(calm), torch.where(place < end, falling, calm))
    speed = torch.nn.functional.avg_pool1d(speed[:, None], 5, 1, 2, count_include_pad=False)[:, 0]
    step = (REACH[1] - REACH[0]) / (STEPS - 1)
    age = torch.cumsum(step / speed, 1)
    age = age - age[:, STEPS // 5][:, None]
    fan = dice.uniform(0, 0.8, count)[:, None]
    spread = half[:, None] * (1 + fan * place.clamp_min(0).minimum(end))
    spread = spread + (place - end).clamp_min(0) * dice.uniform(0.2, 1.5, count)[:, None]
    return speed, age, spread


def _look_up(table: Tensor, place: Tensor) -> Tensor:
    """Read tables (n, STEPS) at places (n, h, w) below the lip, linear."""
    at = ((place - REACH[0]) / (REACH[1] - REACH[0]) * (STEPS - 1)).clamp(0, STEPS - 1.001)
    low = at.floor().long()
    flat = low.flatten(1)
    a, b = torch.gather(table, 1, flat), torch.gather(table, 1, flat + 1)
    return (a + (b - a) * (at.flatten(1) - flat)).view_as(place)
