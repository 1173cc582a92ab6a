# SPDX-License-Identifier: Apache-2.0
"""Frames in device memory from RGB to NV12, which hardware encoders take: the planes of ``video.colour``."""

from __future__ import annotations

import ctypes
from pathlib import Path

from stillflow.gpu.layer import Kernels, Stream

SOURCE = Path(__file__).with_name("cuda") / "nv12.cu"
"""The source; ``device.kernels(SOURCE)`` compiles it."""

UNIT_WIDTH, UNIT_HEIGHT = 8, 4
"""Pixels of a unit; units hold rows 4 r - 2 .. 4 r + 1 (scene.cuh)."""

THREADS_A_UNIT = 4
"""Each takes four columns of two rows."""


def nv12_bytes(height: int, width: int) -> int:
    """Bytes of a picture in NV12, both sides made even (``video.colour.nv12_shape``)."""
    return (height + height % 2) * (width + width % 2) * 3 // 2


def convert(
    kernels: Kernels,
    height: int,
    width: int,
    rgb: int,
    nv12: int,
    stream: Stream,
    *,
    units: tuple[int, int] | None = None,
) -> None:
    """Convert a frame: BT.709, limited range, chroma on even columns between two rows.

    Args:
        kernels: of ``SOURCE``.
        height: of the frame, pixels.
        width: of the frame; an odd side is made even by repeating its last column or row.
        rgb: where it lies, (H, W, 3) uint8, dense.
        nv12: where it goes, ``nv12_bytes``, dense: luma, then rows of Cb Cr pairs.
        stream: that orders it.
        units: address and number of the places to convert, row << 16 | column each; the whole frame without.
    """
    rows, columns = height + height % 2, width + width % 2
    # Words can be read and written where rows of both are made of whole ones.
    wide = width % 4 == 0 and rgb % 4 == 0 and nv12 % 4 == 0
    if units is None:
        # Rows of units begin two pixels above the picture.
        units = 0, (rows // UNIT_HEIGHT + 1) * -(-columns // UNIT_WIDTH)
    address, count = units
    kernels.launch(
        "sf_nv12",
        THREADS_A_UNIT * count,
        stream,
        ctypes.c_int(height),
        ctypes.c_int(width),
        ctypes.c_void_p(address or None),
        ctypes.c_int(count),
        ctypes.c_int(wide),
        ctypes.c_void_p(rgb),
        ctypes.c_void_p(nv12),
    )
