# SPDX-License-Identifier: Apache-2.0
"""Whole scenes, many at once: a moving surface over a real photo, with real things standing in front of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stillflow_training.procedural.clouds import draw_clouds
from stillflow_training.procedural.dice import Dice
from stillflow_training.procedural.falls import draw_falls
from stillflow_training.procedural.pictures import Pictures
from stillflow_training.procedural.plane import blur
from stillflow_training.procedural.rivers import draw_rivers
from stillflow_training.procedural.seas import draw_seas
from stillflow_training.procedural.smoke import draw_mist, draw_smoke
from stillflow_training.procedural.streams import draw_streams
from stillflow_training.procedural.surface import Painter, Stage, Surface
from stillflow_training.procedural.sways import draw_cloth, draw_grass, draw_trees

DRAW: dict[str, Callable[[Stage, int], Surface]] = {
    "fall": draw_falls,
    "river": draw_rivers,
    "stream": draw_streams,
    "waves": draw_seas,
    "cloud": draw_clouds,
    "smoke": draw_smoke,
    "mist": draw_mist,
    "tree": draw_trees,
    "grass": draw_grass,
    "cloth": draw_cloth,
}
"""How each kind is drawn."""

KINDS = tuple(DRAW)
"""What a scene imitates."""

KIND_CLASS = {
    "fall": 1, "river": 1, "stream": 1, "waves": 1, "cloud": 2,
    "smoke": 3, "mist": 3, "tree": 5, "grass": 5, "cloth": 8,
}  # fmt: skip
"""Class index of each kind (``stillflow.motion.CLASS_NAMES``)."""

FLOW_KINDS = tuple(kind for kind, label in KIND_CLASS.items() if label < 5)
"""Kinds that stream."""

SWAY_KINDS = tuple(kind for kind, label in KIND_CLASS.items() if label >= 5)
"""Kinds that oscillate."""

HARMONICS = 3
"""K of ``SceneBatch.sway``."""


@dataclass(eq=False)
class SceneBatch:
    """Scenes with their truth; positions and velocities in picture widths, x right, y down.

    Attributes:
        kind: (n,) index into ``KINDS``.
        photo: (n, 3, h, w) 0..1, the frame at time 0.
        classes: (n, h, w) uint8; the moving surface where it is seen. Elsewhere the label of the photo that is
            seen there (its water does not move), 255 where it has none, and 0 over noise.
        matte: (n, h, w) 0..1, how much of the surface is seen at time 0.
        velocity: (n, 2, h, w) widths a second, also behind what stands in front and beyond the surface's
            edge; zero where a scene sways.
        sway: (n, K, 4, h, w) widths per harmonic (ax, ay, bx, by); zero where a scene flows.
        period: (n,) seconds of the first harmonic.
        behind: (n, 3, h, w), what stands behind the surface.
        front: (n, 3, h, w), what stands in front of it, where ``hides`` (n, h, w) says so.
        hides: see ``front``.
        surfaces: painters, each with the scenes it paints.
    """

    kind: Tensor
    photo: Tensor
    classes: Tensor
    matte: Tensor
    velocity: Tensor
    sway: Tensor
    period: Tensor
    behind: Tensor
    front: Tensor
    hides: Tensor
    surfaces: list[tuple[Tensor, Painter]]

    def __len__(self) -> int:
        return len(self.kind)

    def layer(self, seconds: Tensor | float) -> tuple[Tensor, Tensor]:
        """The moving surface at a time as if nothing stood in front of it.

        Args:
            seconds: a number, or one for each scene (n,).

        Returns:
            colours (n, 3, h, w) 0..1, meant beyond its edge too, and its own cover (n, h, w).
        """
        times = torch.as_tensor(seconds, dtype=torch.float32, device=self.photo.device).expand(len(self))
        colours, cover = torch.zeros_like(self.photo), torch.zeros_like(self.matte)
        for mine, painter in self.surfaces:
            colours[mine], cover[mine] = painter.paint(times[mine])
        return colours, cover

    def frame(self, seconds: Tensor | float) -> Tensor:
        """The true frame at a time, (n, 3, h, w) 0..1."""
        colours, cover = self.layer(seconds)
        return self.composed(colours, cover)

    def composed(self, colours: Tensor, cover: Tensor) -> Tensor:
        """Put a surface between what is behind and what is in front of it."""
        share, hides = cover[:, None], self.hides[:, None]
        return (self.behind + (colours - self.behind) * share) * (1 - hides) + self.front * hides


def draw_scenes(
    generator: torch.Generator,
    count: int,
    height: int,
    width: int,
    photos: Pictures | Tensor | None = None,
    device: torch.device | str = "cpu",
    kinds: Sequence[str] = KINDS,
) -> SceneBatch:
    """Draw scenes.

    Args:
        generator: same state, same scenes.
        count: n.
        height: pixels.
        width: pixels.
        photos: real photos for backgrounds, foregrounds and textures: labelled ``Pictures``, or (m, 3, H, W)
            0..1 without labels; None draws noise.
        device: where tensors live.
        kinds: kinds to choose from, each as likely.

    Returns:
        The scenes, in the order in which their kinds were drawn.
    """
    dice = Dice(generator, device)
    pictures = Pictures.of_tensor(photos) if isinstance(photos, Tensor) else photos
    if pictures is not None:
        pictures = pictures.to(device)
    stage = Stage(dice, height, width, pictures)
    chosen = [KINDS.index(kinds[dice.integer(0, len(kinds))]) for _ in range(count)]
    kind = torch.tensor(chosen, device=dice.device)
    shape = (height, width)
    classes = torch.zeros(count, *shape, dtype=torch.uint8, device=dice.device)
    velocity = torch.zeros(count, 2, *shape, device=dice.device)
    sway = torch.zeros(count, HARMONICS, 4, *shape, device=dice.device)
    period = torch.ones(count, device=dice.device)
    hard = torch.zeros(count, *shape, device=dice.device)
    surfaces: list[tuple[Tensor, Painter]] = []
    for index in sorted(set(chosen)):
        mine = torch.nonzero(kind == index)[:, 0]
        surface = DRAW[KINDS[index]](stage, len(mine))
        surfaces.append((mine, surface.painter))
        classes[mine], velocity[mine] = surface.classes, surface.velocity
        if surface.sway is not None and surface.period is not None:
            sway[mine], period[mine] = surface.sway, surface.period
        if surface.hard is not None:
            hard[mine] = surface.hard
    behind, front, hides, below, above = _surroundings(stage, count)
    hides = torch.maximum(hides, blur(hard[:, None], 0.6)[:, 0])
    batch = SceneBatch(kind, front, classes, hides, velocity, sway, period, behind, front, hides, surfaces)
    colours, cover = batch.layer(0.0)
    batch.photo = batch.composed(colours, cover)
    batch.matte = cover * (1 - hides)
    batch.classes = torch.where(hides < 0.5, torch.where(classes > 0, classes, below), above)
    return batch


def _surroundings(stage: Stage, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What stands behind, what stands in front, where the latter is, and the classes of both."""
    height, width = stage.height, stage.width
    if stage.pictures is None:
        behind, front = (_ground(stage, count) for _ in range(2))
        none = torch.zeros(count, height, width, dtype=torch.uint8, device=stage.dice.device)
        return behind, front, blur(_islands(stage, count)[:, None], 0.7)[:, 0], none, none
    behind, below = stage.pictures.crops(stage.dice, count, height, width)
    front, hides, above = stage.pictures.cut_outs(stage.dice, count, height, width)
    islands = _islands(stage, count) * stage.dice.chance(0.3, count)[:, None, None]
    return behind, front, torch.maximum(hides, blur(islands[:, None], 0.7)[:, 0]), below, above


def _ground(stage: Stage, count: int) -> Tensor:
    """Noise without a direction, in earth colours."""
    dice = stage.dice
    colour = dice.uniform(0.1, 0.8, count, 3, 1, 1)
    noise = sum(dice.smooth(count, 1, stage.height, stage.width, 2.0**k) * 0.6**k for k in range(1, 6))
    return (colour + 0.16 * torch.as_tensor(noise) * dice.uniform(0.3, 1, count, 3, 1, 1)).clamp(0, 1)


def _islands(stage: Stage, count: int) -> Tensor:
    """Shapes of things in front, for some scenes: ellipses with a rough rim, (n, h, w) of 0 or 1."""
    dice = stage.dice
    x, y = stage.xy
    rough = 0.25 * dice.smooth(count, 1, stage.height, stage.width, 12)[:, 0]
    result = torch.zeros(count, stage.height, stage.width, device=dice.device)
    for _ in range(3):
        cx, cy = dice.uniform(0, 1, count, 1, 1), stage.tall * dice.uniform(0, 1, count, 1, 1)
        a, b = dice.log_uniform(0.02, 0.12, count, 1, 1), dice.log_uniform(0.02, 0.15, count, 1, 1)
        there = ((x - cx) / a).square() + ((y - cy) / b).square() + rough < 1
        result = torch.maximum(result, there.float() * dice.chance(0.5, count, 1, 1))
    return result
