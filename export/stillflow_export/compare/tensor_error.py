# SPDX-License-Identifier: Apache-2.0
"""How far one tensor of a graph is from the same tensor of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

TINY = 1e-12
"""Smallest root mean square that errors are divided by: a tensor of zeros has no scale of its own."""


@dataclass(frozen=True)
class TensorError:
    """One tensor, over all samples: figures of the sample in which it is relatively the worst.

    Attributes:
        relative: root mean square of the difference, divided by that of the tensor; infinite when it is NaN or
            infinite on one side only.
        max_abs: largest difference.
        cosine: of the angle between both, 1 when they point the same way.
        scale: root mean square of the tensor.
        sample: name of that sample.
    """

    relative: float
    max_abs: float
    cosine: float
    scale: float
    sample: str


def tensor_error(a: npt.NDArray[Any], b: npt.NDArray[Any], sample: str) -> TensorError:
    """Compare two arrays; A is the reference.

    Args:
        a: any shape, a float type.
        b: of the same shape.
        sample: name, for the result.
    """
    if a.shape != b.shape:
        return TensorError(np.inf, np.inf, 0.0, 0.0, sample)
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    there = np.isfinite(x) & np.isfinite(y)
    with np.errstate(invalid="ignore"):
        # Where A is NaN or infinite, B has to be the same: then nothing has parted.
        alike = there | (x == y) | (np.isnan(x) & np.isnan(y))
    if not alike.all():
        return TensorError(np.inf, np.inf, 0.0, _rms(x[there]), sample)
    x, y = x[there], y[there]
    if not x.size:
        return TensorError(0.0, 0.0, 1.0, 0.0, sample)
    difference, scale = np.abs(x - y), _rms(x)
    norm = scale * _rms(y)
    cosine = float(np.clip((x * y).mean() / norm, -1, 1)) if norm > TINY**2 else float(scale == _rms(y))
    return TensorError(_rms(difference) / max(scale, TINY), float(difference.max()), cosine, scale, sample)


def _rms(values: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0


def worse(a: TensorError | None, b: TensorError) -> TensorError:
    """The one that is relatively worse."""
    return b if a is None or b.relative > a.relative else a
