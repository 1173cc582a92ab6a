# SPDX-License-Identifier: Apache-2.0
"""Files of named arrays (.npz): read as if a stranger had made them, written whole or not at all."""

from __future__ import annotations

import io
import os
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError

Array = npt.NDArray[Any]

MAX_ENTRIES = 256
"""Arrays in one file: twice as many as a manifest may give a graph inputs and outputs."""

_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # fixed, so that equal arrays are equal bytes

# A malformed header raises TokenError, SyntaxError, TypeError or RecursionError out of NumPy's parser.
_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    SyntaxError,
    tokenize.TokenError,
    TypeError,
    MemoryError,
    RecursionError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def read_npz(source: bytes | Path, what: str, fix: str, limit: int) -> dict[str, Array]:
    """Read the arrays of an .npz file that is not trusted: no pickles, no bombs, no pipes.

    What an entry unpacks to, and what its header announces, is compared with the limit before memory
    is taken for it.

    Args:
        source: its bytes, or where it lies.
        what: beginning of the message, such as "cannot read in.npz".
        fix: end of the message.
        limit: bytes that all arrays together may unpack to.

    Returns:
        Array by name, in the order of the file.

    Raises:
        StillflowError: not an .npz of plain arrays, damaged, too large, or not a plain file.
    """
    try:
        if isinstance(source, Path) and not stat.S_ISREG(source.stat().st_mode):
            raise StillflowError(what, "it is not a plain file", fix)
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
            return _read(archive, what, fix, limit)
    except FileNotFoundError as error:
        raise StillflowError(what, "there is no such file", fix) from error
    except _ERRORS as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise StillflowError(what, f"it is not a file of plain arrays ({reason})", fix) from error


def _read(archive: zipfile.ZipFile, what: str, fix: str, limit: int) -> dict[str, Array]:
    entries = archive.infolist()
    size = sum(entry.file_size for entry in entries)
    if size > limit:
        raise StillflowError(what, f"it unpacks to {size} bytes, more than {limit}", fix)
    if len(entries) > MAX_ENTRIES:
        raise StillflowError(what, f"it holds {len(entries)} entries, more than {MAX_ENTRIES}", fix)
    arrays: dict[str, Array] = {}
    for entry in entries:
        if not entry.filename.endswith(".npy"):
            raise StillflowError(what, f"its entry {entry.filename[:80]!r} is not an array (.npy)", fix)
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise StillflowError(what, f"its entry {entry.filename[:80]!r} is packed in a rare way", fix)
        name = entry.filename.removesuffix(".npy")
        if name in arrays:
            raise StillflowError(what, f"it holds {name[:80]!r} twice", fix)
        with archive.open(entry) as file:
            announced = _announced(file)
        if announced > entry.file_size:
            raise StillflowError(
                what, f"the array {name[:80]!r} says it has {announced} bytes and the file has fewer", fix
            )
        with archive.open(entry) as file:
            arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    return arrays


def _announced(file: IO[bytes]) -> int:
    """Bytes that an array's header asks for."""
    version = np.lib.format.read_magic(file)
    headers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in headers:  # 3.0 exists for field names that are not Latin, and no graph has fields
        raise ValueError(f"array format {version[0]}.{version[1]}, this reads 1.0 and 2.0")
    shape, _, dtype = headers[version](file)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded")
    if any(side < 0 for side in shape):
        raise ValueError(f"a shape of {shape}")
    count = dtype.itemsize
    for side in shape:  # in Python's integers, which do not overflow
        count *= side
    return count


def write_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays as an uncompressed .npz; it appears whole or not at all.

    Equal arrays give equal bytes.

    Args:
        path: of the file; its folder exists.
        arrays: by name.

    Raises:
        StillflowError: the folder is missing, full or may not be written to.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                entry = zipfile.ZipInfo(f"{name}.npy", _ZIP_DATE)
                entry.external_attr = 0o644 << 16
                with archive.open(entry, "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
        os.replace(partial, path)
    except OSError as error:
        why = str(error.strerror or error).lower()
        raise StillflowError(
            f"cannot write {path}", why, "choose a folder that exists, has room and may be written to"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
