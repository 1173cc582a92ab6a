# SPDX-License-Identifier: Apache-2.0
"""GIF, endless or a number of plays: 255 colours chosen from the photo, ordered dither.

The dither is a fixed pattern, so what stands still in the loop stands still in the GIF, byte for byte;
error diffusion would make it crawl, and the file larger.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from stillflow.video.destination import Destination
from stillflow.video.sink import Sink

ByteArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]

COLOURS = 255
"""One of the 256 entries stays free: the encoder marks with it what did not change."""

MIN_DELAY = 2
"""Centiseconds. Browsers show a shorter delay as 10, so faster loops drop frames instead."""

BLOCK = 2048
"""Points whose distances to all colours are taken at a time, 2 MB. What a thread has taken and given back in pieces of
16 MB and more, glibc keeps for it: 40 MB a lane."""

_multiplying = threading.Lock()
"""OpenBLAS keeps 17 MB for every thread that has multiplied while another did, for ever: frames are made in lanes."""

MAX_SAMPLES = 40_000
"""Pixels of frame 0 that choose the palette."""


@dataclass(frozen=True)
class Palette:
    """Colours with a table that finds the nearest one.

    Attributes:
        colours: (n, 3) uint8 RGB, n <= 255.
        table: (64, 64, 64) uint8, red, green, blue in steps of 4 -> index of the nearest colour.
        spread: amplitude of the dither in grey levels: about the distance between neighbouring colours.
        error: mean absolute error of frame 0 in grey levels, dithered.
    """

    colours: ByteArray
    table: ByteArray
    spread: int
    error: float


def bayer() -> FloatArray:
    """Return the (8, 8) ordered dither matrix of Bayer (1973), values -0.5..0.5, mean 0."""
    matrix = np.zeros((1, 1))
    for _ in range(3):
        matrix = np.block([[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]])
    return ((matrix + 0.5) / matrix.size - 0.5).astype(np.float32)


def choose_palette(frame: ByteArray) -> Palette:
    """Choose colours for a picture: variance-based cutting, then three rounds of k-means.

    Args:
        frame: (H, W, 3) uint8 RGB.
    """
    pixels = frame.reshape(-1, 3)
    step = max(1, len(pixels) // MAX_SAMPLES)
    samples = pixels[::step].astype(np.float32)
    centres = _cut(samples, COLOURS)
    for _ in range(3):
        nearest = _nearest(samples, centres)
        weight = np.bincount(nearest, minlength=len(centres)).astype(np.float32)
        sums = np.stack([np.bincount(nearest, samples[:, c], len(centres)) for c in range(3)], axis=1)
        used = weight > 0
        centres[used] = (sums[used] / weight[used, None]).astype(np.float32)
    colours = np.unique(np.rint(centres).astype(np.uint8), axis=0)
    axis = np.arange(64, dtype=np.float32) * 4 + 1.5
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    table = _nearest(grid, colours.astype(np.float32)).astype(np.uint8).reshape(64, 64, 64)
    spread = _neighbour_distance(colours.astype(np.float32))
    chosen = Palette(colours, table, spread, 0.0)
    return Palette(colours, table, spread, _error(chosen, frame, apply_palette(chosen, frame)))


def apply_palette(palette: Palette, frame: ByteArray) -> ByteArray:
    """Return the (H, W) uint8 indices of a picture in a palette, dithered."""
    height, width = frame.shape[:2]
    tile = np.rint(bayer() * palette.spread).astype(np.int16)
    pattern = np.tile(tile, (height // 8 + 1, width // 8 + 1))[:height, :width]
    lighter = cv2.merge([np.maximum(pattern, 0).astype(np.uint8)] * 3)
    darker = cv2.merge([np.maximum(-pattern, 0).astype(np.uint8)] * 3)
    dithered = np.asarray(
        cv2.subtract(cv2.add(frame, lighter), darker), np.uint8
    )  # both saturate at 0 and 255
    cell = (dithered >> 2).astype(np.uint32)
    where = (cell[..., 0] << 12) | (cell[..., 1] << 6) | cell[..., 2]
    return np.asarray(palette.table.reshape(-1)[where], np.uint8)


def _cut(samples: FloatArray, count: int) -> FloatArray:
    """Split the samples into boxes, always the one with the most squared error, across its widest axis."""
    boxes = [samples]
    errors = [float(samples.var(axis=0).sum()) * len(samples)]
    while len(boxes) < count:
        worst = int(np.argmax(errors))
        if errors[worst] <= 0:
            break
        box = boxes[worst]
        axis = int(np.argmax(box.var(axis=0)))
        below = box[:, axis] <= box[:, axis].mean()
        halves = [box[below], box[~below]]
        boxes[worst : worst + 1] = halves
        errors[worst : worst + 1] = [float(half.var(axis=0).sum()) * len(half) for half in halves]
    return np.stack([box.mean(axis=0) for box in boxes]).astype(np.float32)


def _nearest(points: FloatArray, centres: FloatArray) -> npt.NDArray[np.intp]:
    """Return for each point the index of the nearest centre; by blocks, since the distances need n x m."""
    half_norm = (centres**2).sum(axis=1) / 2
    blocks = []
    for k in range(0, len(points), BLOCK):
        with _multiplying:
            products = points[k : k + BLOCK] @ centres.T
        blocks.append(np.argmax(products - half_norm, axis=1))
    return np.concatenate(blocks)


def _neighbour_distance(colours: FloatArray) -> int:
    """Return the mean distance of a colour to its nearest neighbour along one channel, 2..24 levels."""
    if len(colours) < 2:
        return 0
    squared = ((colours[:, None] - colours[None]) ** 2).sum(axis=-1)
    np.fill_diagonal(squared, np.inf)
    return int(np.clip(np.sqrt(squared.min(axis=1)).mean() * 2 / math.sqrt(3), 2, 24))


def _error(palette: Palette, frame: ByteArray, indices: ByteArray) -> float:
    shown = palette.colours[indices[::4, ::4]].astype(np.int16)
    return float(np.abs(shown - frame[::4, ::4]).mean())


class GifSink(Sink):
    """Encodes a GIF.

    A GIF counts time in centiseconds: frame i is shown from ceil(100 i / fps), so 30 fps becomes delays
    of 4, 3, 3 and keeps its length; above 50 fps frames are left out. The palette comes from frame 0,
    the photo; a frame that it fits badly brings its own.

    Args:
        destination: where the file goes.
        width: columns of a frame.
        height: rows of a frame.
        rate: frames a second.
        plays: how often a viewer shows the loop, 0 = for ever.
    """

    def __init__(
        self, destination: Destination, *, width: int, height: int, rate: Fraction, plays: int
    ) -> None:
        super().__init__(destination, width, height)
        self._rate = rate
        self._palette: Palette | None = None
        # The file says how often to repeat after the first time, 0 = for ever, none at all = once.
        loop = {0: 0, 1: -1}.get(plays, plays - 1)
        with destination.errors():
            self._file = av.open(str(destination.path), "w", format="gif", options={"loop": str(loop)})
        self._stream = self._file.add_stream("gif", rate=100)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "pal8"
        self._stream.codec_context.time_base = Fraction(1, 100)
        self._shown = -MIN_DELAY
        self._held: list[Any] = []

    def _start(self, index: int) -> int:
        return math.ceil(100 * index / self._rate)

    def _prepare(self, index: int, frame: ByteArray) -> av.VideoFrame:
        if index == 0 or self._palette is None:
            self._palette = choose_palette(frame)
        palette, indices = self._palette, apply_palette(self._palette, frame)
        if _error(palette, frame, indices) > 2 * palette.error + 4:
            palette = choose_palette(frame)
            indices = apply_palette(palette, frame)
        entries = np.zeros((256, 4), np.uint8)  # alpha, red, green, blue; the last stays transparent
        entries[: len(palette.colours), 0] = 255
        entries[: len(palette.colours), 1:] = palette.colours
        both: Any = (indices, entries)
        return av.VideoFrame.from_ndarray(both, format="pal8")

    def _put(self, prepared: av.VideoFrame) -> None:
        start = self._start(self.count)
        if start - self._shown < MIN_DELAY:
            return
        self._shown = start
        prepared.pts = start
        prepared.time_base = Fraction(1, 100)
        self._file.mux(self._held)
        self._held = self._stream.encode(prepared)

    def _finish(self) -> None:
        # The muxer takes delays from the times, but the last from the packet: up to the loop's end.
        for packet in self._held:
            packet.duration = max(self._start(self.count) - self._shown, MIN_DELAY)
        self._file.mux(self._held + self._stream.encode(None))
        self._file.close()

    def _discard(self) -> None:
        self._file.close()
