# SPDX-License-Identifier: Apache-2.0
"""Training samples for the velocity network: labelled views and procedural scenes, with what a user might have said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stillflow.flow import VELOCITY_UNIT, hint_planes
from stillflow.guidance import Arrow, Hints
from stillflow.motion import CLASS_NAMES, FLOW_CLASSES
from stillflow_export.networks.classes import STRIDE
from stillflow_training.arrows import draw_arrows
from stillflow_training.photo_bank import PhotoBank, Views, colour_jitter
from stillflow_training.procedural import FLOW_KINDS, KINDS, Pictures, draw_scenes

DIRECTED = ("fall", "smoke", "river")
"""Kinds of scenes whose direction a picture tells; the others are only shown with arrows."""

TOLD = {"scene": (0.12, (1, 2, 3, 5)), "view": (0.6, (1, 1, 2, 3))}
"""For each source: share of samples without arrows, and counts of arrows, each as likely."""

MOST_ARROWS = 5
"""Of a sample."""


@dataclass(eq=False)
class Samples:
    """A batch, all tensors with n first.

    photo (n, 3, H, W) 0..1; classes (n, 10, H/4, W/4), probabilities as an imperfect class network gives them; hints
    (n, 6, H, W); velocity (n, 2, H/4, W/4) tenths of a width a second; weight (n, 1, H/4, W/4), trust in it; either
    (n, 1, H/4, W/4); arrows (n, MOST_ARROWS, 4): middle in picture widths, velocity in tenths of a width a second, all
    zero where there is none; directed (n,), True where the picture tells the direction.
    """

    photo: Tensor
    classes: Tensor
    hints: Tensor
    velocity: Tensor
    weight: Tensor
    either: Tensor
    arrows: Tensor
    directed: Tensor

    @property
    def told(self) -> Tensor:
        """(n,), True where there are arrows."""
        return self.arrows[:, 0, 2:].abs().sum(1) > 0


class ScenePool:
    """Procedural scenes drawn ahead, since drawing one takes as long as learning from twenty."""

    def __init__(self, pictures: Pictures, count: int, height: int, width: int, seed: int) -> None:
        random = torch.Generator().manual_seed(seed)
        parts = []
        for _ in range(0, count, 24):
            batch = draw_scenes(random, 24, height, width, pictures, kinds=FLOW_KINDS)
            parts.append(
                (
                    (batch.photo * 255).round().to(torch.uint8),
                    batch.velocity.half(),
                    batch.classes,
                    (batch.matte * 255).to(torch.uint8),
                    batch.kind,
                )
            )
        self.photo, self.velocity, self.classes, self.matte, self.kind = (
            torch.cat(column) for column in zip(*parts, strict=True)
        )
        self.directed = torch.isin(self.kind, torch.tensor([KINDS.index(k) for k in DIRECTED]))

    def draw(self, count: int, random: torch.Generator) -> tuple[Views, Tensor]:
        """Draw scenes, half of them mirrored, as views; and whether each tells its direction."""
        mine = torch.randint(len(self.photo), (count,), generator=random)
        flip = torch.rand(count, generator=random) < 0.5
        photo = _mirrored(self.photo[mine], flip).float() / 255
        velocity = _mirrored(self.velocity[mine], flip).float()
        velocity[:, 0] *= torch.where(flip, -1.0, 1.0)[:, None, None]
        classes = _mirrored(self.classes[mine], flip).long()
        matte = _mirrored(self.matte[mine], flip).float() / 255
        moves = (matte > 0.5).float()
        # A surface that hides behind what the photo shows is known, but nobody sees it move.
        views = Views(
            photo=colour_jitter(photo, random),
            classes=torch.where(classes == 255, 0, classes),
            moves=moves,
            velocity=velocity,
            weight=(matte > 0.9).float(),
            either=torch.zeros_like(moves),
            suited=torch.ones(count),
        )
        return views, self.directed[mine]


def draw_samples(
    bank: PhotoBank, learn: Tensor, pool: ScenePool, size: tuple[int, int], counts: tuple[int, int], seed: int
) -> Samples:
    """Draw a batch of labelled views and of procedural scenes.

    Args:
        bank: the labelled photos.
        learn: which of them may be drawn.
        pool: scenes of the same size.
        size: (height, width) in pixels.
        counts: views and scenes.
        seed: of all choices.
    """
    random = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    parts = []
    views = bank.draw(counts[0], *size, random, learn)
    parts.append(_finish(views, "view", torch.ones(counts[0], dtype=torch.bool), random, rng))
    scenes, directed = pool.draw(counts[1], random)
    parts.append(_finish(scenes, "scene", directed, random, rng))
    return Samples(*(torch.cat([getattr(p, name) for p in parts]) for name in Samples.__dataclass_fields__))


def _finish(
    views: Views, source: str, directed: Tensor, random: torch.Generator, rng: np.random.Generator
) -> Samples:
    """Add hints and imperfect classes; bring the truth to the network's grid."""
    n, _, h, w = views.photo.shape
    untold, numbers = TOLD[source]
    hints, arrows, weight = [], torch.zeros(n, MOST_ARROWS, 4), views.weight.clone()
    for i in range(n):
        told: tuple[Arrow, ...] = ()
        if rng.random() >= untold:
            where = views.weight[i] > 0.5
            if where.any():
                # All arrows of a sample lie on one surface, and tell of that surface only.
                labels = views.classes[i][where]
                mine = views.classes[i] == labels[int(rng.integers(len(labels)))]
                field = views.velocity[i].permute(1, 2, 0).numpy()
                told = draw_arrows(rng, (where & mine).numpy(), field, int(rng.choice(numbers)))
                weight[i] *= mine
        mask = views.moves[i].numpy() if rng.random() < (0.7 if source == "scene" else 0.3) else None
        hints.append(hint_planes(Hints(mask=mask, arrows=told), h, w))
        for k, arrow in enumerate(told):
            middle = ((arrow.x0 + arrow.x1) / 2, (arrow.y0 + arrow.y1) / 2 * h / w)
            arrows[i, k] = torch.tensor([*middle, *(v * VELOCITY_UNIT for v in arrow.velocity(h / w))])
    given = arrows[:, 0, 2:].abs().sum(1) > 0
    velocity = torch.where(given[:, None, None, None], views.velocity, settled(views))
    at = np.s_[..., STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]
    return Samples(
        photo=views.photo,
        classes=doubtful_classes(views.classes, random),
        hints=torch.from_numpy(np.stack(hints)),
        velocity=velocity[at] * VELOCITY_UNIT,
        weight=torch.where(given[:, None, None], weight, views.weight)[:, None][at],
        either=views.either[:, None][at],
        arrows=arrows,
        directed=directed,
    )


def settled(views: Views) -> Tensor:
    """Velocity that goes right on average where left and right are equally true: the mean of both would be none."""
    velocity = views.velocity.clone()
    for c in FLOW_CLASSES:
        mine = (views.classes == c) & (views.either > 0)
        leftward = (velocity[:, 0] * mine).sum((1, 2)) < 0
        sign = torch.where(mine & leftward[:, None, None], -1.0, 1.0)
        velocity[:, 0] *= sign
    return velocity


def doubtful_classes(classes: Tensor, random: torch.Generator) -> Tensor:
    """Class probabilities as a class network gives them: coarse, and wrong in places.

    Args:
        classes: (n, H, W) int64.
        random: same state, same doubts.

    Returns:
        (n, 10, H/4, W/4), adding up to 1.
    """
    n = len(classes)
    share = functional.one_hot(classes, len(CLASS_NAMES)).permute(0, 3, 1, 2).float()
    share = functional.avg_pool2d(share, STRIDE)
    share = functional.avg_pool2d(share, 3, 1, 1, count_include_pad=False)
    noise = torch.randn(n, len(CLASS_NAMES), 5, 6, generator=random)
    noise = functional.interpolate(noise, size=share.shape[2:], mode="bilinear", align_corners=False)
    doubt = torch.rand(n, 1, 1, 1, generator=random) * 2.0
    return torch.softmax(torch.log(share + 0.03) + noise * doubt, 1)


def _mirrored(planes: Tensor, flip: Tensor) -> Tensor:
    shape = (len(flip),) + (1,) * (planes.ndim - 1)
    return torch.where(flip.view(shape), planes.flip(-1), planes)
