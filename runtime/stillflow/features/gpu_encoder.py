# SPDX-License-Identifier: Apache-2.0
"""Encodes a photo once on a GPU: what ``painter`` and ``layered`` keep of it, without leaving the device."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stillflow.bundle.interfaces import LAYERS
from stillflow.errors import StillflowError
from stillflow.features.even_tiles import Tile, even_tiles
from stillflow.features.gpu_networks import DeviceSessions, Made, checked, input_array, smaller
from stillflow.features.networks import FeatureNetworks
from stillflow.features.tiles import TiledGraph
from stillflow.gpu.arrays import DeviceArray
from stillflow.gpu.layer import Argument, CudaDevice, Stream
from stillflow.gpu.trouble import OutOfMemoryError
from stillflow.kernels.arrays import ByteArray
from stillflow.kernels.cuda_splat import BLOCK, RUN, CudaSource, CWindow, stride_of
from stillflow.kernels.splat_source import Window

SOURCE = Path(__file__).parents[1] / "kernels" / "cuda" / "features.cu"
"""The kernels; they lie in the package as data."""


class Piece(ctypes.Structure):
    """Piece of features.cu."""

    _fields_ = (("outer", CWindow), ("core", CWindow))


@dataclass(frozen=True, eq=False)
class EncodedPhoto:
    """What is kept of a photo on a device; the same for every frame.

    Attributes:
        pixels: address of (H, W, 3) uint8.
        source: features and their weights, of the padded photo.
        background: address of (3, H', W') float32 -1..1, what is shown in holes; None: the photo.
        standing: address of (H', W') float32 0..1, the background's alpha; None for one layer.
        owned: gives the memory back.
    """

    pixels: int
    source: CudaSource
    background: int | None
    standing: int | None
    owned: ExitStack

    def close(self) -> None:
        """Give the memory back, after all that uses it is done; harmless twice."""
        self.owned.close()


def piece(tile: Tile) -> Piece:
    """A tile as kernels take it."""
    return Piece(CWindow(*tile.outer), CWindow(*tile.core))


def encode_photo(
    photo: ByteArray,
    size: tuple[int, int],
    networks: FeatureNetworks,
    sessions: DeviceSessions,
    device: CudaDevice,
    stream: Stream,
) -> EncodedPhoto:
    """Encode a photo.

    Args:
        photo: (H, W, 3) uint8.
        size: height and width of the padded picture: beyond the photo its last row and column go on.
        networks: how graphs are cut into tiles; their own ``run`` is not used.
        sessions: the graphs on the device.
        device: where.
        stream: that orders it.

    Returns:
        What is kept of it; it is there when this returns.

    Raises:
        OutOfMemoryError: the features of the whole picture do not fit, or not even the smallest tile.
        StillflowError: the encoder's weight is not finite, or a graph fails.
    """
    with ExitStack() as owned, ExitStack() as meanwhile, finished(stream):
        work = _Encoding(photo, size, sessions, device, stream, owned, meanwhile)
        if networks.layers is None:
            weight, count = work.encode(networks.encoder, extra=1)
            work.weigh(weight, 0, count, count, networks.weight_floor)
            ends: tuple[int, ...] = (count,)
            background: int | None = None
            standing: int | None = None
        else:
            graphs = dict(zip(LAYERS, networks.layers, strict=True))
            background = work.planes(owned, 3)
            work.over("background", graphs["background"], work.keep("background", background, 3))
            standing, fluid = work.planes(owned, 1), work.planes(meanwhile, 1)
            work.over(
                "alpha_encoder",
                graphs["alpha_encoder"],
                work.keep("alpha_background", standing, 1),
                work.keep("alpha_fluid", fluid, 1),
            )
            weight, count = work.encode(networks.encoder, extra=3)
            work.weigh(weight, 0, count, count + 1, networks.weight_floor)
            work.alphas(fluid, standing, count, weight if networks.alpha_weight == "features" else None)
            ends = (count, count + 1)
        stream.synchronize()
        source = CudaSource(work.values, *size, work.channels, ends, size)
        return EncodedPhoto(work.pixels, source, background, standing, owned.pop_all())


@contextmanager
def finished(stream: Stream) -> Iterator[None]:
    """Wait for a stream at the end of a block, also of one that failed: memory is given back after it."""
    try:
        yield
    finally:
        with suppress(StillflowError):
            stream.synchronize()


class _Encoding:
    """The steps of ``encode_photo``, over memory of a photo."""

    def __init__(
        self,
        photo: ByteArray,
        size: tuple[int, int],
        sessions: DeviceSessions,
        device: CudaDevice,
        stream: Stream,
        owned: ExitStack,
        meanwhile: ExitStack,
    ) -> None:
        self._photo, self._size, self._sessions = photo, size, sessions
        self._device, self._stream = device, stream
        self._owned, self._meanwhile = owned, meanwhile
        self._kernels = device.kernels(SOURCE)
        self._count = size[0] * size[1]
        self.values = self.channels = 0
        self.pixels = self._take(owned, photo.nbytes)
        device.upload(np.ascontiguousarray(photo), self.pixels, stream)

    def planes(self, owned: ExitStack, count: int) -> int:
        """Address of so many float32 planes of the padded picture."""
        return self._take(owned, 4 * count * self._count)

    def keep(self, name: str, place: int, planes: int) -> Callable[[Tile, Made], None]:
        """What puts an output's planes together at a place."""

        def put(tile: Tile, made: Made) -> None:
            array = checked(made, name, tile, planes)
            self._launch(
                "sf_keep",
                planes * _area(tile.core),
                piece(tile),
                ctypes.c_int(planes),
                ctypes.c_void_p(array.address),
                *map(ctypes.c_int, self._size),
                ctypes.c_void_p(place),
            )

        return put

    def encode(self, graph: TiledGraph, extra: int) -> tuple[int, int]:
        """Lay the encoder's features out as they are thrown.

        Args:
            graph: the encoder.
            extra: channels left free after the features.

        Returns:
            Address of the logits, and the number of features.
        """
        logits = self.planes(self._meanwhile, 1)
        count = 0

        def interleave(tile: Tile, made: Made) -> None:
            nonlocal count
            array = checked(made, "features", tile)
            count = array.shape[1]
            if not self.values:
                self.channels = count + extra
                self.values = self._take(self._owned, 4 * self._count * stride_of(self.channels))
            self._interleave(piece(tile), _area(tile.core), count, array.address, 0)

        self.over("encoder", graph, interleave, self.keep("weight", logits, 1))
        return logits, count

    def over(self, name: str, graph: TiledGraph, *puts: Callable[[Tile, Made], None]) -> None:
        """Run a graph over the photo, in smaller tiles where memory is short."""
        height, width = self._size
        session = self._sessions[name]

        def plan(graph: TiledGraph) -> list[Tile]:
            return even_tiles(graph, Window(0, height, 0, width), height, width)

        while True:
            tiles = plan(graph)
            try:
                with ExitStack() as tile_memory, finished(self._stream):
                    tile_memory.callback(session.release, self._stream)
                    cut = self._take(tile_memory, 12 * max(tile.pixels for tile in tiles))
                    for tile in tiles:
                        made = session.run_on({"photo": self._cut(tile.outer, cut)}, self._stream)
                        for put in puts:
                            put(tile, made)
                return
            except OutOfMemoryError:
                less = smaller(graph, plan)
                if less is None:
                    raise
                graph = less

    def weigh(self, logits: int, first: int, channels: int, place: int, floor: float | None) -> None:
        """Multiply features by their weight, which takes the place of its logit and a channel of its own.

        Raises:
            StillflowError: a logit is not finite.
        """
        numbers, count = logits, self._count
        while count > 1 or numbers == logits:
            peaks = self._take(self._meanwhile, 4 * -(-count // RUN))
            sizes = ctypes.c_int(count), ctypes.c_int(RUN)
            count = -(-count // RUN)
            self._launch("sf_peak", count, ctypes.c_void_p(numbers), *sizes, ctypes.c_void_p(peaks))
            numbers = peaks
        peak = np.empty(1, np.float32)
        self._device.download(numbers, peak, self._stream)
        self._stream.synchronize()
        if not np.isfinite(peak[0]):
            raise StillflowError(
                "cannot weigh the features",
                "the encoder's weight is not finite somewhere",
                "check the bundle: stillflow bundle verify BUNDLE",
            )
        self._launch(
            "sf_weights",
            self._count,
            ctypes.c_void_p(logits),
            ctypes.c_int(self._count),
            ctypes.c_void_p(numbers),
            ctypes.c_float(-math.inf if floor is None else floor),
        )
        self._multiply(logits, first, channels, place)

    def alphas(self, fluid: int, standing: int, features: int, shared: int | None) -> None:
        """Throw the fluid's alpha logit too, by its own weight or by that of the features."""
        whole = Window(0, self._size[0], 0, self._size[1])
        self._interleave(piece(Tile(whole, whole)), self._count, 1, fluid, features)
        own = self.planes(self._meanwhile, 1)
        both = ctypes.c_void_p(fluid), ctypes.c_void_p(standing)
        self._launch("sf_alphas", self._count, *both, ctypes.c_int(self._count), ctypes.c_void_p(own))
        self._multiply(own if shared is None else shared, features, 1, features + 2)

    def _cut(self, window: Window, place: int) -> DeviceArray:
        """A window of the photo as a graph's input."""
        rows, columns = window.y1 - window.y0, window.x1 - window.x0
        size = map(ctypes.c_int, self._photo.shape[:2])
        place_of = ctypes.c_void_p(place)
        self._launch(
            "sf_cut", rows * columns, ctypes.c_void_p(self.pixels), *size, CWindow(*window), place_of
        )
        return input_array(self._device, self._stream, place, (1, 3, rows, columns))

    def _interleave(self, of: Piece, pixels: int, channels: int, made: int, at: int) -> None:
        self._launch(
            "sf_interleave",
            pixels * -(-channels // BLOCK),
            of,
            ctypes.c_int(channels),
            ctypes.c_void_p(made),
            ctypes.c_int(self._size[1]),
            ctypes.c_int(stride_of(self.channels)),
            ctypes.c_void_p(self.values + 4 * at),
        )

    def _multiply(self, weight: int, first: int, channels: int, place: int) -> None:
        numbers = self._count, stride_of(self.channels), first, channels, place
        self._launch(
            "sf_weigh",
            self._count * -(-channels // BLOCK),
            ctypes.c_void_p(weight),
            *map(ctypes.c_int, numbers),
            ctypes.c_void_p(self.values),
        )

    def _launch(self, kernel: str, items: int, *arguments: Argument) -> None:
        self._kernels.launch(kernel, items, self._stream, *arguments)

    def _take(self, owned: ExitStack, size: int) -> int:
        memory = self._device.allocate(size)
        owned.callback(memory.close)
        return memory.address


def _area(window: Window) -> int:
    return (window.y1 - window.y0) * (window.x1 - window.x0)
