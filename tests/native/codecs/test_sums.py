# SPDX-License-Identifier: Apache-2.0
"""SHA-256, CRC-32 and Adler-32 against those of Python."""

from __future__ import annotations

import ctypes
import hashlib
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ..internals import internals


@pytest.fixture(scope="module")
def library():
    library = internals()
    for name in ("sf_sha256", "sf_sha256_portable"):
        getattr(library, name).argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p)
        getattr(library, name).restype = None
    for name in ("sf_crc32", "sf_adler32"):
        getattr(library, name).argtypes = (ctypes.c_char_p, ctypes.c_size_t)
        getattr(library, name).restype = ctypes.c_uint32
    return library


NOISE = np.random.default_rng(0).bytes(300_000)


@pytest.mark.parametrize("name", ["sf_sha256", "sf_sha256_portable"])
def test_sha256_of_every_short_length_and_a_long_one(library, name):
    out = ctypes.create_string_buffer(32)
    for size in [*range(301), len(NOISE)]:
        getattr(library, name)(NOISE[:size], size, out)
        assert out.raw == hashlib.sha256(NOISE[:size]).digest(), size


@settings(deadline=None)
@given(st.binary(max_size=100), st.integers(0, 8))
def test_sums_of_any_bytes(library, data, skip):
    data = data[skip:]  # any alignment of the rest
    assert library.sf_crc32(data, len(data)) == zlib.crc32(data)
    assert library.sf_adler32(data, len(data)) == zlib.adler32(data)


@pytest.mark.parametrize("size", [5551, 5552, 5553, 11104, 65535, 300_000])
def test_sums_of_many_bytes(library, size):
    for data in (NOISE[:size], b"\xff" * size):
        assert library.sf_crc32(data, size) == zlib.crc32(data)
        assert library.sf_adler32(data, size) == zlib.adler32(data)
