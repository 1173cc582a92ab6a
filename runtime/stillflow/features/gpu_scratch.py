# SPDX-License-Identifier: Apache-2.0
"""The memory of one lane of a feature scene on a GPU: what is landed on, tiles of the decoder, and a canvas."""

from __future__ import annotations

import ctypes
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from stillflow.errors import StillflowError
from stillflow.features.even_tiles import Tile
from stillflow.features.gpu_displacements import MOMENT_BYTES
from stillflow.features.gpu_encoder import finished
from stillflow.features.tiles import TiledGraph
from stillflow.gpu.layer import CudaDevice, Stream
from stillflow.kernels.cuda_splat import CudaSplat
from stillflow.kernels.splat_source import Window

if TYPE_CHECKING:
    from stillflow.features.gpu_painter import GpuPainter

SIDE = 16
"""Pixels of a side of the blocks that say whether a hole is near."""


class Canvas(ctypes.Structure):
    """Canvas of features.cu."""

    _fields_ = (
        ("height", ctypes.c_int),
        ("width", ctypes.c_int),
        ("painted", ctypes.c_void_p),
        ("open", ctypes.c_void_p),
        ("near", ctypes.c_void_p),
    )


class FeatureScratch:
    """Memory of one lane. Made by ``GpuPainter.scratch``; frames that share it are made one after the other.

    Attributes:
        windows: of the picture, in which a frame is decoded.
        decoder: how it is cut into tiles.
        tiles: that these windows are decoded in.
        ready: whether there is memory for them.
        stream: for which the networks hold memory.
    """

    def __init__(
        self, painter: GpuPainter, windows: tuple[Window, ...], decoder: TiledGraph, nv12: bool
    ) -> None:
        self.windows = windows
        self._painter = painter
        self.stream: Stream | None = None
        self._tiled = ExitStack()
        device, (height, width) = painter.device, painter.size
        pixels, size = height * width, painter.displacements.bytes
        with ExitStack() as owned, finished(painter.stream):
            # Only NV12 is made over a frame of its own.
            self.rgb = _take(device, owned, painter.plan.photo.nbytes) if nv12 else None
            if windows:
                self.moment = _take(device, owned, MOMENT_BYTES)
                self.maps = _take(device, owned, size), _take(device, owned, size)
                self.near_bytes = -(-height // SIDE) * -(-width // SIDE)
                canvas = (_take(device, owned, count) for count in (12 * pixels, pixels, self.near_bytes))
                self.canvas = Canvas(height, width, *canvas)
            owned.callback(self.drop)
            # Room for the lane's finished frame, which is taken after this.
            frame = device.allocate(painter.plan.photo.nbytes)
            try:
                self.retile(decoder)
            finally:
                frame.close()
            if self.rgb is not None:
                device.copy(painter.photo.pixels, self.rgb, painter.plan.photo.nbytes, painter.stream)
            for place in self.maps if windows else ():
                device.clear(place, size, painter.stream)
            painter.stream.synchronize()
            self._owned = owned.pop_all()

    def retile(self, decoder: TiledGraph) -> None:
        """Take memory for tiles, when nothing of the lane is in the works.

        Raises:
            OutOfMemoryError: the lane is not ``ready`` then.
        """
        self.drop()
        painter = self._painter
        self.decoder, self.tiles = decoder, painter.tiles(self.windows, decoder)
        if not self.tiles:
            self.ready = True
            return
        source, largest = painter.photo.source, max(tile.pixels for tile in self.tiles)
        still = source.rows * source.columns - painter.displacements.moving
        with ExitStack() as owned:
            self.splat = CudaSplat(source, painter.device, _around(self.tiles), still)
            owned.callback(self.splat.close)
            self.features = _take(painter.device, owned, 4 * source.outputs * largest)
            self.mask = _take(painter.device, owned, 4 * largest)
            self._tiled = owned.pop_all()
        self.ready = True

    def drop(self) -> None:
        """Give back what tiles and networks hold for this lane, when nothing of it is in the works."""
        self.ready = False
        self.release()
        self._tiled.close()

    def used_with(self, stream: Stream) -> None:
        """Remember whose stream the networks hold memory for."""
        self.stream = stream

    def release(self) -> None:
        """Give back what the networks hold for this lane."""
        stream, self.stream = self.stream, None
        if stream is None:
            return
        for session in self._painter.decoding:
            with suppress(StillflowError):
                session.release(stream)

    def close(self) -> None:
        """Give the memory back, after the stream has done its work; harmless twice."""
        try:
            self.drop()
        finally:
            self._owned.close()
            self._painter.closed(self)


def _take(device: CudaDevice, owned: ExitStack, size: int) -> int:
    memory = device.allocate(size)
    owned.callback(memory.close)
    return memory.address


def _around(tiles: list[Tile]) -> Window:
    """The window that holds all of them."""
    outer = [tile.outer for tile in tiles]
    return Window(
        min(w.y0 for w in outer), max(w.y1 for w in outer), min(w.x0 for w in outer), max(w.x1 for w in outer)
    )
