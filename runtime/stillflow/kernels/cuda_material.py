# SPDX-License-Identifier: Apache-2.0
"""What of a scene lies in a GPU's memory as long as it is played, and what the kernels cannot play."""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.kernels.arrays import SceneArrays
from stillflow.kernels.moving import Moving

PIXELS_MOST = 1 << 27
"""Pixels of the largest picture: the kernels index its bytes in 32 bits."""

SIDE_MOST = 65535
"""Longest side: places in lists are two numbers of 16 bits."""


MOST = 1e5
"""Largest number in a field, as for the kernels in C: speeds beyond it would overflow."""


class Sizes(ctypes.Structure):
    """Sizes of scene.cuh."""

    _fields_ = tuple((name, ctypes.c_int) for name in ("height", "width", "h", "w", "texels"))


class Materials(ctypes.Structure):
    """Materials of fields.cu."""

    _fields_ = (
        ("low", ctypes.c_void_p),
        ("cycles", ctypes.c_void_p),
        ("flow", ctypes.c_void_p),
        ("blend", ctypes.c_void_p),
        ("sway", ctypes.c_void_p),
        ("plate", ctypes.c_void_p),
        ("harmonics", ctypes.c_int),
        ("layers", ctypes.c_int),
    )


def check(arrays: SceneArrays) -> None:
    """Refuse what the kernels cannot play.

    Raises:
        StillflowError: the picture is too large, or an array holds what is no number or absurdly large.
    """
    height, width = arrays.height, arrays.width
    if max(height, width) > SIDE_MOST or height * width > PIXELS_MOST:
        raise StillflowError(
            "cannot play this scene on a GPU",
            f"it has {width}x{height} pixels, the kernels take {PIXELS_MOST} and sides of {SIDE_MOST} at most",
            "make the photo smaller first",
        )
    for name in ("velocity", "inside", "sway", "blend", "low", "light"):
        array = getattr(arrays, name)
        # What is no number is no more than any.
        if array is not None and array.size and not (array.min() >= -MOST and array.max() <= MOST):
            raise StillflowError(
                "cannot play this scene on a GPU",
                f"its {name} array holds what is no number, or one beyond {MOST:g}",
                "build the scene anew with stillflow.scene.build_scene and check its values",
            )


def constant_arrays(arrays: SceneArrays, moving: Moving) -> dict[str, npt.NDArray[np.generic]]:
    """Arrays that are copied to the device as they are, by name; those that a scene lacks are empty."""
    lists = {f"steps {level}": places for level, places in enumerate(moving.steps)}
    return {
        "photo": arrays.photo,
        "matte": arrays.matte,
        "velocity": arrays.velocity,
        "cycles": arrays.cycles,
        "flow": arrays.flow,
        "counts": np.flatnonzero(np.bincount(arrays.cycles.ravel())).astype(np.uint8),
        "low": np.concatenate([arrays.low, arrays.inside[..., None]], -1),
        "blend": np.zeros(0, np.float32) if arrays.blend is None else arrays.blend,
        "sway": arrays.sway,
        "light": arrays.light,
        "periods": np.concatenate([arrays.sway_periods, arrays.light_periods]).astype(np.int32),
        **lists,
        "sources": moving.sources,
        "rows": moving.rows,
        "blended": moving.blended,
        "lit": moving.lit,
        "units": moving.units,
        "converted": moving.converted,
    }
