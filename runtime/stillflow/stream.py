# SPDX-License-Identifier: Apache-2.0
"""Streams: how a flow begins at its lip and ends at its foot.

A velocity that is constant up to the edge of its region carries the edge along: the lip of a fall comes down
as a line, and at the foot both sources of a pixel lie outside. So speed is a function of the way along the
stream: it rises from the lip, as falling water's does (v^2 = v0^2 + 2 g s), and sinks towards the foot. Where
the stream only goes on behind something nearer, or beyond the border of the picture, nothing is changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.kernels.reference import grid

DOUBLINGS = 6
"""A stream is followed for 2^6 steps of one field sample each way: 256 pixels."""

LIP_SPEED = 0.2
"""Share of the full speed at a lip. A texture is stretched along the stream by the inverse on its way down."""

FOOT_SPEED = 0.25
"""Share of the full speed at a foot, where the texture is squeezed by the inverse: less than at the lip, since
squeezed texture is aliased and stretched texture looks like a longer exposure."""

RISE = 0.6
"""Way over which the speed rises or sinks, in ways travelled at full speed in one cross-fade cycle."""

MOST_OF_STREAM = 0.3
"""Share of a stream's length from lip to foot that is travelled in one cross-fade cycle at most."""

LENGTH_SIGMA = 0.02
"""Picture widths over which the lengths of neighbouring streams are averaged, so that they move alike."""

SHEAR_SIGMA = 1.5
"""Samples over which the factors of neighbouring streams are averaged."""

LIP_BAND = 0.02
"""Picture widths below a lip in which the photo may show the lip itself."""

FALLING = 0.7
"""Cosine to the vertical from which on a stream may be a fall."""

FALL_SPEED = 0.06
"""Picture widths a second from which on it is one: waves that come towards the viewer are slower."""


@dataclass(frozen=True, eq=False)
class Course:
    """What lies up and down the stream of each sample.

    Attributes:
        up: (h, w) float32 field pixels from where the stream enters its region, at most 2^DOUBLINGS.
        down: (h, w) float32 field pixels to where it leaves.
        lip: (h, w) bool, the stream begins there; not where it comes from behind something or from outside.
        foot: (h, w) bool, the same for its end.
    """

    up: FloatArray
    down: FloatArray
    lip: npt.NDArray[np.bool_]
    foot: npt.NDArray[np.bool_]


def follow(velocity: FloatArray, layers: ByteArray, order: ByteArray) -> Course:
    """Follow every stream up to where it enters its region and down to where it leaves it.

    Args:
        velocity: (h, w, 2) float32, picture widths a second.
        layers: (h, w) uint8, the class that flows in a sample, 0 elsewhere.
        order: (h, w) uint8, occlusion order.
    """
    found = [_follow_one(velocity, layers == label, order) for label in np.unique(layers[layers > 0])]
    if not found:
        nothing = np.zeros(layers.shape, np.float32)
        return Course(nothing, nothing, nothing > 0, nothing > 0)
    # Outside its own class a course is zero and has no ends.
    return Course(
        up=np.sum([course.up for course in found], axis=0, dtype=np.float32),
        down=np.sum([course.down for course in found], axis=0, dtype=np.float32),
        lip=np.any([course.lip for course in found], axis=0),
        foot=np.any([course.foot for course in found], axis=0),
    )


def _follow_one(velocity: FloatArray, inside: npt.NDArray[np.bool_], order: ByteArray) -> Course:
    """Follow the streams of one class: where another begins, as at a horizon, they end."""
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    heading = np.asarray(velocity / np.maximum(speed, 1e-9)[..., None], np.float32)
    up, x, y = _march(np.negative(heading), inside)
    falls = (heading[..., 1] > FALLING) & (speed > FALL_SPEED)
    lip = _ends(x, y, inside, order, falls)
    down, x, y = _march(heading, inside)
    foot = _ends(x, y, inside, order, falls)
    return Course(np.where(inside, up, 0), np.where(inside, down, 0), lip, foot)


def _march(heading: FloatArray, inside: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Go along a heading until the region ends; way in samples, and where it ended, each (h, w) float32."""
    h, w = inside.shape
    x, y = grid(h, w)
    go = inside.astype(np.float32)
    # Displacement and way together: one lookup composes both.
    state = np.dstack([heading[..., 0] * go, heading[..., 1] * go, go]).astype(np.float32)
    for _ in range(DOUBLINGS):
        there = cv2.remap(
            state,
            x + state[..., 0],
            y + state[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        state = state + there
    return state[..., 2], x + state[..., 0], y + state[..., 1]


def _ends(
    x: FloatArray,
    y: FloatArray,
    inside: npt.NDArray[np.bool_],
    order: ByteArray,
    falls: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """Whether a stream ends in the picture where it was followed to, and not behind something nearer.

    What falls begins and ends in the picture whatever the order says: the cliff is one piece that lies above,
    beside and below it, and a rock in it divides it.
    """
    h, w = inside.shape
    beyond = (x < 0.5) | (y < 0.5) | (x > w - 1.5) | (y > h - 1.5)
    px = np.clip(np.rint(x), 0, w - 1).astype(np.int32)
    py = np.clip(np.rint(y), 0, h - 1).astype(np.int32)
    # One sample further, so that what is read lies surely outside.
    outside = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    behind = cv2.dilate(np.where(inside, 0, order).astype(np.uint8), np.ones((3, 3), np.uint8))
    nearer = behind[py, px] > order
    return np.asarray(inside & outside[py, px] & ~beyond & (falls | ~nearer))


def doubt(course: Course) -> FloatArray:
    """Trust in what lies near a lip: the photo's lip line must fade before it comes down; (h, w) float32 0..1."""
    band = max(1.0, LIP_BAND * course.up.shape[1])
    return np.where(course.lip, np.clip(course.up / band, 0, 1), 1).astype(np.float32)


def settle(course: Course, travel: FloatArray) -> FloatArray:
    """Factor on the speed along each stream.

    Args:
        course: what ``follow`` returned.
        travel: (h, w) float32, field pixels travelled in one cross-fade cycle at full speed.

    Returns:
        (h, w) float32 in (0, 1].
    """
    # A stream that is short from lip to foot looks different at each of its heights: it is travelled in parts.
    length = _smooth(course.up + course.down, course.lip & course.foot)
    short = np.minimum(1, MOST_OF_STREAM * length / np.maximum(travel, 1e-3))
    travel = travel * short
    rise = np.maximum(travel * np.float32(RISE), 1)
    factor = np.ones(travel.shape, np.float32)
    for way, ends, least in ((course.up, course.lip, LIP_SPEED), (course.down, course.foot, FOOT_SPEED)):
        slow = least + (1 - least) * np.clip(way / rise, 0, 1)
        factor = np.where(ends, np.minimum(factor, slow), factor)
    # Neighbouring streams may end differently, and would shear what lies across them. Outside there is no
    # stream to be averaged with.
    inside = (course.up > 0).astype(np.float32)
    total = cv2.GaussianBlur((factor * short * inside).astype(np.float32), (0, 0), SHEAR_SIGMA)
    weight = cv2.GaussianBlur(inside, (0, 0), SHEAR_SIGMA)
    return np.asarray(np.where(inside > 0, total / np.maximum(weight, 0.1), 1), np.float32)


def _smooth(length: FloatArray, where: npt.NDArray[np.bool_]) -> FloatArray:
    """Mean of the streams' lengths around each sample; endless where none nearby has two ends."""
    sigma = max(1.0, LENGTH_SIGMA * length.shape[1])
    weight = cv2.GaussianBlur(where.astype(np.float32), (0, 0), sigma)
    total = cv2.GaussianBlur(np.where(where, length, 0).astype(np.float32), (0, 0), sigma)
    return np.asarray(np.where(where, total / np.maximum(weight, 1e-6), np.inf), np.float32)
