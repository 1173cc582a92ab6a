# SPDX-License-Identifier: Apache-2.0
"""Real layers with a part hidden: what is behind is known, since the photo showed it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.generator import generator_field
from stillflow.kernels.arrays import FloatArray
from stillflow.motion import FLOW_CLASSES
from stillflow_training.generator_loops import continued
from stillflow_training.labels import LabelledPhoto
from stillflow_training.procedural import smooth_noise


def cut_layer(
    rng: np.random.Generator, photos: list[LabelledPhoto], size: tuple[int, int]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Hide a part of a real photo's moving layer.

    Returns:
        colours (h, w, 3) float32 0..255, known (h, w) float32 and the hidden part (h, w) float32, whose
        true colours are in ``colours``.
    """
    h, w = size
    while True:
        item = photos[rng.integers(len(photos))]
        flows = np.isin(item.classes, FLOW_CLASSES).astype(np.uint8)
        if flows.mean() < 0.05:
            continue
        height, width = flows.shape
        part = rng.uniform(0.6, 1)
        top, left = (int(rng.uniform(0, n * (1 - part))) for n in (height, width))
        window = np.s_[top : top + int(height * part), left : left + int(width * part)]
        colours = cv2.resize(item.photo[window], (w, h), interpolation=cv2.INTER_AREA).astype(np.float32)
        layer = cv2.resize(flows[window], (w, h), interpolation=cv2.INTER_NEAREST)
        if rng.random() < 0.5:
            colours, layer = np.ascontiguousarray(colours[:, ::-1]), np.ascontiguousarray(layer[:, ::-1])
        hidden = _blob(rng, h, w) & (layer > 0)
        known = (layer > 0) & ~hidden
        if hidden.sum() > 40 and known.sum() > 100:
            return colours, known.astype(np.float32), hidden.astype(np.float32)


def _blob(rng: np.random.Generator, h: int, w: int) -> npt.NDArray[np.bool_]:
    """Shapes such as hide a layer: an occluder, a band along a side, scattered islands."""
    kind = rng.integers(3)
    if kind == 0:
        return np.asarray(smooth_noise(rng, h, w, rng.uniform(2, 6)) > rng.uniform(0.4, 1.2))
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    if kind == 1:
        angle = rng.uniform(0, 2 * np.pi)
        along = (x / w - 0.5) * np.cos(angle) + (y / h - 0.5) * np.sin(angle)
        return np.asarray(along + 0.03 * smooth_noise(rng, h, w, 6) > rng.uniform(0.05, 0.4))
    shape = np.zeros((h, w), np.uint8)
    for _ in range(rng.integers(1, 5)):
        centre = (int(rng.uniform(0, w)), int(rng.uniform(0, h)))
        axes = (int(rng.uniform(2, w * 0.2)), int(rng.uniform(2, h * 0.25)))
        cv2.ellipse(shape, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return shape > 0


def draw_cuts(
    rng: np.random.Generator, photos: list[LabelledPhoto], count: int, size: tuple[int, int]
) -> dict[str, FloatArray]:
    """Draw real layers with a part hidden behind a piece of another photo.

    Args:
        rng: same state, same cuts.
        photos: labelled photos; at least one must show something that flows.
        count: n.
        size: (h, w).

    Returns:
        field (n, 9, h, w), truth (n, 3, h, w) 0..1, hidden (n, h, w).
    """
    fields, truths, hiddens = [], [], []
    h, w = size
    for _ in range(count):
        colours, layer, hidden = cut_layer(rng, photos, size)
        other = photos[rng.integers(len(photos))].photo
        front = cv2.resize(other, (w, h), interpolation=cv2.INTER_AREA)[:, :: rng.choice((1, -1))]
        photo = np.where(hidden[..., None] > 0, front, colours).astype(np.uint8)
        known, inside, plate = continued(photo, (layer > 0).astype(np.uint8))
        angle, travel = rng.uniform(0, 2 * np.pi), rng.uniform(0.02, 0.2) * w
        velocity = np.empty((h, w, 2), np.float32)
        velocity[...] = (np.cos(angle) * travel, np.sin(angle) * travel)
        ones = np.ones((h, w), np.uint8)
        shown = photo.astype(np.float32)
        fields.append(generator_field(plate.astype(np.float32), known, velocity, ones, inside, 1, shown))
        truths.append(colours.transpose(2, 0, 1) / 255)
        hiddens.append(hidden)
    return {
        "field": np.stack(fields),
        "truth": np.stack(truths).astype(np.float32),
        "hidden": np.stack(hiddens),
    }
