# SPDX-License-Identifier: Apache-2.0
"""A kernel's arguments lie in one piece as C lays out a structure; the rest is in test_pycuda.py, with PyCUDA."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow.gpu.pycuda_objects import pack, stream_of


class _Small(ctypes.Structure):
    _fields_ = (("byte", ctypes.c_uint8), ("number", ctypes.c_int16))


class _Large(ctypes.Structure):
    _fields_ = (("number", ctypes.c_int), ("where", ctypes.c_void_p), ("ends", ctypes.c_int * 3))


def structure(kind):
    size = ctypes.sizeof(kind)
    return st.binary(min_size=size, max_size=size).map(kind.from_buffer_copy)


arguments = st.one_of(
    st.integers(0, 2**64 - 1).map(ctypes.c_void_p),
    st.integers(-(2**31), 2**31 - 1).map(ctypes.c_int),
    st.floats(width=32, allow_nan=False).map(ctypes.c_float),
    st.floats(allow_nan=False).map(ctypes.c_double),
    structure(_Small),
    structure(_Large),
)


@given(st.lists(arguments, max_size=12))
def test_arguments_are_laid_out_as_in_a_structure(given):
    fields = tuple((f"a{k}", type(argument)) for k, argument in enumerate(given))
    whole = type("Whole", (ctypes.Structure,), {"_fields_": fields})
    packed = pack(tuple(given))
    for (name, kind), argument in zip(fields, given, strict=True):
        at = getattr(whole, name).offset
        assert packed[at : at + ctypes.sizeof(kind)] == bytes(argument)
    # A kernel's arguments end with the last one; a structure is filled up behind it.
    last = getattr(whole, fields[-1][0]).offset + ctypes.sizeof(fields[-1][1]) if fields else 0
    assert len(packed) == last


def test_a_stream_of_another_provider_is_refused():
    with pytest.raises(TypeError, match="another provider"):
        stream_of(object())
