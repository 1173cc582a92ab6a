# SPDX-License-Identifier: Apache-2.0
"""Steps that a scene's fields are rounded to, so that a baked file repeats the scene to the last bit.

docs/sflow.md holds the table. A field of one kind is whole numbers of 16 bits times one power of two. The power is
the least of the kind, raised until the largest number fits; rounding twice changes nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.kernels.arrays import FloatArray

LARGEST = 32767
"""Numbers run from -32767 to 32767."""

HIGHEST_EXPONENT = 60
"""Of a file; a step of 2^60 field pixels is nothing that a motion has."""

LEAST_EXPONENT = {"inside": -10, "sway": -9, "light": -12, "blend": -8}
"""Of every kind but the velocity, whose step depends on the length of the loop."""

LEAST_INSIDE = 21
"""Steps of 2^-10: the first number above the kernels' CONFIDENCE_FLOOR of 0.02."""

Numbers = npt.NDArray[np.int16]


def least_exponent(kind: str, frames: int) -> int:
    """Exponent of the finest step of a kind.

    Args:
        kind: "velocity", "inside", "sway", "light" or "blend".
        frames: N of the loop, >= 1.

    Returns:
        Of the velocity floor(log2(2^-7 / N)): half a step over a whole loop is at most 2^-8 field pixels.
    """
    # ceil(log2(N)) in whole numbers: no logarithm is exact for every N.
    return -7 - (frames - 1).bit_length() if kind == "velocity" else LEAST_EXPONENT[kind]


def to_numbers(kind: str, values: FloatArray, frames: int) -> tuple[Numbers, int]:
    """Round a field.

    Args:
        kind: as for ``least_exponent``.
        values: float32, any shape.
        frames: N of the loop.

    Returns:
        int16 numbers of the same shape, halves rounded to even, and the exponent: value = number * 2^exponent.

    Raises:
        StillflowError: a value is NaN, infinite or beyond 2^74.
    """
    exponent = least_exponent(kind, frames)
    largest = float(np.abs(values).max(initial=0))
    while np.isfinite(largest) and np.rint(np.ldexp(largest, -exponent)) > LARGEST:
        exponent += 1
    if not np.isfinite(largest) or exponent > HIGHEST_EXPONENT:
        raise StillflowError(
            f"cannot play this motion: its {kind} cannot be rounded",
            f"the largest value is {largest:g}",
            "give a motion of finite numbers, such as stillflow motion writes",
        )
    numbers = np.rint(np.ldexp(values, -exponent)).astype(np.int16)
    return np.maximum(numbers, LEAST_INSIDE).astype(np.int16) if kind == "inside" else numbers, exponent


def to_values(numbers: Numbers, exponent: int) -> FloatArray:
    """The values of numbers: exact, since a float32 holds any int16 times a power of two from -60 to 60."""
    return np.ldexp(numbers.astype(np.float32), exponent).astype(np.float32)


def rounded(kind: str, values: FloatArray, frames: int) -> FloatArray:
    """Round a field to the steps of its kind; see ``to_numbers``.

    Returns:
        float32 of the same shape, C-contiguous. There is no negative zero among them.
    """
    return np.ascontiguousarray(to_values(*to_numbers(kind, values, frames)))
