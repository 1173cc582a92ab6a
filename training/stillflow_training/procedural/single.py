# SPDX-License-Identifier: Apache-2.0
"""One scene at a time, as NumPy arrays: for validation and for samples that are made with OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from stillflow_training.procedural.batch import FLOW_KINDS, SceneBatch, draw_scenes
from stillflow_training.procedural.pictures import UNKNOWN, Pictures

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ProceduralScene:
    """One scene of a batch of one.

    Attributes:
        batch: the scene as tensors.
        kind: one of ``KINDS``.
    """

    batch: SceneBatch
    kind: str

    @property
    def matte(self) -> FloatArray:
        """(H, W) float32 0..1, how much of a pixel shows the moving surface."""
        return np.asarray(self.batch.matte[0].cpu().numpy(), np.float32)

    @property
    def classes(self) -> ByteArray:
        """(H, W) uint8 class map, see ``SceneBatch.classes``; what has no label counts as static."""
        found = self.batch.classes[0].cpu().numpy()
        return np.asarray(np.where(found == UNKNOWN, 0, found), np.uint8)

    @property
    def velocity(self) -> FloatArray:
        """(H, W, 2) float32 widths a second, known beyond the matte too."""
        return np.ascontiguousarray(self.batch.velocity[0].permute(1, 2, 0).cpu().numpy(), np.float32)

    def layer(self, seconds: float) -> FloatArray:
        """The moving surface alone at a time, uncovered, (H, W, 3) float32 0..255."""
        return _picture(self.batch.layer(seconds)[0][0])

    def render(self, seconds: float) -> ByteArray:
        """The true frame at a time, (H, W, 3) uint8."""
        return np.rint(_picture(self.batch.frame(seconds)[0])).astype(np.uint8)


def make_scene(
    rng: np.random.Generator,
    height: int,
    width: int,
    photos: Pictures | Sequence[ByteArray] | None = None,
    kind: str | None = None,
) -> ProceduralScene:
    """Draw one scene.

    Args:
        rng: same state, same scene.
        height: pixels.
        width: pixels.
        photos: labelled ``Pictures``, or (H', W', 3) uint8 pictures without labels; None draws noise.
        kind: one of ``KINDS``; None draws one that flows.

    Returns:
        The scene.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
    kind = kind or str(rng.choice(FLOW_KINDS))
    if photos is not None and not isinstance(photos, Pictures):
        photos = _as_pictures(photos)
    return ProceduralScene(draw_scenes(generator, 1, height, width, photos, kinds=(kind,)), kind)


def smooth_noise(rng: np.random.Generator, height: int, width: int, cells: float) -> FloatArray:
    """Noise of unit variance with about ``cells`` bumps across the width, (H, W) float32."""
    w = max(2, round(cells) + 2)
    h = max(2, round(cells * height / width) + 2)
    coarse = rng.standard_normal((h, w)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _as_pictures(photos: Sequence[ByteArray]) -> Pictures | None:
    """Photos of any sizes, brought to the first one's."""
    if not photos:
        return None
    height, width = photos[0].shape[:2]
    same = [cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in photos]
    return Pictures.of_arrays(np.stack(same).astype(np.uint8))


def _picture(colours: torch.Tensor) -> FloatArray:
    return np.ascontiguousarray(colours.permute(1, 2, 0).clamp(0, 1).cpu().numpy() * 255, np.float32)
