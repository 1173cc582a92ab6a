# SPDX-License-Identifier: Apache-2.0
"""Outlines that bend: what sways moves up to its very edge and takes a little of what lies behind it along.

Next to what stands in front of it, or holds it, a swaying thing stands still. The motion knows regions to a few
pixels only; here they are those that were cut along the photo's own edges.
"""

from __future__ import annotations

import cv2
import numpy as np

from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.layer import nearest_owner
from stillflow.motion import SWAY_CLASSES, Motion
from stillflow.oscillation import Mask, Oscillation, behind, envelope, held, reach_of, steepness

SLOPE = 0.3
"""Largest change of an amplitude from one sample to the next."""

STEEPEST = 0.5
"""Displacements never change by more than this from one sample to the next: below 1 nothing folds."""

LEAST = 0.02
"""Field pixels (0.08 pixels of the picture): smaller displacements are none."""


def bend_outlines(
    motion: Motion, flows: ByteArray, sways: ByteArray
) -> tuple[ByteArray, ByteArray, Oscillation]:
    """Fit a motion's sway to the regions as the photo shows them.

    Args:
        motion: with sway in picture widths.
        flows: (H, W) uint8, 255 where a layer streams.
        sways: (H, W) uint8, 255 where something sways.

    Returns:
        Both masks, the second one wider by what is bent along and the first one less by as much, and the
        sway in field pixels, 0 outside the second mask.
    """
    h, w = motion.matte.shape
    region = cv2.resize(sways, (w, h), interpolation=cv2.INTER_AREA) > 127
    if not motion.sway.shape[0] or not region.any():
        return flows, sways, Oscillation(np.zeros((0, h, w, 4), np.float32), np.zeros(0, np.float32))
    coefficients = motion.sway * np.float32(motion.width / 4)
    over, reach = _behind_cut_region(motion, region)
    wanted = envelope(coefficients)
    allowed = held(wanted, region, over, slope=SLOPE, reach=reach)
    factor = np.minimum(1, allowed / np.maximum(wanted, 1e-6))
    bent = cv2.resize(np.minimum(allowed, wanted), flows.shape[::-1], interpolation=cv2.INTER_LINEAR)
    beyond = cv2.resize(over.astype(np.float32), flows.shape[::-1], interpolation=cv2.INTER_LINEAR)
    halo = ((bent > LEAST) & (beyond > 0.5)).astype(np.uint8)
    wider = cv2.morphologyEx(halo | (sways > 0), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) * np.uint8(255)
    less = np.where(wider > 0, 0, flows).astype(np.uint8)
    swaying = np.ascontiguousarray(coefficients * factor[None, ..., None], np.float32)
    swaying *= np.float32(min(1.0, STEEPEST / max(steepness(Oscillation(swaying, motion.sway_hz)), 1e-6)))
    return less, wider, Oscillation(swaying, motion.sway_hz)


def _behind_cut_region(motion: Motion, region: Mask) -> tuple[Mask, FloatArray]:
    """What lies behind a region that is cut finer than the motion's classes, and how far it may be bent along."""
    # Samples that the motion still counts to the swaying thing, but the cut does not, are what is next to them.
    outside = ~region & ~np.isin(motion.classes, SWAY_CLASSES)
    if not outside.any():
        return np.zeros(region.shape, np.bool_), np.zeros(region.shape, np.float32)
    classes = (nearest_owner(np.where(outside, motion.classes.astype(np.int32) + 1, 0)) - 1).astype(np.uint8)
    order = (nearest_owner(np.where(outside, motion.order.astype(np.int32) + 1, 0)) - 1).astype(np.uint8)
    inside = np.isin(motion.classes, SWAY_CLASSES) & region
    ranks = nearest_owner(np.where(inside, motion.order.astype(np.int32) + 1, 0)) - 1
    order = np.where(region, np.maximum(ranks, 0), order).astype(np.uint8)
    return behind(region, classes, order), reach_of(classes)
