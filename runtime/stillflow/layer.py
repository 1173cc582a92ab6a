# SPDX-License-Identifier: Apache-2.0
"""The moving layer continued beyond its edge: velocities by push-pull, pixels by push-pull and mirroring.

A trace that leaves the moving region must not land on the static background, or the loop drags it in:
the worst artefact of all. So the layer goes on where the photo does not show it.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.kernels.arrays import ByteArray, FloatArray


def push_pull(values: FloatArray, known: FloatArray) -> FloatArray:
    """Fill what is not known from what is, by a pyramid of weighted means (Gortler et al. 1996).

    Args:
        values: (h, w, c) float32.
        known: (h, w) float32 0..1, weight of each sample.

    Returns:
        (h, w, c) float32: the values where known is 1, smooth continuation elsewhere, all zero when
        nothing is known.
    """
    h, w = known.shape
    if (h == 1 and w == 1) or float(known.min()) >= 1:
        return values * (known[..., None] > 0)
    small = (max(1, (w + 1) // 2), max(1, (h + 1) // 2))
    weighted = cv2.resize(values * known[..., None], small, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(known, small, interpolation=cv2.INTER_AREA)
    weighted = weighted.reshape(small[1], small[0], -1)
    mean = weighted / np.maximum(weight, 1e-6)[..., None]
    # A coarse sample counts in full as soon as half of what it covers is known.
    coarse = push_pull(mean.astype(np.float32), np.minimum(weight * 2, 1).astype(np.float32))
    filled = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_LINEAR).reshape(h, w, -1)
    share = known[..., None]
    return np.asarray(values * share + filled * (1 - share), np.float32)


def nearest_owner(labels: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int32]:
    """Give every unlabelled (0) sample of a map the label of the nearest labelled one.

    Args:
        labels: (h, w) integers, 0 where nothing is known.

    Returns:
        (h, w) int32; all 0 when nothing is labelled.
    """
    if not labels.any():
        return np.zeros(labels.shape, np.int32)
    return np.asarray(labels.ravel()[nearest_to(labels != 0)[1]], np.int32)


BEHIND = 8.0
"""How much later a layer arrives where what is farther than itself is seen: it would lie in front of it."""


MARGIN = 0.025
"""Picture widths beyond its edge in which a layer goes on however slow it is: local means are taken that far."""


def owners(
    classes: ByteArray, known: FloatArray, speed: FloatArray, order: ByteArray | None = None
) -> ByteArray:
    """Say for every sample which layer goes on there: the one that reaches it first.

    A fall travels far and a cloud hardly: what lies between them, above the lip, is where the fall's water
    comes from. So distances count in units of each layer's speed. And a layer goes on behind what is nearer:
    behind the hills between clouds and a lake are clouds.

    Args:
        classes: (h, w) uint8, class of each known sample.
        known: (h, w) float32, > 0 where the photo shows a layer.
        speed: (h, w) float32, any unit.
        order: (h, w) uint8, occlusion order; None when nothing is known of it.

    Returns:
        (h, w) uint8, a class everywhere; all 0 when nothing is known.
    """
    owner = np.zeros(classes.shape, np.uint8)
    margin = np.float32(MARGIN * classes.shape[1])
    soonest = np.full(classes.shape, np.inf, np.float32)
    for label in np.unique(classes[known > 0]):
        mine = (known > 0) & (classes == label)
        distance, nearest = nearest_to(mine)
        unit = max(float(np.percentile(speed[mine], 90)), 1e-4)
        time = np.maximum(distance - margin, 0) / unit + distance * np.float32(1e-3)
        if order is not None:
            time = np.where(order < order.ravel()[nearest], time * np.float32(BEHIND), time)
        owner[time < soonest] = label
        soonest = np.minimum(soonest, time)
    return owner


def nearest_to(where: npt.NDArray[np.bool_]) -> tuple[FloatArray, npt.NDArray[np.int32]]:
    """Distance to the nearest sample of a mask, and that sample's index in the flattened map."""
    distance, labels = cv2.distanceTransformWithLabels(
        (~where).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(int(labels.max()) + 1, np.int32)
    found = np.flatnonzero(where).astype(np.int32)
    table[labels.ravel()[found]] = found
    return distance.astype(np.float32), np.asarray(table[labels], np.int32)


def continue_values(
    values: FloatArray, known: FloatArray, classes: ByteArray, owner: ByteArray
) -> FloatArray:
    """Push-pull for each class on its own: a cloud's colour and speed must not leak into the fall below.

    Args:
        values: (h, w, c) float32.
        known: (h, w) float32 0..1.
        classes: (h, w) uint8, class of each known sample.
        owner: (h, w) uint8, what ``owners`` returned.

    Returns:
        (h, w, c) float32: every sample continues the values of the class that owns it.
    """
    result = np.zeros_like(values)
    for label in np.unique(owner):
        mine = owner == label
        own_known = np.where((classes == label) & (known > 0), known, 0).astype(np.float32)
        result[mine] = push_pull(values, own_known)[mine]
    return result


def mirror_sources(
    region: ByteArray, pixels: npt.NDArray[np.bool_], reach: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], FloatArray, FloatArray]:
    """For pixels outside a region: the pixel inside, mirrored at the nearest point of the edge.

    Args:
        region: (H, W) uint8, non-zero inside; at least one pixel must be.
        pixels: (H, W) bool, which pixels are asked for.
        reach: those further away than this, in pixels, are left out.

    Returns:
        For each pixel that is left: its index in the flattened picture, that of its source, the distance to
        the region in pixels, and how deep the source lies in the region compared with that, 0..1: 1 at a
        straight edge, less where the region is narrower than the distance to mirror over.
    """
    height, width = region.shape
    away, nearest = nearest_to(region > 0)
    found = np.flatnonzero(pixels & (away < reach))
    y, x = np.divmod(found.astype(np.int32), np.int32(width))
    edge = nearest.ravel()[found]
    edge_y, edge_x = np.divmod(edge, np.int32(width))
    my = np.clip(2 * edge_y - y, 0, height - 1)
    mx = np.clip(2 * edge_x - x, 0, width - 1)
    source = my * np.int32(width) + mx
    # A thin region is narrower than the distance to mirror over: then the edge pixel itself stands in.
    source = np.where(region.ravel()[source] == 0, edge, source)
    # Replicated by one pixel: the border of the picture is no edge of the region.
    padded = cv2.copyMakeBorder(region, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    distance = away.ravel()[found]
    deep = np.clip(depth.ravel()[source] / np.maximum(distance, 1), 0, 1).astype(np.float32)
    return found, source, distance, deep


def continue_plate(
    photo: ByteArray, region: ByteArray, owner: ByteArray, fill: FloatArray, reach: float
) -> ByteArray:
    """Continue the moving layers beyond their edges: their own texture mirrored, on the fill's colours.

    The mirrored texture keeps the grain of water or cloud; its local mean is replaced by the fill's as
    the distance grows, so that a bright crest at the edge does not repeat as a ghost line.

    Args:
        photo: (H, W, 3) uint8.
        region: (H, W) uint8, the class where the photo shows a layer, 0 elsewhere.
        owner: (h, w) uint8, class that goes on in each sample (``owners``).
        fill: (h, w, 3) float32 0..255, colours of the layers at field size, everywhere.
        reach: pixels beyond which only the fill is left.

    Returns:
        (H, W, 3) uint8, the photo inside the region.
    """
    plate = photo.copy()
    height, width = region.shape
    smooth = cv2.resize(fill, (width, height), interpolation=cv2.INTER_LINEAR)
    everywhere = cv2.resize(owner, (width, height), interpolation=cv2.INTER_NEAREST)
    shown = region > 0
    for label in np.unique(owner[owner > 0]):
        own = (region == label).astype(np.uint8)
        where = (everywhere == label) & ~shown
        if not (where.any() and own.any()):
            continue
        # A tinted fill may lie beyond white by some levels.
        plate[where] = np.clip(np.rint(smooth[where]), 0, 255).astype(np.uint8)
        found, source, distance, deep = mirror_sources(own, where, max(reach, 1))
        blur = _masked_blur(photo, own, sigma=8).reshape(-1, 3)[source]
        # What is mirrored over the whole of a thin region would repeat it as a rim of its own.
        share = np.clip(np.maximum(distance / max(reach, 1), 2 - 2 * deep), 0, 1)[:, None]
        texture = (photo.reshape(-1, 3)[source] - blur) * (1 - share * share)
        target = blur * (1 - share) + smooth.reshape(-1, 3)[found] * share
        plate.reshape(-1, 3)[found] = np.clip(np.rint(target + texture), 0, 255).astype(np.uint8)
    return np.asarray(plate, np.uint8)


def _masked_blur(photo: ByteArray, region: ByteArray, sigma: float) -> FloatArray:
    """Gaussian mean of the region's own pixels, (H, W, 3) float32; done at 1/4 size, sigma in pixels."""
    height, width = region.shape
    size = (max(1, width // 4), max(1, height // 4))
    weight = cv2.resize((region > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    # INTER_AREA over the whole photo would mix in the background: weigh before shrinking.
    inside = cv2.bitwise_and(photo, photo, mask=(region > 0).astype(np.uint8))
    small = cv2.resize(inside, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    total = cv2.GaussianBlur(small, (0, 0), sigma / 4)
    norm = cv2.GaussianBlur(weight, (0, 0), sigma / 4)
    mean = total / np.maximum(norm, 1e-3)[..., None]
    return np.asarray(cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
