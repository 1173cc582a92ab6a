# SPDX-License-Identifier: Apache-2.0
"""What a splat throws: features and their weights, multiplied once a photo; every form of the kernels reads it.

What comes from graphs is planar, (C, h, w); what is thrown is interleaved, (h, w, C).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from stillflow.errors import StillflowError
from stillflow.kernels.arrays import FloatArray

LEAST_WEIGHT = 1e-8
"""Sums are divided by no less: a pixel that only far lighter sources reached goes dark, as it did in training."""

CHANNELS_MOST = 1024
"""Channels of a source; a generator of the family has 65, with layers 67."""

DENOMINATORS_MOST = 4
"""Weights by which the channels of a source may be divided."""


class Window(NamedTuple):
    """Rows y0..y1-1 and columns x0..x1-1 of the picture."""

    y0: int
    y1: int
    x0: int
    x1: int


@dataclass(frozen=True)
class SplatSource:
    """What is thrown: constant in time, made once a photo.

    Attributes:
        values: (h, w, C) float32, the channels already multiplied by their weights, then the weights themselves.
        ends: one number a weight: channels up to ends[0] are divided by the first weight, from there up to ends[1]
            by the second... The weights are the last len(ends) channels in that order, ends[-1] = C - len(ends).
            Empty: nothing is divided.
        shape: (H, W) of the picture; what lands outside is dropped.
        origin: (y, x) in the picture of values[0, 0], for a source that covers a part of it only.
    """

    values: FloatArray
    ends: tuple[int, ...]
    shape: tuple[int, int]
    origin: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        values, (top, left) = self.values, self.origin
        if values.ndim != 3 or values.dtype != np.float32 or not values.flags.c_contiguous or not values.size:
            raise StillflowError(
                "cannot throw these values",
                f"they are {values.shape} {values.dtype}",
                "pass a C-contiguous (h, w, C) float32 array that is not empty",
            )
        rows, columns, channels = values.shape
        inside = 0 <= top <= self.shape[0] - rows and 0 <= left <= self.shape[1] - columns
        if not inside or channels > CHANNELS_MOST:
            raise StillflowError(
                "the values do not fit the picture",
                f"{columns}x{rows} of {channels} channels at ({left}, {top}) of {self.shape[1]}x{self.shape[0]}",
                f"keep the part inside the picture, and at most {CHANNELS_MOST} channels",
            )
        steps = (0, *self.ends)
        if len(self.ends) > DENOMINATORS_MOST or (
            self.ends
            and (self.ends[-1] != channels - len(self.ends) or any(a >= b for a, b in zip(steps, steps[1:])))
        ):
            raise StillflowError(
                "the weights do not fit the values",
                f"ends are {self.ends}, there are {channels} channels",
                f"let ends rise to the number of channels less the weights, at most {DENOMINATORS_MOST}",
            )

    @property
    def outputs(self) -> int:
        """Channels that are left when the weights are divided out."""
        return int(self.values.shape[2]) - len(self.ends)

    @property
    def whole(self) -> Window:
        """The window that is the whole picture."""
        return Window(0, self.shape[0], 0, self.shape[1])


def weights_of(log_weight: FloatArray, weight_floor: float | None = None) -> FloatArray:
    """Return exp(Z - max Z), in (0, 1] except where it underflows; the largest Z of the array given is the max.

    Args:
        log_weight: Z, the encoder's logit of the whole picture, any shape.
        weight_floor: Z - max Z is clamped to at least this, or None (see the manifest's loop).

    Returns:
        float32 of the same shape. The exponential is taken in float64 and rounded once: the same on any machine.

    Raises:
        StillflowError: Z holds something that is no number.
    """
    if not np.isfinite(log_weight).all():
        raise StillflowError(
            "cannot weigh the features",
            "the encoder's weight is not finite somewhere",
            "check the bundle: stillflow bundle verify BUNDLE",
        )
    relative = log_weight - log_weight.max()
    if weight_floor is not None:
        relative = np.maximum(relative, np.float32(weight_floor))
    return np.asarray(np.exp(relative.astype(np.float64)), np.float32)


def symmetric_source(
    features: FloatArray, log_weight: FloatArray, weight_floor: float | None = None
) -> SplatSource:
    """Ready an encoder's features to be thrown: F w, w.

    Args:
        features: F, (C, H, W) float32 as the graph gives them.
        log_weight: Z, (H, W) float32.
        weight_floor: see ``weights_of``.
    """
    weight = weights_of(log_weight, weight_floor)
    return _source([(features, weight)])


def layered_source(
    features: FloatArray, log_weight: FloatArray, fluid: FloatArray, background: FloatArray
) -> SplatSource:
    """Ready features and the fluid's alpha to be thrown: F w, af e^c0, w, e^c0.

    c0 = s(af) / max(s(af) + s(ab), 1e-8), s the logistic function: the alpha that blends fluid over background.

    Args:
        features: F, (C, H, W) float32.
        log_weight: Z, (H, W) float32.
        fluid: af, (H, W) float32, logits.
        background: ab, (H, W) float32, logits.
    """
    af, ab = (1 / (1 + np.exp(-np.clip(a.astype(np.float64), -700, 700))) for a in (fluid, background))
    share = af / np.maximum(af + ab, LEAST_WEIGHT)
    groups = [(features, weights_of(log_weight)), (fluid[None], np.exp(share).astype(np.float32))]
    return _source(groups)


def _source(groups: list[tuple[FloatArray, FloatArray]]) -> SplatSource:
    shape = groups[0][1].shape
    for planes, weight in groups:
        if planes.ndim != 3 or planes.shape[1:] != shape or weight.shape != shape:
            raise StillflowError(
                "the features do not fit their weights",
                f"features are {planes.shape}, weights {weight.shape}, the picture is {shape}",
                "pass (C, H, W) features and (H, W) weights of one picture",
            )
    ends = tuple(int(n) for n in np.cumsum([len(planes) for planes, _ in groups]))
    values = np.empty((*shape, ends[-1] + len(groups)), np.float32)
    for index, ((planes, weight), begin, end) in enumerate(zip(groups, (0, *ends), ends, strict=False)):
        np.multiply(np.moveaxis(planes, 0, -1), weight[..., None], out=values[..., begin:end])
        values[..., ends[-1] + index] = weight
    return SplatSource(values, ends, (int(shape[0]), int(shape[1])))


def share_at(t: float, frames: int, edge_share: float = 0.0) -> float:
    """Return alpha = 1 - t / N, the forward throw's share, kept within [edge_share, 1 - edge_share]."""
    return min(max(1.0 - t / frames, edge_share), 1.0 - edge_share)


class Shaped(Protocol):
    """What has a picture's size."""

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the picture."""


def check_window(source: Shaped, window: Window | None) -> Window:
    """Return the window, the whole picture for None.

    Raises:
        StillflowError: it is empty or reaches beyond the picture.
    """
    height, width = source.shape
    window = Window(0, height, 0, width) if window is None else window
    if not (0 <= window.y0 < window.y1 <= height and 0 <= window.x0 < window.x1 <= width):
        raise StillflowError(
            "the window does not fit the picture",
            f"it is {tuple(window)}, the picture is {width}x{height}",
            "ask for at least one row and column inside the picture",
        )
    return window


def check_displacement(source: SplatSource, displacement: FloatArray) -> None:
    """Raise StillflowError unless there is one float32 displacement for each source pixel."""
    shape = (*source.values.shape[:2], 2)
    if displacement.shape != shape or displacement.dtype != np.float32:
        raise StillflowError(
            "the displacement does not fit the source",
            f"it is {displacement.shape} {displacement.dtype}, the source needs {shape} float32",
            "compute it at the size of the features, in x, y pixels",
        )
