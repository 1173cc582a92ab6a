# SPDX-License-Identifier: Apache-2.0
"""Consensus: a network's classes, brought to agree among places of one photo that look alike and lie near each other.

A network that learned from few photos knows a surface here and doubts it there. The photo itself says that both places
are the same: mean-field inference in a fully connected conditional random field (Krähenbühl and Koltun 2011) with one
Gaussian kernel over place and colour. At the network's own grid there are so few places that all pairs are computed.
"""

from __future__ import annotations

import cv2
import numpy as np

from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.motion import MOVING_CLASSES, STILL_CLASSES

LONG_SIDE = 48
"""Samples along the longer side: the network's own grid; 1,536 places at 3:2."""

REACH = 0.3
"""Picture widths over which places are neighbours (standard deviation)."""

COLOUR_REACH = 8.0
"""CIELAB units over which colours are alike (standard deviation): shades of one lawn, not lawn and path."""

WEIGHT = 3.0
"""Weight of the neighbours against a place's own answer."""

ROUNDS = 5
"""Of mean-field updates; more change nothing that is seen."""


def agree(classes: FloatArray, moves: FloatArray, photo: ByteArray) -> tuple[FloatArray, FloatArray]:
    """Let places that look alike agree.

    Args:
        classes: (10, h, w) logits, of any size.
        moves: (h, w) logits.
        photo: (H, W, 3) uint8.

    Returns:
        The same at ``LONG_SIDE``: log-probabilities of the classes (10, h', w'), and the logit of moves (h', w'), which
        is the mean of what "moves" and what the classes say.
    """
    height, width = photo.shape[:2]
    scale = LONG_SIDE / max(height, width)
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    kernel = _kernel(cv2.resize(photo, size, interpolation=cv2.INTER_AREA))
    own = _log_softmax(np.stack([cv2.resize(plane, size).ravel() for plane in classes]))
    log_shares = own
    for _ in range(ROUNDS):
        log_shares = _log_softmax(own + WEIGHT * (np.exp(log_shares) @ kernel))
    said = cv2.resize(moves, size).ravel()
    logit = said
    for _ in range(ROUNDS):
        logit = said + WEIGHT * (np.tanh(logit / 2) @ kernel)
    shares = np.exp(log_shares)
    moving, still = (shares[list(group)].sum(0) + 1e-6 for group in (MOVING_CLASSES, STILL_CLASSES))
    both = (np.clip(logit, -14, 14) + np.log(moving / still)) / 2
    shape = size[::-1]
    return np.asarray(log_shares.reshape(-1, *shape), np.float32), np.asarray(both.reshape(shape), np.float32)


def _kernel(photo: ByteArray) -> FloatArray:
    """Normalised affinity of all pairs of places, (n, n) float32, symmetric, 0 on the diagonal."""
    h, w = photo.shape[:2]
    colours = cv2.cvtColor(photo.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3) / COLOUR_REACH
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) / np.float32(w * REACH)
    features = np.concatenate([x.reshape(-1, 1), y.reshape(-1, 1), colours], 1).astype(np.float32)
    squares = (features**2).sum(1)
    affinity = features @ features.T
    affinity *= 2
    affinity -= squares[:, None]
    affinity -= squares
    np.minimum(affinity, 0, out=affinity)
    affinity *= 0.5
    np.exp(affinity, out=affinity)
    np.fill_diagonal(affinity, 0)
    norm = 1 / np.sqrt(affinity.sum(0) + 1e-3)
    affinity *= norm[:, None]
    affinity *= norm
    return np.asarray(affinity, np.float32)


def _log_softmax(logits: FloatArray) -> FloatArray:
    shifted = logits - logits.max(0)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(0)), np.float32)
