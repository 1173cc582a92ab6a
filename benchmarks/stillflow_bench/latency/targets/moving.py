# SPDX-License-Identifier: Apache-2.0
"""How a share of a photo is made to move, a column in its middle that falls as users would ask for it; and what did."""

from __future__ import annotations

import numpy as np

from stillflow.guidance import Arrow, Guidance
from stillflow.kernels.arrays import ByteArray, field_shape

SPEED = 0.06
"""Picture widths a second: that of ``photos.falling_column``."""

FARTHEST = 0.6
"""Of the height, that the arrow spans at most."""


def guidance_of(width: int, height: int, share: float | None) -> Guidance | None:
    """What to ask of an animator.

    The rest is painted still, so that the networks do not find more. The edge of what moves is soft, and the share that
    really moves differs by about a field sample on either side.

    Args:
        width: of the picture, pixels.
        height: likewise.
        share: of the picture, 0..1; None leaves it to the networks.
    """
    if share is None:
        return None
    column = round(width * share)
    if not column:
        # A mask or a strength of 0 would not do: the one must leave something, the other freezes what is found.
        return Guidance(velocity=np.zeros((*field_shape(height, width), 2), np.float32))
    moves = np.zeros((height, width), np.bool_)
    left = (width - column) // 2
    moves[:, left : left + column] = True
    span = min(FARTHEST, 2 * SPEED * width / height)
    arrow = Arrow(0.5, 0.2, 0.5, 0.2 + span, seconds=span * height / width / SPEED)
    return Guidance(mask=moves, still=~moves, arrows=(arrow,))


def moving_share(matte: ByteArray) -> float:
    """Share of the picture that really moves, 0..1; 1 of 255 is light alone."""
    return round(float((matte > 1).mean()), 4)
