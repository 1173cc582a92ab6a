# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from stillflow_bench.gpu.fatbin import CUBIN, MAGIC, containers, only_for, section

PTX = 1

Kernels = list[tuple[int, int, int]]
"""(Kind, architecture, bytes)."""


def container(kernels: Kernels) -> bytes:
    body = b""
    for kind, architecture, size in kernels:
        header = struct.pack("<HHIQ", kind, 0x101, 64, size) + bytes(12) + struct.pack("<I", architecture)
        body += header.ljust(64, b"\0") + b"\xaa" * size
    return MAGIC + struct.pack("<HHQ", 1, 16, len(body)) + body


def library(parts: list[Kernels], name: bytes = b".nv_fatbin") -> bytearray:
    """A 64-bit ELF file with two sections: names, and containers with zeros between them."""
    kernels = b"".join(container(part) + bytes(-len(container(part)) % 8 + 8) for part in parts)
    names = b"\0" + name + b"\0"
    start = 64
    table = start + len(names) + len(kernels)
    head = bytearray(64)
    head[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<Q", head, 0x28, table)
    struct.pack_into("<HHH", head, 0x3A, 64, 2, 0)
    headers = b""
    for label, offset, size in ((0, start, len(names)), (1, start + len(names), len(kernels))):
        headers += struct.pack("<IIQQQQ", label, 1, 0, 0, offset, size).ljust(64, b"\0")
    return bytearray(head + names + kernels + headers)


def test_code_for_other_gpus_becomes_zeros() -> None:
    data = library([[(CUBIN, 80, 100), (CUBIN, 90, 50), (PTX, 120, 30)], [(CUBIN, 75, 8), (CUBIN, 90, 8)]])
    size = len(data)
    assert only_for(data, 90) == 108
    assert len(data) == size
    kept = [
        (entry.architecture, bytes(data[entry.start : entry.start + entry.size]).count(0xAA))
        for entries in containers(data)
        for entry in entries
    ]
    assert kept == [(80, 0), (90, 50), (120, 30), (75, 0), (90, 8)]


def test_code_of_an_earlier_gpu_of_the_same_generation_stays() -> None:
    data = library([[(CUBIN, 80, 16), (CUBIN, 86, 16), (CUBIN, 89, 16)]])
    assert only_for(data, 86) == 16
    assert data.count(0xAA) == 32


def test_where_nothing_fits_everything_stays() -> None:
    data = library([[(CUBIN, 75, 16), (CUBIN, 120, 16)]])
    assert only_for(data, 90) == 0
    assert data.count(0xAA) == 32


@given(st.binary(max_size=400))
def test_a_file_of_another_form_stays_as_it_is(noise: bytes) -> None:
    for head in (b"", b"\x7fELF\x02\x01"):
        data = bytearray(head + noise)
        before = bytes(data)
        assert only_for(data, 90) == 0
        assert data == before


@given(st.binary(min_size=1, max_size=120), st.integers(0, 300))
def test_damage_is_survived(noise: bytes, place: int) -> None:
    data = library([[(CUBIN, 80, 40), (CUBIN, 90, 40)]])
    place = min(place, len(data) - 1)
    data[place : place + len(noise)] = noise[: len(data) - place]
    size = len(data)
    only_for(data, 90)
    assert len(data) == size


def test_a_library_without_kernels_has_no_section_of_them() -> None:
    assert section(library([[(CUBIN, 90, 8)]], name=b".text")) is None
    assert section(library([[(CUBIN, 90, 8)]])) is not None
