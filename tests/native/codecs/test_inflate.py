# SPDX-License-Identifier: Apache-2.0
"""What zlib compresses comes back, and what zlib refuses is refused."""

from __future__ import annotations

import ctypes
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ..internals import internals, pointer

GUARD = 64
"""Bytes kept behind the output; they must stay as they were."""


def inflate(data: bytes, size: int, wrapped: bool = True) -> bytes | None:
    library = internals()
    library.sf_inflate.argtypes = (
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
    )
    out = np.full(size + GUARD, 0xA5, np.uint8)
    failed = library.sf_inflate(data, len(data), pointer(out), size, wrapped)
    assert (out[size:] == 0xA5).all()
    return None if failed else out[:size].tobytes()


def deflate(data: bytes, level: int = 9, strategy: int = 0, bits: int = 15, memory: int = 8) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, bits, memory, strategy)
    return packer.compress(data) + packer.flush()


def told_by_zlib(data: bytes, size: int, bits: int) -> bytes | None:
    unpacker = zlib.decompressobj(bits)
    try:
        out = unpacker.decompress(data)
    except zlib.error:
        return None
    return out if unpacker.eof and len(out) == size else None


def samples() -> list[bytes]:
    rng = np.random.default_rng(1)
    smooth = np.cumsum(rng.integers(-3, 4, 60_000)).astype(np.uint8).tobytes()
    deep = np.minimum(rng.geometric(0.5, 60_000), 255).astype(np.uint8).tobytes()  # codes of up to 15 bits
    return [
        b"",
        b"a",
        b"ab" * 9000,
        b"\0" * 70_000,
        rng.bytes(70_000),
        smooth,
        deep,
        b"abcdefg" * 999 + smooth[:999],
    ]


@pytest.mark.parametrize("strategy", [0, 1, 2, 3, 4])  # default, filtered, Huffman only, runs, fixed
@pytest.mark.parametrize("level", range(10))
def test_samples_come_back(level, strategy):
    for data in samples():
        assert inflate(deflate(data, level, strategy), len(data)) == data
        assert inflate(deflate(data, level, strategy, -15), len(data), False) == data


runs = st.lists(st.tuples(st.binary(min_size=1, max_size=20), st.integers(1, 60)), max_size=40)


@settings(deadline=None)
@given(runs, st.integers(0, 9), st.integers(0, 4), st.integers(9, 15), st.integers(1, 9))
def test_any_bytes_come_back(pieces, level, strategy, bits, memory):
    data = b"".join(piece * times for piece, times in pieces)
    packed = deflate(data, level, strategy, bits, memory)
    assert inflate(packed, len(data)) == data
    assert inflate(packed, len(data) + 1) is None
    assert not data or inflate(packed, len(data) - 1) is None


@pytest.mark.parametrize("level", [0, 1, 9])
def test_every_truncation_is_refused(level):
    data = samples()[-1][:3000]
    packed = deflate(data, level)
    for size in range(0, len(packed), 1 + len(packed) // 300):
        assert inflate(packed[:size], len(data)) is None


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_changed_bytes_are_judged_as_by_zlib(data):
    whole = samples()[data.draw(st.integers(1, 7))][:4000]
    packed = bytearray(deflate(whole, data.draw(st.integers(0, 9)), data.draw(st.integers(0, 4)), -15))
    for place in data.draw(st.lists(st.integers(0, min(len(packed), 120) - 1), min_size=1, max_size=4)):
        packed[place] ^= 1 << data.draw(st.integers(0, 7))
    told = zlib.decompressobj(-15)
    try:
        size = len(told.decompress(bytes(packed), 200_000))
    except zlib.error:
        size = len(whole)
    assert inflate(bytes(packed), size, False) == told_by_zlib(bytes(packed), size, -15)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
@example(bytes([0b101, 0]))  # fixed codes, cut off
@example(bytes([0b111]))  # a kind that does not exist
def test_noise_is_judged_as_by_zlib(noise):
    told = zlib.decompressobj(-15)
    try:
        size = len(told.decompress(noise))
    except zlib.error:
        size = 100
    assert inflate(noise, size, False) == told_by_zlib(noise, size, -15)


def bits_of(*fields: tuple[int, int]) -> bytes:
    """Fields of (value, bits), lowest bit first."""
    text = "".join(f"{value:0{bits}b}"[::-1] for value, bits in fields)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i : i + 8][::-1], 2) for i in range(0, len(text), 8))


def block(letters: dict[int, int], distances: dict[int, int], *codes: tuple[int, int]) -> bytes:
    """A block of its own codes, whose lengths (1, 2 or 0 bits) are themselves written in 2 bits each."""
    count, far = max(257, *(1 + i for i in letters)), max([1, *(1 + i for i in distances)])
    head = [(1, 1), (2, 2), (count - 257, 5), (far - 1, 5), (18 - 4, 4)]
    order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1]
    head += [(2 if i in (0, 1, 2, 3) else 0, 3) for i in order]
    lengths = [letters.get(i, 0) for i in range(count)] + [distances.get(i, 0) for i in range(far)]
    reverse = [0, 2, 1, 3]
    return bits_of(*head, *((reverse[n], 2) for n in lengths), *codes)


CODES = {
    "a single letter": (block({256: 1}, {}, (0, 1)), b""),
    "a distance of one code": (
        block({97: 1, 256: 2, 257: 2}, {0: 1}, (0, 1), (3, 2), (0, 1), (1, 2)),
        b"aaaa",
    ),
    "the other half of one code": (
        block({97: 1, 256: 2, 257: 2}, {0: 1}, (0, 1), (3, 2), (1, 1), (1, 2)),
        None,
    ),
    "no distance at all": (block({97: 1, 256: 2, 257: 2}, {}, (0, 1), (3, 2), (0, 1), (1, 2)), None),
    "a distance of 2 bits": (block({97: 1, 256: 1}, {0: 2}, (0, 1), (1, 1)), None),
    "too many codes": (block({97: 1, 98: 1, 256: 1}, {}, (0, 1), (1, 1)), None),
    "no end": (block({97: 1, 98: 1}, {}, (0, 1), (1, 1)), None),
    "from before the beginning": (
        block({97: 1, 256: 2, 257: 2}, {1: 1}, (0, 1), (3, 2), (0, 1), (1, 2)),
        None,
    ),
    "287 letters": (bits_of((1, 1), (2, 2), (30, 5), (0, 5), (0, 4), (0, 200)), None),
}


@pytest.mark.parametrize("name", CODES)
def test_codes_at_the_edge(name):
    packed, whole = CODES[name]
    size = 4 if whole is None else len(whole)
    assert told_by_zlib(packed, size, -15) == whole
    assert inflate(packed, size, False) == whole


@pytest.mark.parametrize("head", [b"\x78\x9d", b"\x79\x9c", b"\x88\x1c", b"\x78\xbb", b"\x78", b""])
def test_wrong_wrappings_are_refused(head):
    packed = deflate(b"abc")
    assert inflate(packed, 3) == b"abc"
    assert inflate(head + packed[2:] if len(head) == 2 else head, 3) is None


def test_a_wrong_sum_is_refused():
    packed = bytearray(deflate(b"abc"))
    packed[-1] ^= 1
    assert inflate(bytes(packed), 3) is None
