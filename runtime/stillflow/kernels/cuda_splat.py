# SPDX-License-Identifier: Apache-2.0
"""Displacements and the splat on a GPU: the bits of ``splat_reference``.

What runs is kernels/cuda/splat.cu; here is which kernel follows which, over what memory. Everything is put into a
stream and nothing waits, and what is thrown, where to, and what lands are addresses on the device; ``symmetric_splat``
and ``euler`` take and give NumPy arrays, for those who want a result and no stream.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stillflow.errors import StillflowError
from stillflow.gpu.layer import AnyArray, CudaDevice, Memory, Stream
from stillflow.kernels.arrays import FloatArray
from stillflow.kernels.splat_reference import grid
from stillflow.kernels.splat_source import (
    DENOMINATORS_MOST,
    SplatSource,
    Window,
    check_displacement,
    check_window,
)

SOURCE = Path(__file__).with_name("cuda") / "splat.cu"
"""The kernels; they lie in the package as data."""

BLOCK = 4
"""Channels, and pixels of a row, of one thread of sf_land; sources lie a multiple of it apart."""

RUN = 256
"""Numbers that one thread sums up: three levels reach 2^24 pixels, four any picture."""

CORNERS = 4
"""Pixels that a source reaches at most."""

THROWS_MOST = 2
"""Throws that land together."""


class Field(ctypes.Structure):
    """Field of splat.cu."""

    _fields_ = (("height", ctypes.c_int), ("width", ctypes.c_int), ("sign", ctypes.c_float))


class CWindow(ctypes.Structure):
    """Tile of splat.cu, Window of features.cu."""

    _fields_ = tuple((name, ctypes.c_int) for name in Window._fields)


class _Picture(ctypes.Structure):
    """Picture of splat.cu."""

    _fields_ = tuple(
        (name, ctypes.c_int)
        for name in ("height", "width", "top", "left", "rows", "columns", "y0", "y1", "x0", "x1")
    )


class _Values(ctypes.Structure):
    """Values of splat.cu."""

    _fields_ = (
        ("stride", ctypes.c_int),
        ("outputs", ctypes.c_int),
        ("denominators", ctypes.c_int),
        ("ends", ctypes.c_int * DENOMINATORS_MOST),
    )


@dataclass(frozen=True)
class CudaSource:
    """What is thrown, on a device: constant in time, thrown by any number of ``CudaSplat``.

    Attributes:
        values: address of (rows, columns, ``stride_of(channels)``) float32, otherwise like ``SplatSource.values``.
        rows: of the values.
        columns: likewise.
        channels: with the weights.
        ends: see ``SplatSource``; not empty.
        shape: likewise.
        origin: likewise.
    """

    values: int
    rows: int
    columns: int
    channels: int
    ends: tuple[int, ...]
    shape: tuple[int, int]
    origin: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if not self.ends:
            raise StillflowError(
                "cannot throw these values on a GPU",
                "they have no weights",
                "name the weights in the source's ends",
            )

    @property
    def outputs(self) -> int:
        """Channels that are left when the weights are divided out."""
        return self.channels - len(self.ends)


def stride_of(channels: int) -> int:
    """Numbers from one source to the next on a device."""
    return channels + -channels % BLOCK


def padded(source: SplatSource) -> FloatArray:
    """A source's values as they lie on a device, (h, w, ``stride_of(C)``) float32."""
    channels = source.values.shape[2]
    return np.pad(source.values, ((0, 0), (0, 0), (0, stride_of(channels) - channels)))


def source_at(address: int, source: SplatSource) -> CudaSource:
    """Describe a source whose ``padded`` values lie at an address."""
    rows, columns, channels = source.values.shape
    return CudaSource(address, rows, columns, channels, source.ends, source.shape, source.origin)


class CudaSplat:
    """Memory to throw a source again and again; one frame at a time, in order of one stream.

    Args:
        source: what is thrown; its values must stay where they are.
        device: where they lie.
        window: the part of the picture that may be landed on; the whole picture without.
        still: sources that never move, of whose displacement every number is 0, need room for fewer landings. How
            many there are at least.

    Raises:
        OutOfMemoryError: nothing was kept then.
    """

    def __init__(
        self, source: CudaSource, device: CudaDevice, window: Window | None = None, still: int = 0
    ) -> None:
        self.source = source
        self.window = check_window(source, window)
        self._kernels = device.kernels(SOURCE)
        self._device = device
        self._throws = 0
        sources = source.rows * source.columns
        self._cells = (self.window.y1 - self.window.y0) * (self.window.x1 - self.window.x0)
        lists = THROWS_MOST * self._cells
        landings = THROWS_MOST * (CORNERS * (sources - still) + still)
        sizes = {"count": lists, "start": lists + 1, "entries": landings, "factors": landings, "shares": 2}
        # Sums of runs, of runs of runs...
        level, left = 0, -(-lists // RUN)
        while left > 1:
            sizes |= {f"sums {level}": left, f"run start {level}": left + 1}
            level, left = level + 1, -(-left // RUN)
        self._memory: dict[str, Memory] = {}
        with ExitStack() as owned:
            for name, numbers in sizes.items():
                self._memory[name] = device.allocate(4 * numbers)
                owned.callback(self._memory[name].close)
            self._owned = owned.pop_all()

    def aim(self, displacements: Sequence[int], shares: int | Sequence[float], stream: Stream) -> None:
        """Find what lands where, for one frame.

        Args:
            displacements: one or two addresses of (rows, columns, 2) float32 in pixels, as the source has them; they
                stay as they are until the stream has done the work.
            shares: factors of their terms, or the address of two float32 with them.
            stream: that orders it.
        """
        if not 1 <= len(displacements) <= THROWS_MOST:
            raise StillflowError("cannot throw", f"there are {len(displacements)} throws", "pass one or two")
        if not isinstance(shares, int):
            given = np.array(shares, np.float32)
            if given.shape != (len(displacements),) or not np.isfinite(given).all():
                raise StillflowError(
                    "cannot throw", "a share is not finite", "pass one for each throw, 0 to 1"
                )
            shares = self._memory["shares"].address
            self._device.upload(given, shares, stream)
        self._throws = len(displacements)
        both = tuple(ctypes.c_void_p(address) for address in displacements)
        both += (ctypes.c_void_p(),) * (THROWS_MOST - len(both))
        sources, lists = (self._throws * n for n in (self.source.rows * self.source.columns, self._cells))
        count, start, entries, factors = (self._at(n) for n in ("count", "start", "entries", "factors"))
        launch, picture = self._kernels.launch, self._picture()
        self._device.clear(self._memory["count"].address, 4 * lists, stream)
        launch("sf_count", sources, stream, picture, *both, count)
        self._scan(count, lists, start, 0, stream)
        launch("sf_fill", sources, stream, picture, *both, start, count, entries)
        launch("sf_sort", lists, stream, picture, *both, ctypes.c_void_p(shares), start, entries, factors)

    def _scan(
        self, numbers: ctypes.c_void_p, count: int, start: ctypes.c_void_p, level: int, stream: Stream
    ) -> None:
        """Sums before each number: those of runs first, by the same way, then within them."""
        runs = -(-count // RUN)
        sizes = ctypes.c_int(count), ctypes.c_int(RUN)
        run_start = ctypes.c_void_p()
        if runs > 1:
            sums, run_start = self._at(f"sums {level}"), self._at(f"run start {level}")
            self._kernels.launch("sf_run_sums", runs, stream, numbers, *sizes, sums)
            self._scan(sums, runs, run_start, level + 1, stream)
        self._kernels.launch("sf_starts", runs, stream, numbers, *sizes, run_start, start)

    def land(self, warped: int, landed: int, stream: Stream, window: Window | None = None) -> None:
        """Sum, divide and write what lands in a window; see ``splat_reference.symmetric_splat``.

        Args:
            warped: address of (source.outputs, rows, columns) float32, dense.
            landed: address of (rows, columns) float32 likewise.
            stream: that orders it; the one that was aimed in.
            window: a part of the one this object was made for; all of it without.

        Raises:
            StillflowError: it is not, or nothing was thrown.
        """
        if not self._throws:
            raise StillflowError("nothing was thrown", "land was called before aim", "call aim first")
        tile, whole, source = check_window(self.source, window or self.window), self.window, self.source
        if tile.y0 < whole.y0 or tile.y1 > whole.y1 or tile.x0 < whole.x0 or tile.x1 > whole.x1:
            raise StillflowError(
                "the window does not fit what was aimed at",
                f"{tuple(tile)} was asked for, {tuple(whole)} aimed at",
                "make the splat for a window that holds all that is to be landed on",
            )
        ends = (ctypes.c_int * DENOMINATORS_MOST)(*source.ends)
        values = _Values(stride_of(source.channels), source.outputs, len(source.ends), ends)
        rows, groups = tile.y1 - tile.y0, -(-(tile.x1 - tile.x0) // BLOCK)
        read = (self._at(name) for name in ("start", "entries", "factors"))
        self._kernels.launch(
            "sf_land",
            rows * groups * -(-source.outputs // BLOCK),
            stream,
            self._picture(),
            CWindow(*tile),
            values,
            ctypes.c_int(self._throws),
            ctypes.c_void_p(source.values),
            *read,
            ctypes.c_void_p(warped),
            ctypes.c_void_p(landed),
        )

    def _at(self, name: str) -> ctypes.c_void_p:
        return ctypes.c_void_p(self._memory[name].address)

    def _picture(self) -> _Picture:
        source = self.source
        return _Picture(*source.shape, *source.origin, source.rows, source.columns, *self.window)

    def close(self) -> None:
        """Give the memory back, after the stream has done its work; harmless twice."""
        self._throws = 0
        self._owned.close()


def symmetric_splat(
    device: CudaDevice,
    source: SplatSource,
    throws: Sequence[tuple[FloatArray, float]],
    window: Window | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Throw once or both ways, divide and wait, like ``splat_reference.symmetric_splat``.

    Args:
        device: where.
        source: what is thrown.
        throws: one or two pairs of a displacement, (h, w, 2) float32, and the share of its terms.
        window: the part of the picture that is wanted; all of it without.

    Returns:
        Warped channels (source.outputs, rows, columns) and landed (rows, columns), 1 or 0; both float32.
    """
    for displacement, _ in throws:
        check_displacement(source, displacement)
    window = check_window(source, window)
    shape = window.y1 - window.y0, window.x1 - window.x0
    made = np.empty((source.outputs, *shape), np.float32), np.empty(shape, np.float32)
    arrays = [padded(source), *made, *(displacement for displacement, _ in throws)]
    with _there(device, arrays) as (stream, (values, warped, landed, *displacements)):
        splat = CudaSplat(source_at(values.address, source), device, window)
        try:
            splat.aim([d.address for d in displacements], [share for _, share in throws], stream)
            splat.land(warped.address, landed.address, stream)
            for memory, array in zip((warped, landed), made, strict=True):
                device.download(memory.address, array, stream)
        finally:
            stream.synchronize()
            splat.close()
    return made


def euler(device: CudaDevice, velocity: FloatArray, steps: int) -> FloatArray:
    """Displacement after a number of frames, like ``splat_reference.euler``."""
    height, width = velocity.shape[:2]
    arrays = (
        np.ascontiguousarray(velocity, np.float32),
        grid(height, width),
        np.zeros((height, width), np.uint8),
        np.zeros((height, width, 2), np.float32),
    )
    with _there(device, arrays) as (stream, memories):
        field, position, invalid, displacement = (ctypes.c_void_p(m.address) for m in memories)
        pixels = ctypes.c_void_p(), ctypes.c_int(height * width)
        kernels, of = device.kernels(SOURCE), Field(height, width, 1)
        for _ in range(steps):
            kernels.launch(
                "sf_euler_step", height * width, stream, of, field, *pixels, position, invalid, displacement
            )
        out = np.empty((height, width, 2), np.float32)
        device.download(memories[3].address, out, stream)
        stream.synchronize()
        return out


@contextmanager
def _there(
    device: CudaDevice, arrays: Sequence[FloatArray | AnyArray]
) -> Iterator[tuple[Stream, list[Memory]]]:
    """Copies of arrays on the device for a block, and a stream that is done with them when it ends."""
    with ExitStack() as owned:
        stream = device.stream()
        owned.callback(stream.close)
        memories = []
        for array in arrays:
            memories.append(device.allocate(array.nbytes))
            owned.callback(memories[-1].close)
        owned.callback(stream.synchronize)
        for memory, array in zip(memories, arrays, strict=True):
            device.upload(np.ascontiguousarray(array), memory.address, stream)
        yield stream, memories
