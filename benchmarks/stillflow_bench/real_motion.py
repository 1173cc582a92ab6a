# SPDX-License-Identifier: Apache-2.0
"""What truly moves and how, told by files or measured from a clip, and how far a loop's motion is from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.kernels.arrays import FIELD_SCALE, FloatArray, SceneArrays
from stillflow.kernels.reference import LUMA
from stillflow.photo import read_gray
from stillflow.velocity_file import load_velocity
from stillflow_bench.along_path import full_size
from stillflow_bench.clip import Clip

LEAST_SPEED = 0.1
"""Pixels a frame: what goes slower does not count as moving. Between frames of a still scene, compressed noise makes
the flow of DIS wander by a few hundredths."""

MEASURED = "measured from the clip"

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class RealMotion:
    """The truth about one picture, as far as it is known.

    Attributes:
        moves: (H, W) bool, where it truly moves.
        velocity: (H, W, 2) float32 pixels a frame, or None when nobody says.
        matte_known: somebody drew ``moves``; otherwise it is where ``velocity`` is above ``LEAST_SPEED``.
        said_by: where the velocity comes from, and where the mask does.
    """

    moves: BoolArray
    velocity: FloatArray | None
    matte_known: bool
    said_by: str


def told(
    height: int,
    width: int,
    velocity: Path | None = None,
    mask: Path | None = None,
    clip: Clip | None = None,
) -> RealMotion | None:
    """Gather the truth about a picture; what a file says goes before what is measured from a clip.

    Args:
        height: of the loop, pixels.
        width: of the loop, pixels.
        velocity: .npy or .flo, pixels a frame at its own size, of any size; what a .flo does not know stands still.
        mask: a picture of any size, white where something moves.
        clip: frames of the loop's size.

    Returns:
        The truth, or None when nothing is known.

    Raises:
        StillflowError: a file cannot be read.
    """
    said = []
    field: FloatArray | None = None
    if velocity is not None:
        field = _of_size(load_velocity(velocity).pixels, height, width)
        said.append(velocity.name)
    elif clip is not None:
        field = mean_flow(clip)
        said.append(MEASURED)
    moves: BoolArray | None = None
    if mask is not None:
        drawn = cv2.resize(read_gray(mask), (width, height), interpolation=cv2.INTER_LINEAR)
        moves = np.asarray(drawn > 127)
        said.append(mask.name)
    elif field is not None:
        moves = np.asarray(_speed(field) > LEAST_SPEED)
    if moves is None:
        return None
    return RealMotion(moves, field, mask is not None, ", ".join(said))


def mean_flow(clip: Clip) -> FloatArray:
    """Measure how a clip moves: dense flow of every two neighbouring frames by DIS, averaged over time.

    DIS is Kroeger, Timofte, Dai, Van Gool, "Fast Optical Flow using Dense Inverse Search", ECCV 2016, as OpenCV has
    it. Its flow is smoothed, so it is too slow near edges and reaches beyond them; what has no texture gets none.

    Args:
        clip: at least two frames.

    Returns:
        (H, W, 2) float32 pixels a frame.

    Raises:
        StillflowError: the frames are smaller than DIS can work on.
    """
    grays = [np.asarray(np.rint(frame @ LUMA), np.uint8) for frame in clip.frames]
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    total = np.zeros((*grays[0].shape, 2), np.float64)
    try:
        for now, after in zip(grays, grays[1:], strict=False):
            total += flow.calc(now, after, None)
    except cv2.error as error:
        raise StillflowError(
            f"cannot measure how the clip {clip.name} moves",
            f"its frames of {grays[0].shape[1]}x{grays[0].shape[0]} are too small",
            "give a larger --size, or a larger clip",
        ) from error
    return np.asarray(total / (len(grays) - 1), np.float32)


def played_velocity(arrays: SceneArrays) -> FloatArray:
    """Return how a loop moves: its velocity where it flows, 0 where it stands still or only sways.

    Args:
        arrays: of the scene.

    Returns:
        (H, W, 2) float32 pixels a frame.
    """
    field = arrays.velocity * (arrays.flow > 0)[..., None] * np.float32(FIELD_SCALE)
    # A matte of 1 is touched by light alone.
    return full_size(field, arrays.height, arrays.width) * (arrays.matte > 1)[..., None]


def endpoint_error(found: FloatArray, real: RealMotion) -> float | None:
    """Mean length of the difference to the true velocity where it truly moves, pixels a frame; None without one.

    Args:
        found: (H, W, 2) pixels a frame.
        real: the truth.
    """
    if real.velocity is None or not real.moves.any():
        return None
    return float(_speed(found - real.velocity)[real.moves].mean())


def direction_error(found: FloatArray, real: RealMotion) -> float | None:
    """Mean angle between directions where both move, degrees; None where they nowhere do.

    It is the plain angle in the picture, as at the labels' arrows, not that of Barron, Fleet and Beauchemin 1994
    between (u, v, 1): theirs mixes in the speed, and changes with the size of the picture.

    Args:
        found: (H, W, 2) pixels a frame.
        real: the truth.
    """
    if real.velocity is None:
        return None
    both = real.moves & (_speed(found) > 0) & (_speed(real.velocity) > LEAST_SPEED)
    if not both.any():
        return None
    a, b = found[both].astype(np.float64), real.velocity[both].astype(np.float64)
    turned = np.arctan2(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0], (a * b).sum(1))
    return float(np.degrees(np.abs(turned)).mean())


def _speed(field: FloatArray) -> FloatArray:
    return np.asarray(np.hypot(field[..., 0], field[..., 1]), np.float32)


def _of_size(field: FloatArray, height: int, width: int) -> FloatArray:
    """Bring pixels a frame to another size: each axis is scaled by its own factor."""
    h, w = field.shape[:2]
    way = cv2.INTER_AREA if h * w > height * width else cv2.INTER_LINEAR
    scaled = cv2.resize(field, (width, height), interpolation=way)
    return np.asarray(scaled * np.array([width / w, height / h], np.float32), np.float32)
