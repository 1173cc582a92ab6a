# SPDX-License-Identifier: Apache-2.0
"""Displacements and the splat on a GPU, with the calls of ``native_splat``: the bits of ``splat_reference``.

What runs is kernels/cuda/splat.cu; here is which kernel follows which, over what memory. Displacements and results may
be NumPy arrays, which are copied, or arrays on the device, anything with ``__cuda_array_interface__``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.kernels.arrays import FloatArray
from stillflow.kernels.cuda_device import CudaDevice
from stillflow.kernels.cuda_source import BLOCK
from stillflow.kernels.splat_reference import grid
from stillflow.kernels.splat_source import DENOMINATORS_MOST, SplatSource, Window, check_window

RUN = 256
"""Numbers that one thread sums up: three levels reach 2^24 pixels, four any picture."""

CORNERS = 4
"""Pixels that a source reaches at most."""

DeviceArray = Any
"""Anything with ``__cuda_array_interface__``."""


class _Picture(ctypes.Structure):
    """Picture of splat.cu."""

    _fields_ = tuple(
        (name, ctypes.c_int)
        for name in ("height", "width", "top", "left", "rows", "columns", "y0", "y1", "x0", "x1")
    )


class _Field(ctypes.Structure):
    """Field of splat.cu."""

    _fields_ = (("height", ctypes.c_int), ("width", ctypes.c_int), ("sign", ctypes.c_float))


class _Tile(ctypes.Structure):
    """Tile of splat.cu."""

    _fields_ = tuple((name, ctypes.c_int) for name in Window._fields)


class _Values(ctypes.Structure):
    """Values of splat.cu."""

    _fields_ = (
        ("stride", ctypes.c_int),
        ("outputs", ctypes.c_int),
        ("denominators", ctypes.c_int),
        ("ends", ctypes.c_int * DENOMINATORS_MOST),
    )


class _Memory:
    """Device memory by name: each piece grows when needed and is used again by the next frame."""

    def __init__(self, device: CudaDevice) -> None:
        self._device = device
        self._pieces: dict[str, tuple[int, int]] = {}

    def get(self, name: str, size: int) -> ctypes.c_void_p:
        """Return at least ``size`` bytes; what was in them is lost when they grow."""
        address, had = self._pieces.get(name, (0, -1))
        if had < size:
            if address:
                # Taken out first: should the allocation fail, it is not freed twice.
                del self._pieces[name]
                self._device.free(address)
            address = self._device.allocate(size)
            self._pieces[name] = address, size
        return ctypes.c_void_p(address)

    def put(self, name: str, array: npt.NDArray[np.generic]) -> ctypes.c_void_p:
        """Copy an array to the device."""
        dense = np.ascontiguousarray(array)
        memory = self.get(name, dense.nbytes)
        self._device.upload(dense, memory.value or 0)
        return memory

    def close(self) -> None:
        """Give everything back."""
        while self._pieces:
            self._device.free(self._pieces.popitem()[1][0])


class CudaSplat:
    """A source on a GPU, ready to be thrown as often as wanted; one frame at a time.

    Args:
        source: what is thrown; copied to the device once.
        device: where to; must stay open.

    Raises:
        StillflowError: the source has no weights to divide by.
    """

    def __init__(self, source: SplatSource, device: CudaDevice) -> None:
        if not source.ends:
            raise StillflowError(
                "cannot throw these values on a GPU",
                "they have no weights",
                "name the weights in the source's ends",
            )
        self.source = source
        self._device = device
        self._memory = _Memory(device)
        channels = source.values.shape[2]
        self._stride = channels + -channels % BLOCK
        padded = np.pad(source.values, ((0, 0), (0, 0), (0, self._stride - channels)))
        self._values = self._memory.put("values", padded)
        self._throws = 0
        self._kept: list[DeviceArray] = []
        self._window = source.whole

    def aim(
        self, throws: Sequence[tuple[FloatArray | DeviceArray, float]], window: Window | None = None
    ) -> None:
        """Find what lands where, for one frame.

        Args:
            throws: one or two pairs of a displacement, (h, w, 2) float32, and the share of its terms.
            window: what ``land`` writes; the whole picture without.
        """
        self._throws, self._kept = 0, []
        self._window = check_window(self.source, window)
        if not 1 <= len(throws) <= 2:
            raise StillflowError("cannot throw", f"there are {len(throws)} throws", "pass one or two")
        if not all(np.isfinite(share) for _, share in throws):
            raise StillflowError("cannot throw", "a share is not finite", "pass shares between 0 and 1")
        rows, columns, _ = self.source.values.shape
        aimed = []
        for k, (displacement, share) in enumerate(throws):
            where = self._placed(displacement, (rows, columns, 2), f"displacement {k}", read=True)
            aimed.append((where, float(share)))
        self._list(aimed)
        self._throws = len(aimed)

    def _list(self, throws: list[tuple[ctypes.c_void_p, float]]) -> None:
        """Find which sources reach each pixel of the window, by ascending source, and the factors of their terms."""
        device, memory, picture = self._device, self._memory, self._picture()
        sources = len(throws) * self.source.values.shape[0] * self.source.values.shape[1]
        lists = len(throws) * self._cells
        count, start = memory.get("count", 4 * lists), memory.get("start", 4 * (lists + 1))
        entries = memory.get("entries", 4 * CORNERS * sources)
        factors = memory.get("factors", 4 * CORNERS * sources)
        (first, share), (second, rest) = (*throws, (ctypes.c_void_p(), 0.0))[:2]
        device.launch("sf_clear", lists, count, ctypes.c_int(lists))
        device.launch("sf_count", sources, picture, first, second, count)
        self._scan(count, lists, start, 0)
        device.launch("sf_fill", sources, picture, first, second, start, count, entries)
        shares = memory.put("shares", np.array([share, rest], np.float32))
        device.launch("sf_sort", lists, picture, first, second, shares, start, entries, factors)

    def _scan(self, numbers: ctypes.c_void_p, count: int, start: ctypes.c_void_p, level: int) -> None:
        """Sums before each number: those of runs first, by the same way, then within them."""
        runs = -(-count // RUN)
        sizes = ctypes.c_int(count), ctypes.c_int(RUN)
        run_start = ctypes.c_void_p()
        if runs > 1:
            sums = self._memory.get(f"sums {level}", 4 * runs)
            run_start = self._memory.get(f"run start {level}", 4 * (runs + 1))
            self._device.launch("sf_run_sums", runs, numbers, *sizes, sums)
            self._scan(sums, runs, run_start, level + 1)
        self._device.launch("sf_starts", runs, numbers, *sizes, run_start, start)

    def land(
        self, warped: DeviceArray | None = None, landed: DeviceArray | None = None
    ) -> tuple[FloatArray | DeviceArray, FloatArray | DeviceArray]:
        """Sum, divide and write the window that was aimed at; see ``splat_reference.symmetric_splat``.

        Args:
            warped: (source.outputs, rows, columns) float32 on the device, dense; a NumPy array is made without.
            landed: (rows, columns) float32 likewise.

        Returns:
            Warped channels, and landed, 1 or 0.
        """
        if not self._throws:
            raise StillflowError("nothing was thrown", "land was called before aim", "call aim first")
        window, outputs = self._window, self.source.outputs
        shape = window.y1 - window.y0, window.x1 - window.x0
        out = self._placed(warped, (outputs, *shape), "warped")
        mask = self._placed(landed, shape, "landed")
        ends = self.source.ends
        values = _Values(self._stride, outputs, len(ends), (ctypes.c_int * DENOMINATORS_MOST)(*ends))
        lists = (self._memory.get(name, 0) for name in ("start", "entries", "factors"))
        items = shape[0] * -(-shape[1] // BLOCK) * -(-outputs // BLOCK)
        throws, tile = ctypes.c_int(self._throws), _Tile(*window)
        self._device.launch(
            "sf_land", items, self._picture(), tile, values, throws, self._values, *lists, out, mask
        )
        return (
            self._fetched(out, (outputs, *shape)) if warped is None else warped,
            self._fetched(mask, shape) if landed is None else landed,
        )

    @property
    def _cells(self) -> int:
        return (self._window.y1 - self._window.y0) * (self._window.x1 - self._window.x0)

    def _picture(self) -> _Picture:
        rows, columns, _ = self.source.values.shape
        return _Picture(*self.source.shape, *self.source.origin, rows, columns, *self._window)

    def _placed(
        self, array: FloatArray | DeviceArray | None, shape: tuple[int, ...], name: str, read: bool = False
    ) -> ctypes.c_void_p:
        """Address on the device: of an array there, of a copy, or of new memory."""
        if array is None:
            return self._memory.get(name, 4 * int(np.prod(shape)))
        if hasattr(array, "__cuda_array_interface__"):
            about = array.__cuda_array_interface__
            good = tuple(about["shape"]) == shape and about["typestr"] == "<f4" and not about.get("strides")
            if good:
                self._kept.append(array)
                return ctypes.c_void_p(about["data"][0])
            said = f"{about['shape']} {about['typestr']} with strides {about.get('strides')}"
        elif read and array.shape == shape and array.dtype == np.float32:
            return self._memory.put(name, array)
        else:
            said = f"{array.shape} {array.dtype}"
        raise StillflowError(
            f"{name} does not fit the splat", f"it is {said}", f"pass {shape} float32, dense if on the device"
        )

    def _fetched(self, address: ctypes.c_void_p, shape: tuple[int, ...]) -> FloatArray:
        array = np.empty(shape, np.float32)
        self._device.download(address.value or 0, array)
        return array

    def close(self) -> None:
        """Give the device's memory back."""
        self._throws, self._kept = 0, []
        self._memory.close()


def euler(device: CudaDevice, velocity: FloatArray, steps: int) -> FloatArray:
    """Displacement after a number of frames, like ``splat_reference.euler``."""
    height, width = velocity.shape[:2]
    memory = _Memory(device)
    try:
        position = memory.put("position", grid(height, width))
        invalid = memory.put("invalid", np.zeros((height, width), np.uint8))
        displacement = memory.put("displacement", np.zeros((height, width, 2), np.float32))
        field = memory.put("velocity", np.asarray(velocity, np.float32))
        of, all_of_it = _Field(height, width, 1), (ctypes.c_void_p(), ctypes.c_int(height * width))
        for _ in range(steps):
            device.launch(
                "sf_euler_step", height * width, of, field, *all_of_it, position, invalid, displacement
            )
        out = np.empty((height, width, 2), np.float32)
        device.download(displacement.value or 0, out)
        return out
    finally:
        memory.close()
