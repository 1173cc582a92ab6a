# SPDX-License-Identifier: Apache-2.0
"""Real photos as material: backgrounds, cut-out foregrounds, and patches of water, cloud, smoke or leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from stillflow_training.labels import LabelledPhoto
from stillflow_training.procedural.dice import Dice
from stillflow_training.procedural.plane import blur
from stillflow_training.procedural.texture import tiling

FOREGROUND = (0, 5, 6, 7, 8)
"""Classes whose regions stand in front of what streams: static things, foliage, people, animals, cloth."""

SIDES = (64, 96, 140, 200)
"""Pixels of the squares that patches are taken from."""

PURE = 0.97
"""Share of a class that a window must have to count as a patch of it."""

UNKNOWN = 255
"""Class of every pixel of a photo without a label."""


@dataclass(eq=False)
class Pictures:
    """Photos of one size.

    Attributes:
        pixels: (m, 3, H, W) uint8.
        classes: (m, H, W) uint8, ``UNKNOWN`` where nobody said.
        windows: for each class, (k, 4) whole numbers: photo, top, left, side of squares that show nothing else.
    """

    pixels: Tensor
    classes: Tensor
    windows: dict[int, Tensor]

    @classmethod
    def of_labels(cls, photos: Sequence[LabelledPhoto], height: int = 256, width: int = 352) -> Pictures:
        """Bring labelled photos to one size; portrait ones are cut to it around their middle."""
        pixels, classes = [], []
        for photo in photos:
            box = _middle(photo.classes.shape[0], photo.classes.shape[1], height / width)
            pixels.append(cv2.resize(photo.photo[box], (width, height), interpolation=cv2.INTER_AREA))
            classes.append(cv2.resize(photo.classes[box], (width, height), interpolation=cv2.INTER_NEAREST))
        return cls.of_arrays(np.stack(pixels), np.stack(classes))

    @classmethod
    def of_arrays(
        cls, pixels: npt.NDArray[np.uint8], classes: npt.NDArray[np.uint8] | None = None
    ) -> Pictures:
        """Take (m, H, W, 3) uint8 photos of one size, with (m, H, W) classes where they are known."""
        labels = np.full(pixels.shape[:3], UNKNOWN, np.uint8) if classes is None else classes
        moved = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        return cls(moved, torch.from_numpy(labels), _windows(labels))

    @classmethod
    def of_tensor(cls, pixels: Tensor) -> Pictures:
        """Take unlabelled photos (m, 3, H, W) 0..1."""
        shape = (pixels.shape[0], *pixels.shape[2:])
        return cls(
            (pixels * 255).round().to(torch.uint8),
            torch.full(shape, UNKNOWN, dtype=torch.uint8, device=pixels.device),
            {},
        )

    def to(self, device: torch.device | str) -> Pictures:
        """The same on another device."""
        return Pictures(self.pixels.to(device), self.classes.to(device), self.windows)

    def crops(self, dice: Dice, count: int, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Random parts of random photos, half of them mirrored.

        Returns:
            photos (n, 3, h, w) and classes (n, h, w).
        """
        found = [self._crop(dice, height, width, dice.integer(0, len(self.pixels))) for _ in range(count)]
        return torch.stack([photo for photo, _ in found]), torch.stack([classes for _, classes in found])

    def _crop(self, dice: Dice, height: int, width: int, index: int) -> tuple[Tensor, Tensor]:
        tall, wide = self.pixels.shape[2:]
        part = float(dice.uniform(0.45, 1.0))
        w = min(wide, tall * width / height) * part
        h = w * height / width
        top, left = int(float(dice.uniform(0, 1)) * (tall - h)), int(float(dice.uniform(0, 1)) * (wide - w))
        box = np.s_[..., top : top + max(2, int(h)), left : left + max(2, int(w))]
        photo, classes = self.pixels[index][box].float() / 255, self.classes[index][box]
        if dice.integer(0, 2):
            photo, classes = photo.flip(-1), classes.flip(-1)
        photo = functional.interpolate(photo[None], size=(height, width), mode="bilinear", antialias=True)[0]
        named = functional.interpolate(classes[None, None].float(), size=(height, width), mode="nearest")
        return photo, named[0, 0].to(torch.uint8)

    def cut_outs(self, dice: Dice, count: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Foregrounds cut from photos along their labels, for half the scenes and more.

        Returns:
            photos (n, 3, h, w), what they cover (n, h, w) 0..1, and the photos' classes (n, h, w).
        """
        photos, classes = self.crops(dice, count, height, width)
        covers = torch.zeros(count, height, width, device=photos.device)
        for i in range(count):
            if float(dice.uniform(0, 1)) > 0.65:
                continue
            present = [c for c in FOREGROUND if 0.02 < float((classes[i] == c).float().mean()) < 0.55]
            if present:
                covers[i] = (classes[i] == present[dice.integer(0, len(present))]).float()
        return photos, blur(covers[:, None], 0.7)[:, 0], classes

    def region(
        self, dice: Dice, kinds: tuple[int, ...], height: int, width: int
    ) -> tuple[Tensor, Tensor] | None:
        """A crop (3, h, w) that shows a region of some classes, and where it is (h, w); None if none is found."""
        holds = [c for c in kinds if c in self.windows]
        if not holds:
            return None
        table = torch.cat([self.windows[c] for c in holds])
        for _ in range(4):
            index = int(table[dice.integer(0, len(table)), 0])
            photo, classes = self._crop(dice, height, width, index)
            cover = torch.stack([classes == c for c in kinds]).any(0).float()
            if 0.05 < float(cover.mean()) < 0.8:
                return photo, blur(cover[None, None], 0.7)[0, 0]
        return None

    def patches(self, dice: Dice, kinds: tuple[int, ...], count: int, size: int) -> Tensor | None:
        """Square patches that show only some classes and tile, (n, 3, size, size); None when there are none."""
        windows = [self.windows[c] for c in kinds if c in self.windows]
        if not windows:
            return None
        table = torch.cat(windows)
        # Small squares are many and come out soft: every size is as likely.
        sides = table[:, 3].unique().tolist()
        found = []
        for _ in range(count):
            side = sides[dice.integer(0, len(sides))]
            mine = table[table[:, 3] == side]
            index, top, left, _ = (int(v) for v in mine[dice.integer(0, len(mine))])
            patch = self.pixels[index, :, top : top + side, left : left + side].float() / 255
            if dice.integer(0, 2):
                patch = patch.flip(-1)
            larger = size * 5 // 4
            patch = functional.interpolate(patch[None], size=(larger, larger), mode="bicubic").clamp(0, 1)
            # The light of the whole patch (a bright corner) would repeat with the tile: it is taken out.
            slow = blur(functional.interpolate(patch, size=(32, 32), mode="area"), 6.0)
            slow = functional.interpolate(slow, size=(larger, larger), mode="bilinear")
            found.append(patch - 0.85 * (slow - slow.mean((2, 3), keepdim=True)))
        tiles = tiling(torch.cat(found)).clamp(0, 1)
        return functional.interpolate(tiles, size=(size, size), mode="bilinear")


def _middle(height: int, width: int, aspect: float) -> tuple[slice, slice]:
    """The largest middle part of a picture with an aspect (height over width)."""
    h, w = min(height, round(width * aspect)), min(width, round(height / aspect))
    top, left = (height - h) // 2, (width - w) // 2
    return slice(top, top + h), slice(left, left + w)


def _windows(classes: npt.NDArray[np.uint8]) -> dict[int, Tensor]:
    """Squares that show one class only, by class."""
    result: dict[int, list[tuple[int, int, int, int]]] = {}
    tall, wide = classes.shape[1:]
    for index, labels in enumerate(classes):
        for c in np.unique(labels):
            if c == UNKNOWN:
                continue
            total = cv2.integral((labels == c).astype(np.uint8))
            for side in SIDES:
                if side > min(tall, wide):
                    continue
                tops = np.arange(0, tall - side + 1, max(4, side // 4))
                lefts = np.arange(0, wide - side + 1, max(4, side // 4))
                t, left = (a.ravel() for a in np.meshgrid(tops, lefts, indexing="ij"))
                share = (
                    total[t + side, left + side]
                    - total[t, left + side]
                    - total[t + side, left]
                    + total[t, left]
                )
                for i in np.nonzero(share >= PURE * side * side)[0]:
                    result.setdefault(int(c), []).append((index, int(t[i]), int(left[i]), side))
    return {c: torch.tensor(rows) for c, rows in result.items()}
