# SPDX-License-Identifier: Apache-2.0
"""Packed numbers and packed bytes of a baked scene (docs/sflow.md), whole planes at a time.

A plane is predicted from its left and upper neighbours (the gradient predictor of lossless image coding: left + above
- above left). Its residual is the difference along x of the difference along y, so that both ways are sums.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

Planes = npt.NDArray[Any]
"""(planes, rows, columns) int16 or uint8."""


def pack(planes: Planes) -> bytes:
    """Compress planes.

    Args:
        planes: (planes, rows, columns), int16 for packed numbers, uint8 for packed bytes.

    Returns:
        A zlib stream.
    """
    wide: npt.NDArray[Any] = planes.view(np.uint16) if planes.dtype == np.int16 else planes
    rows = np.diff(wide, axis=1, prepend=np.zeros_like(wide[:, :1]))
    residual = np.diff(rows, axis=2, prepend=np.zeros_like(wide[:, :, :1]))
    if planes.dtype != np.int16:
        return zlib.compress(residual.tobytes(), 9)
    signed = residual.view(np.int16)
    # 2 r, and -2 r - 1 below 0: the sign moves to the lowest bit.
    folded = ((signed << 1) ^ (signed >> 15)).view(np.uint16)
    halves = np.stack([folded & 0xFF, folded >> 8], 1).astype(np.uint8)
    return zlib.compress(halves.tobytes(), 9)


def unpack(data: bytes | memoryview, shape: tuple[int, int, int], dtype: type[np.generic]) -> Planes:
    """Decompress planes; takes the inverse way of ``pack``.

    Args:
        data: a zlib stream.
        shape: planes, rows, columns.
        dtype: np.int16 or np.uint8.

    Returns:
        Planes of that shape, C-contiguous, in the machine's byte order.

    Raises:
        ValueError: the stream is damaged, or holds less or more than the planes.
    """
    found, rest = inflate(data, int(np.prod(shape)) * np.dtype(dtype).itemsize)
    if rest:
        raise ValueError("its compressed bytes hold less or more than its size says")
    if dtype is np.uint8:
        residual: npt.NDArray[Any] = np.frombuffer(found, np.uint8).reshape(shape)
    else:
        halves = np.frombuffer(found, np.uint8).reshape(shape[0], 2, *shape[1:]).astype(np.uint16)
        folded = halves[:, 0] | halves[:, 1] << np.uint16(8)
        residual = (folded >> np.uint16(1)) ^ -(folded & np.uint16(1))
    # Sums of the unsigned type wrap around, which is what the layout asks for.
    summed = np.cumsum(np.cumsum(residual, axis=2, dtype=residual.dtype), axis=1, dtype=residual.dtype)
    return summed if dtype is np.uint8 else summed.view(np.int16)


def inflate(data: bytes | memoryview, size: int) -> tuple[bytes, bytes]:
    """Decompress a zlib stream whose size is known; no more memory is taken than that.

    Args:
        data: a zlib stream, and what follows it.
        size: bytes that it holds, >= 1.

    Returns:
        Those bytes, and what follows the stream.

    Raises:
        ValueError: the stream is damaged, or holds less or more.
    """
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, size)
        # The sum at the stream's end is checked when it is asked to go on.
        more = stream.decompress(stream.unconsumed_tail, 1)
    except zlib.error as error:
        raise ValueError("its compressed bytes are damaged") from error
    if len(found) != size or more or not stream.eof:
        raise ValueError("its compressed bytes hold less or more than its size says")
    return found, stream.unused_data
