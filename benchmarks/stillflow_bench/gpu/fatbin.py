# SPDX-License-Identifier: Apache-2.0
"""Leaves out of a library what only other GPUs run: machine code for other architectures becomes zeros.

A CUDA library holds its kernels once for each architecture, and the driver takes the one that fits. Zeros compress to
nothing, and the file keeps its form, so nothing else of it has to be understood. The layout (a section of ELF; in it
containers, each a header and entries of a kind, an architecture and a size) is not documented: it was read off
libraries, and whatever does not look like that is left as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SECTION = b".nv_fatbin"

MAGIC = b"\x50\xed\x55\xba"
CUBIN = 2
"""Kind of an entry that is machine code; the other kind is source for the driver's compiler, and stays."""

SMALLEST_HEADER = 64


@dataclass(frozen=True)
class Entry:
    """Kernels for one architecture.

    Attributes:
        start: of its code in the file.
        size: bytes of it.
        kind: see ``CUBIN``.
        architecture: such as 90.
    """

    start: int
    size: int
    kind: int
    architecture: int


def only_for(data: bytearray, architecture: int) -> int:
    """Zero the code in a library that a GPU cannot run.

    Args:
        data: of the file; is changed. A file without kernels, or in another form, stays as it is.
        architecture: of the GPU, such as 90.

    Returns:
        Bytes that are zeros now. A container in which nothing fits the GPU keeps everything.
    """
    done = 0
    for entries in containers(data):
        fits = [entry for entry in entries if entry.kind != CUBIN or _runs(entry.architecture, architecture)]
        for entry in entries if fits else ():
            if entry not in fits:
                data[entry.start : entry.start + entry.size] = bytes(entry.size)
                done += entry.size
    return done


def _runs(code: int, gpu: int) -> bool:
    """Machine code runs on its own architecture and on later ones of the same major number."""
    return code // 10 == gpu // 10 and code <= gpu


def containers(data: bytes | bytearray) -> Iterator[list[Entry]]:
    """Yield the entries of each container in a file's section of kernels."""
    found = section(data)
    if found is None:
        return
    start, end = found
    # Between containers lie zeros.
    while (start := data.find(MAGIC, start, end)) >= 0 and start + 16 <= end:
        _, _, header, size = struct.unpack_from("<IHHQ", data, start)
        after = start + header + size
        if header < 16 or after > end:
            return
        entries = list(_entries(data, start + header, after))
        if entries:
            yield entries
        start = after


def _entries(data: bytes | bytearray, start: int, end: int) -> Iterator[Entry]:
    while start + SMALLEST_HEADER <= end:
        kind, _, header, size = struct.unpack_from("<HHIQ", data, start)
        (architecture,) = struct.unpack_from("<I", data, start + 28)
        if header < SMALLEST_HEADER or start + header + size > end:
            return
        yield Entry(start + header, size, kind, architecture)
        start += header + size


def section(data: bytes | bytearray) -> tuple[int, int] | None:
    """Where a 64-bit ELF file keeps its kernels, as (first byte, byte after the last); None where it has none."""
    if len(data) < 64 or data[:6] != b"\x7fELF\x02\x01":
        return None
    (table,) = struct.unpack_from("<Q", data, 0x28)
    width, count, names = struct.unpack_from("<HHH", data, 0x3A)
    if width != 64 or table + width * count > len(data) or names >= count:
        return None
    headers = [struct.unpack_from("<IIQQQQ", data, table + width * index) for index in range(count)]
    strings = headers[names][4]
    for name, _, _, _, offset, size in headers:
        begin = strings + name
        if data[begin : begin + len(SECTION) + 1] == SECTION + b"\0" and offset + size <= len(data):
            return offset, offset + size
    return None
