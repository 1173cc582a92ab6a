# SPDX-License-Identifier: Apache-2.0
"""Packed numbers and bytes."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stillflow.baked.fields import inflate, pack, unpack

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 7))
NUMBERS = SHAPES.flatmap(lambda shape: hnp.arrays(np.int16, shape))
BYTES = SHAPES.flatmap(lambda shape: hnp.arrays(np.uint8, shape))


@given(NUMBERS | BYTES)
def test_unpacking_is_the_inverse_of_packing(planes: np.ndarray) -> None:
    kind = planes.dtype.type
    found = unpack(pack(planes), planes.shape, kind)
    assert found.dtype == planes.dtype
    assert np.array_equal(found, planes)


def residual(plane: np.ndarray, y: int, x: int) -> int:
    """The document's formula, one sample at a time, before the modulo."""

    def p(y: int, x: int) -> int:
        return int(plane[y, x]) if y >= 0 and x >= 0 else 0

    return p(y, x) - (p(y, x - 1) + p(y - 1, x) - p(y - 1, x - 1))


@given(NUMBERS)
def test_the_stream_of_numbers_is_that_of_the_document(planes: np.ndarray) -> None:
    expected = b""
    for plane in planes:
        folded = []
        for y, x in np.ndindex(plane.shape):
            r = (residual(plane, y, x) + 32768) % 65536 - 32768
            folded.append(2 * r if r >= 0 else -2 * r - 1)
        expected += bytes(u & 255 for u in folded) + bytes(u >> 8 for u in folded)
    assert zlib.decompress(pack(planes)) == expected


@given(BYTES)
def test_the_stream_of_bytes_is_that_of_the_document(planes: np.ndarray) -> None:
    expected = [residual(plane, y, x) % 256 for plane in planes for y, x in np.ndindex(plane.shape)]
    assert zlib.decompress(pack(planes)) == bytes(expected)


def test_what_follows_a_stream_is_told() -> None:
    data = zlib.compress(b"abc" * 100)
    assert inflate(data, 300) == (b"abc" * 100, b"")
    assert inflate(data + b"more", 300) == (b"abc" * 100, b"more")
    for size in (1, 299, 301):
        with pytest.raises(ValueError, match="less or more"):
            inflate(data, size)


@pytest.mark.parametrize("kind", [np.int16, np.uint8])
def test_streams_that_lie(kind: Any) -> None:
    planes = np.arange(24).reshape(2, 3, 4).astype(kind)
    data = pack(planes)
    for cut in range(len(data)):
        with pytest.raises(ValueError, match="compressed bytes"):
            unpack(data[:cut], planes.shape, kind)
    for other in (data + b"\0", zlib.compress(bytes(1 << 20)), b"", data[:-1] + bytes([data[-1] ^ 1])):
        with pytest.raises(ValueError, match="compressed bytes"):
            unpack(other, planes.shape, kind)
    for shape in ((2, 3, 3), (2, 3, 5), (1, 1, 1)):
        with pytest.raises(ValueError, match="compressed bytes"):
            unpack(data, shape, kind)
