# SPDX-License-Identifier: Apache-2.0
"""Displacements and the splat in C, with the calls of ``splat_reference`` and to the same bits.

``NativeSplat`` keeps memory from frame to frame and throws once for many windows; ``symmetric_splat`` and ``splat``
are a throw and a window in one call. ctypes releases the interpreter's lock, so threads share the work.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.kernels.arrays import FloatArray
from stillflow.kernels.native import Isa, aligned, library
from stillflow.kernels.splat_reference import BoolArray, grid
from stillflow.kernels.splat_source import (
    DENOMINATORS_MOST,
    SplatSource,
    Window,
    check_displacement,
    check_window,
)

THROWS_MOST = 2
"""Throws that land together (SF_THROWS_MOST)."""

BANDS = 4
"""Bands of rows for each thread: what moves, and so the work, is rarely spread evenly."""

PixelList = npt.NDArray[np.uint32]


class _Splat(ctypes.Structure):
    """sf_splat of stillflow.h."""

    _fields_ = (
        ("struct_size", ctypes.c_uint32),
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("top", ctypes.c_int32),
        ("left", ctypes.c_int32),
        ("rows", ctypes.c_int32),
        ("columns", ctypes.c_int32),
        ("channels", ctypes.c_int32),
        ("denominators", ctypes.c_int32),
        ("ends", ctypes.c_int32 * DENOMINATORS_MOST),
        ("isa", ctypes.c_int32),
        ("throws", ctypes.c_int32),
        ("share", ctypes.c_float * THROWS_MOST),
        ("values", ctypes.c_void_p),
        ("displacement", ctypes.c_void_p * THROWS_MOST),
        ("index", ctypes.c_void_p * THROWS_MOST),
    )


class _Target(ctypes.Structure):
    """sf_splat_target of stillflow.h."""

    _fields_ = (
        ("struct_size", ctypes.c_uint32),
        ("y0", ctypes.c_int32),
        ("y1", ctypes.c_int32),
        ("x0", ctypes.c_int32),
        ("x1", ctypes.c_int32),
        ("out", ctypes.c_void_p),
        ("row_stride", ctypes.c_ssize_t),
        ("pixel_stride", ctypes.c_ssize_t),
        ("channel_stride", ctypes.c_ssize_t),
        ("landed", ctypes.c_void_p),
        ("landed_stride", ctypes.c_ssize_t),
    )


@lru_cache(maxsize=1)
def _functions() -> ctypes.CDLL:
    """The library, with the functions of this module declared."""
    found = library()
    pointer, number, size = ctypes.c_void_p, ctypes.c_int32, ctypes.c_size_t
    splat, target = ctypes.POINTER(_Splat), ctypes.POINTER(_Target)
    sizes = ctypes.POINTER(size)
    found.sf_euler_step.argtypes = (pointer, number, number, pointer, size, size, pointer, pointer, pointer)
    found.sf_splat_sizes.argtypes = (splat, target, sizes, sizes)
    found.sf_splat_prepare.argtypes = (splat, number, target, pointer, size, ctypes.POINTER(pointer))
    found.sf_splat_rows.argtypes = (splat, target, number, number, pointer, size)
    for name in ("sf_euler_step", "sf_splat_sizes", "sf_splat_prepare", "sf_splat_rows"):
        getattr(found, name).restype = number
    return found


def _check(status: int, what: str) -> None:
    if status:
        why = library().sf_status_text(status).decode()
        raise StillflowError(what, why, "check the sizes and values of the arrays")


class NativeSplat:
    """A source, ready to be thrown by C as often as wanted.

    One object serves one frame at a time; its threads share that frame. Frames side by side take an object each
    (they may share the source).

    Args:
        source: what is thrown; its values must not be changed afterwards.
        threads: that share the rows of a window, >= 1.
        isa: instruction set, for tests and measurements.
    """

    def __init__(self, source: SplatSource, threads: int = 1, isa: Isa = Isa.BEST) -> None:
        self.source = source
        self._functions = _functions()
        self._threads = max(1, threads)
        self._pool = ThreadPoolExecutor(self._threads, "splat") if self._threads > 1 else None
        self._index: list[npt.NDArray[np.uint8]] = []
        self._scratch: list[npt.NDArray[np.uint8]] = []
        self._kept: list[FloatArray] = []
        self._written: tuple[FloatArray, FloatArray | None] | None = None
        self._aimed: Window | None = None
        rows, columns, channels = source.values.shape
        self._splat = _Splat(
            struct_size=ctypes.sizeof(_Splat),
            height=source.shape[0],
            width=source.shape[1],
            top=source.origin[0],
            left=source.origin[1],
            rows=rows,
            columns=columns,
            channels=channels,
            isa=int(isa),
            values=source.values.ctypes.data,
        )

    def aim(self, throws: Sequence[tuple[FloatArray, float]], window: Window | None = None) -> None:
        """Find what lands where, for one frame.

        Args:
            throws: one or two pairs of a displacement, (h, w, 2) float32, and the share of its terms. Displacements
                must not be changed until the frame is done.
            window: its rows can be landed on afterwards; those of the whole picture without.

        Raises:
            StillflowError: displacements or the window do not fit the source, or a share is not finite.
        """
        window = check_window(self.source, window)
        self.rest()
        if not 1 <= len(throws) <= THROWS_MOST:
            raise StillflowError("cannot throw", f"there are {len(throws)} throws", "pass one or two")
        for k, (displacement, share) in enumerate(throws):
            check_displacement(self.source, displacement)
            dense = np.ascontiguousarray(displacement)
            self._kept.append(dense)
            self._splat.displacement[k] = dense.ctypes.data
            self._splat.share[k] = share
        self._splat.throws = len(throws)
        target = _Target(ctypes.sizeof(_Target), *window)
        index_bytes = self._sizes(target)[0]
        if not self._index or self._index[0].size < index_bytes:
            self._index = [aligned(index_bytes) for _ in range(THROWS_MOST)]

        def prepare(which: int) -> None:
            memory, index = self._index[which], ctypes.c_void_p()
            status = self._functions.sf_splat_prepare(
                self._splat, which, target, memory.ctypes.data, memory.size, ctypes.byref(index)
            )
            _check(status, "cannot find where the features land")
            self._splat.index[which] = index

        self._run(prepare, range(len(throws)))
        self._aimed = window

    def rest(self) -> None:
        """Let go of the displacements, 133 MB at 3840x2160; aim again before the next landing."""
        self._aimed, self._kept = None, []

    def land(
        self,
        window: Window | None = None,
        warped: FloatArray | None = None,
        landed: FloatArray | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        """Sum, divide and write what lands in a window; see ``splat_reference.symmetric_splat``.

        Args:
            window: whose rows were aimed at; what was aimed at without.
            warped: (source.outputs, rows, columns) float32 to write to, of any strides (a part of a graph's input);
                a new array without.
            landed: (rows, columns) float32, whose pixels are dense in each row; likewise.

        Returns:
            Warped channels, and landed, 1 or 0.
        """
        window = self._landing(window)
        shape = window.y1 - window.y0, window.x1 - window.x0
        if warped is None:
            warped = np.empty((self.source.outputs, *shape), np.float32)
        if landed is None:
            landed = np.empty(shape, np.float32)
        ends = self.source.ends
        self._write(window, ends, warped, (self.source.outputs, *shape), (1, 2, 0), landed)
        return warped, landed

    def sums(self, window: Window | None = None) -> FloatArray:
        """Sum what lands in a window and divide nothing, (rows, columns, C) float32."""
        window = self._landing(window)
        out = np.empty(
            (window.y1 - window.y0, window.x1 - window.x0, self.source.values.shape[2]), np.float32
        )
        self._write(window, (), out, out.shape, (0, 1, 2), None)
        return out

    def _landing(self, window: Window | None) -> Window:
        if self._aimed is None:
            raise StillflowError("nothing was thrown", "land was called before aim", "call aim first")
        window = self._aimed if window is None else check_window(self.source, window)
        if window.y0 < self._aimed.y0 or window.y1 > self._aimed.y1:
            raise StillflowError(
                "the window does not fit what was aimed at",
                f"rows {window.y0} to {window.y1} were asked for, {self._aimed.y0} to {self._aimed.y1} aimed at",
                "aim at all rows that are to be landed on",
            )
        return window

    def _write(
        self,
        window: Window,
        ends: tuple[int, ...],
        out: FloatArray,
        shape: tuple[int, ...],
        order: tuple[int, int, int],
        landed: FloatArray | None,
    ) -> None:
        """Fill a window; order says which axes of out are rows, pixels and channels."""
        self._check_out(out, shape, "features")
        if landed is not None:
            self._check_out(landed, (window.y1 - window.y0, window.x1 - window.x0), "mask")
        splat = self._splat
        splat.denominators = len(ends)
        splat.ends[: len(ends)] = ends
        target = _Target(
            ctypes.sizeof(_Target),
            *window,
            out.ctypes.data,
            *(out.strides[axis] // 4 for axis in order),
            None if landed is None else landed.ctypes.data,
            0 if landed is None else landed.strides[0] // 4,
        )
        scratch_bytes = self._sizes(target)[1]
        if not self._scratch or self._scratch[0].size < scratch_bytes:
            self._scratch = [aligned(scratch_bytes) for _ in range(self._threads)]
        free = list(self._scratch)
        rows = window.y1 - window.y0
        parts = 1 if self._pool is None else min(BANDS * self._threads, rows)
        edges = [window.y0 + rows * k // parts for k in range(parts + 1)]

        def write(band: int) -> None:
            # As many as threads, and each is put back: taking and giving are single steps of a list.
            scratch = free.pop()
            status = self._functions.sf_splat_rows(
                splat, target, edges[band], edges[band + 1], scratch.ctypes.data, scratch.size
            )
            free.append(scratch)
            _check(status, f"cannot throw the features to rows {edges[band]} to {edges[band + 1]}")

        # Held here as well: after Ctrl-C bands that are under way still write, and the caller has let go.
        self._written = out, landed
        self._run(write, range(parts))
        self._written = None

    def _run(self, work: Callable[[int], None], parts: Iterable[int]) -> None:
        for _ in map(work, parts) if self._pool is None else self._pool.map(work, parts):
            pass

    def _sizes(self, target: _Target) -> tuple[int, int]:
        index, scratch = ctypes.c_size_t(), ctypes.c_size_t()
        status = self._functions.sf_splat_sizes(
            self._splat, target, ctypes.byref(index), ctypes.byref(scratch)
        )
        _check(status, "cannot throw the features")
        return index.value, scratch.value

    @staticmethod
    def _check_out(out: FloatArray, shape: tuple[int, ...], name: str) -> None:
        dense = name == "features" or out.strides[-1] == 4
        whole = all(stride % 4 == 0 for stride in out.strides)
        if out.shape != shape or out.dtype != np.float32 or not (dense and whole and out.flags.writeable):
            raise StillflowError(
                f"cannot write the {name}",
                f"the array is {out.shape} {out.dtype} with strides {out.strides}",
                f"pass a writable float32 array of shape {shape}",
            )


def splat(
    source: SplatSource,
    displacement: FloatArray,
    share: float = 1.0,
    window: Window | None = None,
    threads: int = 1,
) -> FloatArray:
    """Throw once and sum, like ``splat_reference.splat``."""
    native = NativeSplat(source, threads)
    native.aim([(displacement, share)], window)
    return native.sums()


def symmetric_splat(
    source: SplatSource,
    forward: FloatArray,
    backward: FloatArray,
    share: float,
    window: Window | None = None,
    threads: int = 1,
) -> tuple[FloatArray, FloatArray]:
    """Throw both ways and divide, like ``splat_reference.symmetric_splat``."""
    native = NativeSplat(source, threads)
    native.aim([(forward, share), (backward, 1.0 - share)], window)
    return native.land()


def euler_step(
    velocity: FloatArray,
    position: FloatArray,
    invalid: BoolArray,
    pixels: PixelList | None = None,
    displacement: FloatArray | None = None,
) -> None:
    """Take one step in place; see ``splat_reference.euler_step``.

    Args:
        velocity: (H, W, 2) float32, pixels a frame.
        position: (H, W, 2) float32, or (M, 2) of the pixels listed.
        invalid: (H, W) bool, or (M,).
        pixels: (M,) uint32, y W + x of the pixels followed: those that never move need not be. All without.
        displacement: of the shape of position, written: what is thrown, invalid pixels out of the picture.

    Raises:
        StillflowError: the arrays do not fit each other, or a listed pixel is outside the picture.
    """
    height, width = velocity.shape[:2]
    shape = (height, width) if pixels is None else pixels.shape
    arrays: dict[str, tuple[npt.NDArray[np.generic] | None, tuple[int, ...], type[np.generic]]] = {
        "velocity": (velocity, (height, width, 2), np.float32),
        "position": (position, (*shape, 2), np.float32),
        "invalid": (invalid, shape, np.bool_),
        "pixels": (pixels, (int(np.prod(shape)),), np.uint32),
        "displacement": (displacement, (*shape, 2), np.float32),
    }
    for name, (array, expected, dtype) in arrays.items():
        if array is None:
            continue
        if array.shape != expected or array.dtype != dtype or not array.flags.c_contiguous:
            raise StillflowError(
                f"the {name} does not fit the velocity",
                f"it is {array.shape} {array.dtype}, {expected} {np.dtype(dtype)} is needed",
                "pass a C-contiguous array of that shape",
            )
    status = _functions().sf_euler_step(
        velocity.ctypes.data,
        height,
        width,
        None if pixels is None else pixels.ctypes.data,
        0,
        invalid.size,
        position.ctypes.data,
        invalid.ctypes.data,
        None if displacement is None else displacement.ctypes.data,
    )
    _check(status, "cannot follow the velocity")


def euler(velocity: FloatArray, steps: int) -> FloatArray:
    """Displacement after a number of frames, like ``splat_reference.euler``."""
    position, invalid = grid(*velocity.shape[:2]), np.zeros(velocity.shape[:2], bool)
    displacement = np.zeros_like(position)
    for _ in range(steps):
        euler_step(velocity, position, invalid, None, displacement)
    return displacement
