# SPDX-License-Identifier: Apache-2.0
"""Reads velocity files of other programs: NumPy's .npy and Middlebury's .flo. Their bytes are not trusted."""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.motion import UNREADABLE
from stillflow.velocity_field import UNKNOWN, VelocityField

MAX_SIDE = 1 << 15
"""Samples along one side of a field."""

MAX_SAMPLES = 1 << 26
"""Samples of a field: 67 megapixels, 512 MB in memory. Fields are made far smaller than photos."""

FLO_MAGIC = b"PIEH"
"""The float 202021.25 in little-endian order, which begins a .flo file (Baker et al. 2011, Middlebury)."""

NPY_MAGIC = b"\x93NUMPY"

MAX_HEADER = 10_000
"""Bytes of a .npy header: an honest one has 80 to 120."""

DTYPES = ("f2", "f4", "f8")

_FIX = (
    "give a .npy file of a float array (h, w, 2), or a .flo file: x and y in pixels a frame, "
    "at the field's own size"
)


def load_velocity(path: str | os.PathLike[str]) -> VelocityField:
    """Read a velocity field. Its first bytes say which format it is, whatever its name.

    In .flo files a component beyond 1e9 means that the flow there is not known: it stands still.

    Args:
        path: .npy of a float16, float32 or float64 array (h, w, 2), without pickles; or .flo.

    Returns:
        The field.

    Raises:
        StillflowError: no such file, another format, another shape, too large, cut short, more bytes than the
            header says, NaN or infinite values.
    """
    name = f"the velocity {Path(path).name}"
    what = f"cannot read {name}"
    try:
        status = os.stat(path)
        # Before it is opened: that would wait for somebody to write to a pipe.
        if not stat.S_ISREG(status.st_mode):
            why = "it is a folder" if stat.S_ISDIR(status.st_mode) else "it is not a plain file"
            raise StillflowError(what, why, _FIX)
        with Path(path).open("rb") as file:
            head = file.read(6)
            file.seek(0)
            if head.startswith(FLO_MAGIC):
                return _read_flo(file, status.st_size, what, name)
            if head == NPY_MAGIC:
                return _read_npy(file, status.st_size, what, name)
    except StillflowError:
        raise
    except FileNotFoundError as error:
        raise StillflowError(what, "there is no such file", _FIX) from error
    except UNREADABLE as error:
        raise StillflowError(what, f"it cannot be read ({str(error)[:200]})", _FIX) from error
    raise StillflowError(what, "it is neither a .npy nor a .flo file", _FIX)


def velocity_from(
    source: VelocityField | str | os.PathLike[str] | npt.NDArray[Any], fps: float | None = None
) -> VelocityField:
    """Take a velocity in any of the forms that ``Guidance`` allows.

    Args:
        source: a field, an array (h, w, 2), or the path of a file.
        fps: frames a second at which it is played; None: what the field says.

    Raises:
        StillflowError: as ``load_velocity`` and ``VelocityField.from_array``.
    """
    if isinstance(source, (str, os.PathLike)):
        field = load_velocity(source)
    elif isinstance(source, VelocityField):
        field = source
    else:
        field = VelocityField.from_array(np.asarray(source))
    return field if fps is None else replace(field, fps=fps)


def _read_flo(file: IO[bytes], size: int, what: str, name: str) -> VelocityField:
    """Magic, int32 width, int32 height, then float32 u, v row by row; all little-endian."""
    head = file.read(12)
    if len(head) < 12:
        raise StillflowError(what, "it is cut short", _FIX)
    w, h = struct.unpack("<4x2i", head)
    _check_size(h, w, 8, size - 12, what)
    values = np.fromfile(file, "<f4", h * w * 2).reshape(h, w, 2).astype(np.float32, copy=False)
    values[(np.abs(values) > UNKNOWN).any(-1) & np.isfinite(values).all(-1)] = 0
    return VelocityField.from_array(values, name)


def _read_npy(file: IO[bytes], size: int, what: str, name: str) -> VelocityField:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise StillflowError(what, f"it has version {version[0]}.{version[1]} of the format", _FIX)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file, max_header_size=MAX_HEADER)
    if dtype.hasobject:
        raise StillflowError(what, "it holds a pickle, which is never read", _FIX)
    if dtype.str[1:] not in DTYPES or len(shape) != 3 or shape[2] != 2:
        raise StillflowError(what, f"it is an array {shape} of {dtype}", _FIX)
    h, w = int(shape[0]), int(shape[1])
    _check_size(h, w, 2 * dtype.itemsize, size - file.tell(), what)
    values = np.fromfile(file, dtype, h * w * 2)
    return VelocityField.from_array(values.reshape(shape, order="F" if fortran else "C"), name)


def _check_size(h: int, w: int, sample: int, found: int, what: str) -> None:
    """Compare the sizes that a header gives with the bytes that follow it, before anything is allocated."""
    if not (1 <= h <= MAX_SIDE and 1 <= w <= MAX_SIDE and h * w <= MAX_SAMPLES):
        why = f"its header says {w}x{h} samples; at most {MAX_SIDE} a side and {MAX_SAMPLES} in all are read"
        raise StillflowError(what, why, _FIX)
    if found != h * w * sample:
        short = "cut short" if found < h * w * sample else "longer than it should be"
        raise StillflowError(
            what, f"it is {short}: {found} bytes of samples, and {w}x{h} make {h * w * sample}", _FIX
        )
