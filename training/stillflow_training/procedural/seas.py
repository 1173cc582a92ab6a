# SPDX-License-Identifier: Apache-2.0
"""Seas and lakes: a sum of Gerstner waves on a plane in perspective, lit from the sky.

Each wave runs at its own speed, sqrt(g / k) in deep water, so the pattern changes as it travels, as real
water does. The velocity in the truth is that of the waves that carry most of the slope.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stillflow_training.procedural.plane import slopes, smoothstep, uniform_velocity
from stillflow_training.procedural.rivers import ground
from stillflow_training.procedural.surface import Stage, Surface, column
from stillflow_training.procedural.texture import palette
from stillflow_training.procedural.water import DARK, FOAM, MIDDLE

SPEED = (0.01, 0.1)
"""Widths a second at the lower border of the picture."""

WAVES = 16
"""In one sum."""


class Swell:
    """Paints sums of waves."""

    def __init__(
        self, plane: Tensor, wave: Tensor, omega: Tensor, height: Tensor, phase: Tensor, colours: list[Tensor],
        choppy: Tensor, foam: Tensor, cover: Tensor, distance: Tensor,
    ) -> None:  # fmt: skip
        self.plane, self.wave, self.omega, self.height, self.phase = plane, wave, omega, height, phase
        self.colours, self.choppy, self.foam, self.cover, self.distance = (
            colours,
            choppy,
            foam,
            cover,
            distance,
        )
        # Waves finer than a few pixels are left out, as a camera would blur them: they would flicker.
        across, along = (
            s.abs()[:, None] / plane.shape[-1] for s in (slopes(plane[:, 0])[0], slopes(plane[:, 1])[1])
        )
        angle = wave[:, 0, :, None, None].abs() * across + wave[:, 1, :, None, None].abs() * along
        self.seen = torch.exp(-((angle / 1.7) ** 2))

    def paint(self, seconds: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Painter``."""
        across, far = self.plane[:, 0:1], self.plane[:, 1:2]
        kx, kz = self.wave[:, 0, :, None, None], self.wave[:, 1, :, None, None]
        number = torch.sqrt(kx * kx + kz * kz)
        steep = self.height[:, :, None, None] * self.seen
        angle = kx * across + kz * far - (self.omega * seconds[:, None] - self.phase)[:, :, None, None]
        # Gerstner: points are drawn together at crests. One step backwards to the point that is seen here.
        push = steep * torch.sin(angle) / number * self.choppy[:, None]
        angle = angle + (kx * (push * kx / number).sum(1, True) + kz * (push * kz / number).sum(1, True))
        rise = (steep / number * torch.cos(angle) * number.mean(1, True)).sum(1)
        tilt = -(steep * torch.sin(angle) * kz / number).sum(1)
        turn = -(steep * torch.sin(angle) * kx / number).sum(1)
        # Far slopes mirror the sky low above the horizon, near ones show the water's own colour.
        grazing = smoothstep((self.distance - 0.6) / 4)
        sky = torch.sigmoid(3.0 * (tilt + 0.25 * turn) + 1.2 * grazing - 0.4)[:, None]
        dark, middle, foam = self.colours
        colours = (
            dark + (middle - dark) * (2 * sky).clamp_max(1) + (foam - middle) * (2 * sky - 1.25).clamp(0, 1)
        )
        crest = torch.sigmoid(9 * (rise - self.foam))[:, None]
        return (colours + (foam - colours) * crest * 0.85).clamp(0, 1), self.cover


def draw_seas(stage: Stage, count: int) -> Surface:
    """Draw seas: wind waves around one direction, from glassy to choppy, to the horizon or to a shore."""
    dice, tall = stage.dice, stage.tall
    horizon = tall * dice.uniform(-0.4, 0.55, count)
    side, far = ground(stage, horizon)
    # Towards the shore more often than away from it: Z falls towards the camera.
    heading = -torch.pi / 2 + 0.9 * dice.normal(count)
    scatter = dice.uniform(0.1, 0.6, count)[:, None]
    direction = heading[:, None] + scatter * dice.normal(count, WAVES)
    peak = dice.log_uniform(22, 130, count)[:, None]
    number = peak * torch.exp(0.55 * dice.normal(count, WAVES).abs() - 0.3)
    wave = torch.stack([number * torch.cos(direction), number * torch.sin(direction)], 1)
    height = dice.uniform(0.4, 1.3, count, WAVES) * (peak / number) ** 0.5
    height = height * dice.log_uniform(0.2, 0.9, count)[:, None] / height.square().sum(1, True).sqrt()
    speed = dice.log_uniform(*SPEED, count)[:, None]
    celerity = speed * (peak / number).sqrt()
    omega = celerity * number
    energy = height.square()
    drift = torch.stack([celerity * torch.cos(direction), celerity * torch.sin(direction)], 1)
    drift = (drift * energy[:, None]).sum(2) / energy.sum(1)[:, None]
    # Waves of one heading pass through each other: the mean of their velocities is a little slower than each.
    plane = torch.stack([side, far], 1)
    velocity = uniform_velocity(plane, drift[:, :, None, None])
    ragged = dice.smooth(count, 1, 1, stage.width, 5)[:, 0] * column(dice.uniform(0, 0.06, count))[0]
    shore = column(tall * dice.uniform(0.75, 1.6, count))[0] + 2 * ragged
    x, y = stage.xy
    level = column(horizon)[0] + 0.025 + ragged * column(dice.chance(0.4, count))[0]
    cover = ((y > level) & (y < shore + 0.2 * (x - 0.5))).float()
    colours = [
        palette(dice, DARK, count, 0.3),
        palette(dice, MIDDLE, count, 0.25),
        palette(dice, [*FOAM, (0.95, 0.75, 0.5), (0.75, 0.82, 0.95)], count, 0.15),
    ]
    painter = Swell(
        plane, wave, omega, height, dice.uniform(0, 6.28, count, WAVES), colours,
        column(dice.uniform(0.2, 0.9, count))[0], column(dice.uniform(0.5, 2.0, count))[0], cover, far,
    )  # fmt: skip
    return Surface(painter, velocity, (cover > 0.5).to(torch.uint8))
