# SPDX-License-Identifier: Apache-2.0
"""Training samples for the generator: layers with a part cut away, and blends whose truth is known."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.generator import generator_field
from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.kernels.reference import CONFIDENCE_FLOOR, grid, lookup, trace
from stillflow.layer import push_pull
from stillflow.motion import FLOW_CLASSES
from stillflow_training.labels import LabelledPhoto
from stillflow_training.procedural import ProceduralScene, make_scene, smooth_noise

CONFIDENCE_RAMP = 2.5
"""Field pixels beyond a region's edge over which confidence falls, as in ``stillflow.scene``."""


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


def blend_sample(rng: np.random.Generator, scene: ProceduralScene, cycle: float) -> dict[str, FloatArray]:
    """One moment of a loop over a procedural scene, with both sources and what they stand for.

    The truth is the cross-fade of the two sources as they would be if nothing were hidden: the scene's
    texture is known everywhere, also behind occluders and beyond the picture.

    Args:
        rng: draws the moment.
        scene: at field size.
        cycle: seconds in one cross-fade cycle.

    Returns:
        field (9, h, w), a and b (3, h, w) 0..1, w0 (h, w), u (1,), truth (3, h, w), inside (h, w).
    """
    h, w = scene.matte.shape
    shown = scene.render(0.0).astype(np.float32)
    known = (scene.matte > 0.98).astype(np.float32)
    fill = push_pull(shown, known)
    distance = cv2.distanceTransform((known == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    inside = np.maximum(1 - distance / CONFIDENCE_RAMP, CONFIDENCE_FLOOR).astype(np.float32)
    velocity = (scene.velocity * w * cycle).astype(np.float32)
    cycles: ByteArray = np.ones((h, w), np.uint8)
    field = generator_field(fill, known, velocity, cycles, inside, 1)
    u = float(rng.uniform(0.02, 0.98))
    x, y = grid(h, w)
    sources, truths, confidence = [], [], []
    for time in (-u, 1 - u):
        d = trace(velocity, time)
        px, py = x + d[..., 0], y + d[..., 1]
        sources.append(lookup(fill, px, py) / 255)
        beyond = np.maximum(np.maximum(-px, px - (w - 1)), np.maximum(-py, py - (h - 1)))
        ramp = np.clip(1 - np.maximum(beyond, 0) / 2.5, 0, 1)
        confidence.append(np.maximum(lookup(inside, px, py) * ramp, CONFIDENCE_FLOOR))
        truths.append(scene.layer(-time * cycle) / 255)
    a, b = (1 - u) * confidence[0], u * confidence[1]
    return {
        "field": field,
        "a": np.ascontiguousarray(sources[0].transpose(2, 0, 1)),
        "b": np.ascontiguousarray(sources[1].transpose(2, 0, 1)),
        "w0": np.asarray(a / (a + b), np.float32),
        "u": np.array([u], np.float32),
        "truth": np.ascontiguousarray(((1 - u) * truths[0] + u * truths[1]).transpose(2, 0, 1), np.float32),
        "inside": known,
        "lost": np.asarray((np.maximum(*confidence) < 0.5) * known, np.float32),
    }


def draw_blends(
    rng: np.random.Generator, photos: list[LabelledPhoto], count: int, size: tuple[int, int]
) -> dict[str, FloatArray]:
    """A batch of ``blend_sample``: arrays stacked by name."""
    pictures = [p.photo for p in photos]
    rows = []
    while len(rows) < count:
        scene = make_scene(rng, *size, pictures)
        if scene.matte.mean() < 0.05:
            continue
        speed = float(np.hypot(scene.velocity[..., 0], scene.velocity[..., 1]).mean())
        # Travel of 2-20 % of the width in a cycle, as the cycle plan allows.
        rows.append(blend_sample(rng, scene, float(rng.uniform(0.02, 0.2)) / max(speed, 1e-3)))
    return {name: np.stack([row[name] for row in rows]).astype(np.float32) for name in rows[0]}


def draw_cuts(
    rng: np.random.Generator, photos: list[LabelledPhoto], count: int, size: tuple[int, int]
) -> dict[str, FloatArray]:
    """A batch of cut layers: field, truth (n, 3, h, w) 0..1, hidden (n, h, w)."""
    fields, truths, hiddens = [], [], []
    for _ in range(count):
        colours, known, hidden = cut_layer(rng, photos, size)
        distance = cv2.distanceTransform((known == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        inside = np.maximum(1 - distance / CONFIDENCE_RAMP, CONFIDENCE_FLOOR).astype(np.float32)
        h, w = size
        angle, travel = rng.uniform(0, 2 * np.pi), rng.uniform(0.02, 0.2) * w
        velocity = np.empty((h, w, 2), np.float32)
        velocity[...] = (np.cos(angle) * travel, np.sin(angle) * travel)
        fields.append(
            generator_field(push_pull(colours, known), known, velocity, np.ones((h, w), np.uint8), inside, 1)
        )
        truths.append(colours.transpose(2, 0, 1) / 255)
        hiddens.append(hidden)
    return {
        "field": np.stack(fields),
        "truth": np.stack(truths).astype(np.float32),
        "hidden": np.stack(hiddens),
    }
