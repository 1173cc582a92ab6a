# SPDX-License-Identifier: Apache-2.0
"""What a kind of scene hands over: its moving surface, painted at any time, and the truth about its motion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from stillflow_training.procedural.dice import Dice
from stillflow_training.procedural.pictures import Pictures
from stillflow_training.procedural.plane import gather, level_of, positions, trace
from stillflow_training.procedural.texture import Texture


@dataclass(eq=False)
class Stage:
    """Where scenes are drawn: random numbers, size, and real photos if there are any."""

    dice: Dice
    height: int
    width: int
    pictures: Pictures | None

    @property
    def xy(self) -> Tensor:
        """(2, h, w) positions of the pixels in widths."""
        return positions(self.height, self.width, self.dice.device)

    @property
    def tall(self) -> float:
        """Height of the picture in widths."""
        return self.height / self.width


class Painter(Protocol):
    """Paints moving surfaces at any time, also where nobody sees them."""

    def paint(self, seconds: Tensor) -> tuple[Tensor, Tensor]:
        """Paint.

        Args:
            seconds: (n,).

        Returns:
            colours (n, 3, h, w) 0..1, and how much of each pixel the surface covers at that time (n, h, w).
        """


@dataclass(eq=False)
class Surface:
    """Moving surfaces of one kind.

    Attributes:
        painter: their looks.
        velocity: (n, 2, h, w) widths a second, known everywhere; zero for what sways.
        classes: (n, h, w) uint8, class where the surface is seen.
        sway: (n, K, 4, h, w) widths per harmonic (ax, ay, bx, by); None for what flows.
        period: (n,) seconds of the first harmonic.
        hard: (n, h, w) 0..1, where a thing must stand in front (a rock that the water goes round), or None.
    """

    painter: Painter
    velocity: Tensor
    classes: Tensor
    sway: Tensor | None = None
    period: Tensor | None = None
    hard: Tensor | None = None


@dataclass(eq=False)
class Shading:
    """What the place adds to a texture, (n, h, w) each: light multiplies; white mixes in foam or haze."""

    light: Tensor
    white: Tensor
    haze: Tensor
    """(n, 3, 1, 1) colour that ``white`` mixes in."""

    def on(self, colours: Tensor) -> Tensor:
        """Shade (n, 3, h, w) colours."""
        bright = colours.mean(1, keepdim=True)
        # Foam keeps some of the texture's relief: flat white is fog.
        foam = self.haze * (0.75 + 0.5 * (bright - bright.mean((2, 3), keepdim=True)) / 0.3).clamp(0.4, 1.2)
        share = self.white[:, None]
        return ((colours * (1 - share) + foam * share) * self.light[:, None]).clamp(0, 1)


class Carried:
    """A texture that moves uniformly in material coordinates (see ``plane``)."""

    def __init__(
        self, texture: Texture, material: Tensor, drift: Tensor, cover: Tensor, shading: Shading | None = None
    ) -> None:
        self.texture, self.material, self.drift = texture, material, drift
        self.cover, self.shading = cover, shading
        self.level = level_of(material, texture.size)

    def paint(self, seconds: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Painter``; a fourth channel of the texture is its opacity."""
        return self._shaded(
            self.texture.at(self.material - self.drift * seconds[:, None, None, None], self.level)
        )

    def _shaded(self, read: Tensor) -> tuple[Tensor, Tensor]:
        colours = read[:, :3] if self.shading is None else self.shading.on(read[:, :3])
        return colours, self.cover * read[:, 3] if read.shape[1] > 3 else self.cover


class Followed(Carried):
    """A texture carried by any steady velocity: each pixel is followed back to where it came from."""

    def __init__(
        self, texture: Texture, turn: Tensor, velocity: Tensor, cover: Tensor, shading: Shading | None = None
    ) -> None:
        """Take a texture laid out by a (n, 2, 2) matrix: material coordinates are turn @ position."""
        self.turn, self.velocity = turn, velocity
        self.xy = positions(*velocity.shape[2:], velocity.device)
        still = self._material(self.xy.expand_as(velocity))
        super().__init__(texture, still, torch.zeros_like(still), cover, shading)

    def _material(self, at: Tensor) -> Tensor:
        return torch.einsum("nij,njhw->nihw", self.turn, at)

    def paint(self, seconds: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Painter``."""
        at = self.xy + trace(self.velocity, -seconds)
        return self._shaded(self.texture.at(self._material(at), self.level))


class Bent:
    """A picture that sways: read at p + d(p, t), as the kernels do; its outline sways too."""

    def __init__(self, colours: Tensor, cover: Tensor, sway: Tensor, period: Tensor) -> None:
        self.picture = torch.cat([colours, cover[:, None]], 1)
        self.sway, self.period = sway, period
        self.xy = positions(*cover.shape[1:], cover.device)

    def displacement(self, seconds: Tensor) -> Tensor:
        """Sum over k of a_k (cos k w t - 1) + b_k sin k w t, (n, 2, h, w) widths."""
        order = torch.arange(1, self.sway.shape[1] + 1, device=seconds.device)
        angle = (2 * torch.pi * seconds / self.period)[:, None] * order
        cosine, sine = (f[:, :, None, None, None] for f in (torch.cos(angle) - 1, torch.sin(angle)))
        return (self.sway[:, :, 0:2] * cosine + self.sway[:, :, 2:4] * sine).sum(1)

    def paint(self, seconds: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Painter``."""
        read = gather(self.picture, self.xy + self.displacement(seconds), mode="bicubic").clamp(0, 1)
        return read[:, :3], read[:, 3]


def column(*values: Tensor) -> tuple[Tensor, ...]:
    """(n,) to (n, 1, 1) each, to meet maps."""
    return tuple(v[:, None, None] for v in values)
