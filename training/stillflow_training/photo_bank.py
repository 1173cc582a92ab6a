# SPDX-License-Identifier: Apache-2.0
"""All labelled photos as tensors, and augmented views of them, a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from stillflow.motion import CLASS_NAMES
from stillflow_training.labels import LabelledPhoto

RARE_CLASSES = (3, 4, 6, 7, 8)
"""Smoke, fire, person, animal, cloth: photos with more than 3 % of any are drawn twice as often, and so are
photos in which nothing moves."""

SPLIT = 0.35
"""Share of views of which one side is another photo's."""

PASTED = 0.4
"""Share of views into which a region of another view is pasted; tried twice."""

WHOLE = 0.25
"""Share of views that show the whole photo."""

SMALLEST = 0.12
"""Area of the smallest crop, relative to the photo's."""

GRAY = torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]
"""Weights of red, green and blue in the luma."""


@dataclass(eq=False)
class Views:
    """A batch of augmented views, all tensors with n first.

    photo (n, 3, H, W) float32 0..1; classes (n, H, W) int64; moves (n, H, W) float32 0 or 1; velocity (n, 2, H, W)
    widths a second; weight (n, H, W), trust in the velocity; either (n, H, W), 1 where the opposite sideways
    direction would do; suited (n,), 1 where a loop of the photo can look right, 0 where not, -1 where nobody said.
    """

    photo: Tensor
    classes: Tensor
    moves: Tensor
    velocity: Tensor
    weight: Tensor
    either: Tensor
    suited: Tensor


class PhotoBank:
    """Labelled photos of any shape, padded to squares.

    Args:
        photos: at the size they are kept at; views are drawn from them without further smoothing, so a size of
            about 1.5 times the views' keeps aliasing low.
    """

    def __init__(self, photos: list[LabelledPhoto]) -> None:
        n, side = len(photos), max(max(p.classes.shape) for p in photos)
        self.side = side
        self.pixels = torch.zeros(n, 3, side, side, dtype=torch.uint8)
        self.maps = torch.zeros(n, 3, side, side, dtype=torch.uint8)  # classes, moves, either
        self.flow = torch.zeros(n, 3, side, side, dtype=torch.float16)  # velocity x and y in pixels, weight
        self.size = torch.tensor([p.classes.shape for p in photos], dtype=torch.float32)
        self.suited = torch.tensor(
            [float(p.suitability >= 2) if p.suitability >= 0 else -1.0 for p in photos]
        )
        self.often = torch.ones(n)
        for i, p in enumerate(photos):
            h, w = p.classes.shape
            self.pixels[i, :, :h, :w] = _planes(p.photo)
            self.maps[i, :, :h, :w] = torch.from_numpy(np.stack([p.classes, p.moves, p.either]))
            self.flow[i, :2, :h, :w] = _planes(p.velocity * w).half()
            self.flow[i, 2, :h, :w] = torch.from_numpy(p.weight).half()
            shares = np.bincount(p.classes.ravel(), minlength=len(CLASS_NAMES)) / p.classes.size
            if any(shares[c] > 0.03 for c in RARE_CLASSES) or not p.moves.any():
                self.often[i] = 2.0

    def draw(self, count: int, height: int, width: int, random: torch.Generator, among: Tensor) -> Views:
        """Draw augmented views.

        Args:
            count: views.
            height: of a view, pixels.
            width: of a view, pixels.
            random: same state, same views.
            among: (m,) int64, which photos to draw from.
        """
        chosen = among[torch.multinomial(self.often[among], count, replacement=True, generator=random)]
        views = self._crop(chosen, height, width, random)
        _split(views, random)
        for _ in range(2):
            _paste(views, random)
        views.photo = colour_jitter(views.photo, random)
        return views

    def _crop(self, chosen: Tensor, height: int, width: int, random: torch.Generator) -> Views:
        """Cut, flip, turn and stretch: a random window of each photo."""
        n = len(chosen)
        h, w = self.size[chosen].T
        whole = torch.rand(n, generator=random) < WHOLE
        area = torch.where(whole, torch.ones(n), _between(n, SMALLEST, 1.0, random))
        aspect = torch.exp(torch.randn(n, generator=random) * 0.15) * (width / height)
        aspect = torch.where(whole, w / h, aspect)
        crop_h = torch.sqrt(area * h * w / aspect)
        crop_w = crop_h * aspect
        fit = torch.minimum(torch.minimum(h / crop_h, w / crop_w), torch.ones(n))
        crop_h, crop_w = crop_h * fit, crop_w * fit
        centre_y = torch.rand(n, generator=random) * (h - crop_h) + crop_h / 2
        centre_x = torch.rand(n, generator=random) * (w - crop_w) + crop_w / 2
        turn = torch.randn(n, generator=random) * 0.06
        flip = torch.where(torch.rand(n, generator=random) < 0.5, -1.0, 1.0)
        cos, sin = torch.cos(turn), torch.sin(turn)
        # View pixel -> photo pixel: scale and flip, then turn about the window's centre.
        y, x = torch.meshgrid(
            (torch.arange(height) + 0.5) / height - 0.5,
            (torch.arange(width) + 0.5) / width - 0.5,
            indexing="ij",
        )
        across, down = x[None] * _map(crop_w * flip), y[None] * _map(crop_h)
        px = _reflected(_map(centre_x) + _map(cos) * across - _map(sin) * down, _map(w))
        py = _reflected(_map(centre_y) + _map(sin) * across + _map(cos) * down, _map(h))
        where = torch.stack([px / self.side * 2 - 1, py / self.side * 2 - 1], -1)
        photo = functional.grid_sample(self.pixels[chosen].float(), where, align_corners=False) / 255
        sampled = torch.cat([self.maps[chosen].float(), self.flow[chosen].float()], 1)
        sampled = functional.grid_sample(sampled, where, mode="nearest", align_corners=False)
        # Turn the velocity back, from photo pixels into view pixels, then into view widths.
        vx, vy = sampled[:, 3], sampled[:, 4]
        ux = (_map(cos) * vx + _map(sin) * vy) / _map(crop_w) * _map(flip)
        uy = (-_map(sin) * vx + _map(cos) * vy) / _map(crop_h) * (height / width)
        return Views(
            photo=photo,
            classes=sampled[:, 0].long(),
            moves=sampled[:, 1],
            velocity=torch.stack([ux, uy], 1),
            weight=sampled[:, 5],
            either=sampled[:, 2],
            suited=self.suited[chosen],
        )


def _planes(picture: npt.NDArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))


def _map(values: Tensor) -> Tensor:
    return values[:, None, None]


def _between(n: int, low: float, high: float, random: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=random)


def _reflected(position: Tensor, length: Tensor) -> Tensor:
    """Mirror positions at 0 and at ``length`` (pixel edges), so that a turned window has no black corners."""
    position = length - (length - position.abs()).abs()
    return torch.minimum(position, length - 0.51).clamp(min=0.5)


def _paste(views: Views, random: torch.Generator) -> None:
    """Paste one region of another view into some of the views."""
    n = len(views.photo)
    other = torch.randperm(n, generator=random)
    given = torch.rand(n, generator=random) < PASTED
    mask = torch.zeros_like(views.classes, dtype=torch.bool)
    for i in torch.nonzero(given)[:, 0].tolist():
        region = views.classes[other[i]]
        shares = torch.bincount(region.flatten(), minlength=len(CLASS_NAMES)) / region.numel()
        # Clear sky has no outline of its own: it is what lies behind.
        fit = [c for c in range(9) if 0.02 < float(shares[c]) < 0.7]
        if fit:
            mask[i] = region == fit[int(torch.randint(len(fit), (1,), generator=random))]
    _take(views, other, mask)


def _split(views: Views, random: torch.Generator) -> None:
    """Replace what lies beyond a random straight line by another view: a place must be known without the rest."""
    n, h, w = views.classes.shape
    other = torch.randperm(n, generator=random)
    angle = torch.rand(n, generator=random) * 2 * torch.pi
    offset = torch.where(
        torch.rand(n, generator=random) < SPLIT, _between(n, -0.2, 0.3, random), torch.full((n,), 9.0)
    )
    y, x = torch.meshgrid(torch.linspace(-0.5, 0.5, h), torch.linspace(-0.5, 0.5, w), indexing="ij")
    _take(views, other, x[None] * _map(torch.cos(angle)) + y[None] * _map(torch.sin(angle)) > _map(offset))


def _take(views: Views, other: Tensor, mask: Tensor) -> None:
    """Fill a mask (n, H, W) from other views, with edges softened over 3 pixels."""
    soft = functional.avg_pool2d(mask[:, None].float(), 3, 1, 1)
    source = {f.name: getattr(views, f.name)[other] for f in fields(views) if f.name != "suited"}
    views.photo = views.photo * (1 - soft) + source["photo"] * soft
    for name in ("classes", "moves", "weight", "either"):
        setattr(views, name, torch.where(mask, source[name], getattr(views, name)))
    views.velocity = torch.where(mask[:, None], source["velocity"], views.velocity)
    views.suited = torch.where(mask.flatten(1).any(1), -1.0, views.suited)


def colour_jitter(photo: Tensor, random: torch.Generator) -> Tensor:
    """Exposure, contrast, colour, gray, sepia, blur and noise, as old or poor photos have them.

    Args:
        photo: (n, 3, H, W) 0..1.
        random: same state, same jitter.

    Returns:
        The same shape, 0..1.
    """
    n = len(photo)

    def normal(scale: float, channels: int = 1) -> Tensor:
        return torch.randn(n, channels, 1, 1, generator=random) * scale

    photo = photo * torch.exp(normal(0.18)) + normal(0.04)
    photo = photo.clamp(0, 1) ** torch.exp(normal(0.25))
    photo = photo * torch.exp(normal(0.06, 3))
    gray = (photo * GRAY).sum(1, keepdim=True)
    kind = torch.rand(n, 1, 1, 1, generator=random)
    saturation = torch.where(kind < 0.08, torch.zeros(()), torch.exp(normal(0.35)))
    sepia = gray * torch.tensor([1.05, 0.9, 0.7])[None, :, None, None]
    photo = torch.where((kind >= 0.08) & (kind < 0.12), sepia, gray + (photo - gray) * saturation)
    blurred = functional.avg_pool2d(functional.pad(photo, (1, 1, 1, 1), mode="replicate"), 3, 1)
    photo = torch.where(torch.rand(n, 1, 1, 1, generator=random) < 0.2, blurred, photo)
    grain = (torch.rand(n, generator=random) < 0.3) * _between(n, 0.005, 0.05, random)
    photo = photo + torch.randn(photo.shape, generator=random) * grain[:, None, None, None]
    return photo.clamp(0, 1)
