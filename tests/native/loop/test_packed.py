# SPDX-License-Identifier: Apache-2.0
"""Packed numbers and bytes come out as they went in, whatever they are."""

from __future__ import annotations

import ctypes

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.baked.fields import pack

from ..internals import Room, internals, pointer
from .baked import NUMBERS, PACKED_BYTES, PACKED_NUMBERS, packed


class Section(ctypes.Structure):
    """sf_section."""

    _fields_ = (
        ("bytes", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("sum", ctypes.c_void_p),
        ("encoding", ctypes.c_int32),
        ("exponent", ctypes.c_int32),
        ("planes", ctypes.c_int32),
        ("rows", ctypes.c_int32),
        ("columns", ctypes.c_int32),
    )


def section(
    data: bytes, encoding: int, exponent: int, shape: tuple[int, int, int]
) -> tuple[Section, np.ndarray]:
    held = np.frombuffer(data, np.uint8).copy()
    return Section(held.ctypes.data, held.size, None, encoding, exponent, *shape), held


shapes = st.tuples(st.sampled_from([1, 2, 4]), st.integers(1, 9), st.integers(1, 40))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 9999), shape=shapes, exponent=st.integers(-60, 60), wild=st.booleans())
def test_numbers(seed, shape, exponent, wild):
    rng = np.random.default_rng(seed)
    together, rows, columns = shape
    groups = int(rng.integers(1, 4))
    planes = (groups * together, rows, columns)
    numbers = rng.integers(-32768, 32768, planes).astype(np.int16)
    if not wild:
        numbers = (numbers // 4096).astype(np.int16)
    expected = numbers.reshape(groups, together, rows, columns).transpose(0, 2, 3, 1) * np.float32(
        2.0**exponent
    )
    call = internals().sf_unpack_numbers
    call.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_void_p)
    call.restype = None
    assert pack(numbers) and packed(numbers)
    for data, encoding in (
        (packed(numbers), PACKED_NUMBERS),
        (pack(numbers), PACKED_NUMBERS),
        (numbers.astype("<i2").tobytes(), NUMBERS),
    ):
        described, _held = section(data, encoding, exponent, planes)
        found = np.full(expected.shape, np.nan, np.float32)
        with Room() as room:
            call(room.address, ctypes.byref(described), b"numbers", together, pointer(found))
        np.testing.assert_array_equal(found, expected)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 9999), rows=st.integers(1, 30), columns=st.integers(1, 60))
def test_bytes(seed, rows, columns):
    values = np.random.default_rng(seed).integers(0, 256, (1, rows, columns)).astype(np.uint8)
    call = internals().sf_unpack_plane
    call.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    call.restype = None
    for data in (packed(values), pack(values)):
        described, _held = section(data, PACKED_BYTES, 0, values.shape)
        found = np.zeros_like(values)
        with Room() as room:
            call(room.address, ctypes.byref(described), b"bytes", pointer(found))
        np.testing.assert_array_equal(found, values)
