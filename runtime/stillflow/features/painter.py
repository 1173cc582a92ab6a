# SPDX-License-Identifier: Apache-2.0
"""Encodes a photo once and paints any window of any frame from what it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from stillflow.features.networks import FeatureNetworks
from stillflow.features.tiles import Arrays, Source, TiledGraph
from stillflow.kernels.arrays import FloatArray
from stillflow.kernels.native_splat import NativeSplat
from stillflow.kernels.splat_source import SplatSource, Window, weights_of
from stillflow.player import MAX_LANES, usable_cores

BAND = 64
"""Rows of features multiplied at a time."""


class Painter(Protocol):
    """What a feature scene asks of a generator."""

    @property
    def fill(self) -> FloatArray:
        """(3, H, W) float32 -1..1, what is shown where the frame has a hole."""

    @property
    def thrower(self) -> Thrower:
        """Throws what is kept of the photo."""

    def paint(self, window: Window, native: NativeSplat) -> tuple[FloatArray, FloatArray]:
        """Paint a window of one frame.

        Args:
            window: of the padded picture.
            native: aimed at the rows that the window's ``around`` names.

        Returns:
            (3, rows, columns) float32 -1..1, and (rows, columns) float32: 0 in holes that the network could
            not close.
        """

    def around(self, window: Window) -> Window:
        """The window on which features must land so that another can be painted."""


class Thrower:
    """Throws one source for several frames at a time, each with memory of its own that is used again.

    Args:
        source: features and their weights, of the padded photo.
    """

    def __init__(self, source: SplatSource) -> None:
        self.source = source
        self._free: list[NativeSplat] = []

    @contextmanager
    def thrown(
        self, forward: FloatArray, backward: FloatArray, share: float, window: Window
    ) -> Iterator[NativeSplat]:
        """Throw for one frame.

        Args:
            forward: (H, W, 2) float32, displacement after t frames of the velocity.
            backward: likewise, after N - t frames of minus the velocity.
            share: of the forward throw.
            window: rows that may be landed on.
        """
        # list.pop and list.append are atomic: no lock is needed.
        try:
            native = self._free.pop()
        except IndexError:
            native = NativeSplat(self.source, min(usable_cores(), MAX_LANES))
        native.aim([(forward, share), (backward, 1.0 - share)], window)
        yield native
        native.rest()
        self._free.append(native)


@dataclass(frozen=True, eq=False)
class PlainPainter:
    """One layer: features are thrown and decoded.

    Attributes:
        thrower: of features and their weights, of the padded photo.
        decoder: features and mask to frame and closed.
        fill: (3, H, W) float32, the padded photo.
    """

    thrower: Thrower
    decoder: TiledGraph
    fill: FloatArray

    def paint(self, window: Window, native: NativeSplat) -> tuple[FloatArray, FloatArray]:
        """See ``Painter.paint``."""
        made = self.decoder.over(landed_inputs(native), window, *self.thrower.source.shape)
        return made["frame"], made["closed"][0]

    def around(self, window: Window) -> Window:
        """See ``Painter.around``."""
        return self.decoder.outer(window, *self.thrower.source.shape)


def landed_inputs(native: NativeSplat) -> Source:
    """Give what landed in a window as a decoder's inputs."""

    def landed(window: Window) -> Arrays:
        features, mask = native.land(window)
        return {"features": features[None], "mask": mask[None, None]}

    return landed


def plain_painter(photo: FloatArray, networks: FeatureNetworks) -> PlainPainter:
    """Encode a photo.

    Args:
        photo: (3, H, W) float32 -1..1, sides multiples of ``networks.multiple``.
        networks: of the bundle.
    """
    values, weight = encoded(photo, networks.encoder, extra=1)
    weigh(values, slice(0, values.shape[2] - 1), weights_of(weight, networks.weight_floor), -1)
    source = SplatSource(values, (values.shape[2] - 1,), (photo.shape[1], photo.shape[2]))
    return PlainPainter(Thrower(source), networks.decoder, photo)


def encoded(photo: FloatArray, encoder: TiledGraph, extra: int) -> tuple[FloatArray, FloatArray]:
    """Run the encoder over a photo.

    Args:
        photo: (3, H, W) float32.
        encoder: photo to features and weight.
        extra: channels left free after the features.

    Returns:
        Features (H, W, C + extra) float32, interleaved as they are thrown, and Z, (H, W) float32.
    """
    height, width = photo.shape[1:]
    whole = Window(0, height, 0, width)
    values: FloatArray | None = None
    weight = np.empty((height, width), np.float32)
    for at, made in encoder.pieces(photo_source(photo), whole, height, width):
        features = made["features"]
        if values is None:
            values = np.empty((height, width, len(features) + extra), np.float32)
        rows, columns = slice(at.y0, at.y1), slice(at.x0, at.x1)
        values[rows, columns, : len(features)] = features.transpose(1, 2, 0)
        weight[rows, columns] = made["weight"][0]
    assert values is not None
    return values, weight


def weigh(values: FloatArray, channels: slice, weight: FloatArray, place: int) -> None:
    """Multiply channels by their weight in place, and put the weight into a channel of its own."""
    for top in range(0, len(values), BAND):
        rows = slice(top, top + BAND)
        values[rows, :, channels] *= weight[rows, :, None]
        values[rows, :, place] = weight[rows]


def photo_source(photo: FloatArray) -> Source:
    """Give windows of a planar photo as a graph's input."""

    def cut(window: Window) -> Arrays:
        part = photo[:, window.y0 : window.y1, window.x0 : window.x1]
        return {"photo": np.ascontiguousarray(part[None])}

    return cut
