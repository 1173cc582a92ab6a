# SPDX-License-Identifier: Apache-2.0
"""What is no baked scene is refused with a status and a reason, whatever its bytes are."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ..structs import FORMAT, LIMIT, VALUE, VERSION
from .baked import (
    ABOUT,
    FLOW,
    LIGHT,
    MATTE,
    PHOTO,
    PNG,
    SWAY,
    SWAY_PERIODS,
    VELOCITY,
    baked,
    sections_of,
    small_scene,
)
from .calls import Loop, OpenError

ARRAYS = small_scene(5, 6, 1)
TINY = baked(ARRAYS, bare=True)
TABLE_END = 128 + 80 * 6


def refused(data: bytes, limit: int = 0) -> OpenError:
    with pytest.raises(OpenError) as caught:
        Loop(data, limit=limit).close()
    return caught.value


def with_sections(change, **how) -> bytes:
    """A file whose sections were changed before it was put together."""
    sections = sections_of(ARRAYS, **how)
    return baked(ARRAYS, change(sections) or sections)


def test_the_file_itself_is_good():
    with Loop(TINY) as loop:
        assert loop.frame(1.5).shape == (5, 6, 3)


def test_every_truncation_is_refused():
    for size in range(1, len(TINY)):
        assert refused(TINY[:size]).status == FORMAT


def test_something_behind_the_end_is_refused():
    assert refused(TINY + b"\0").status == FORMAT


def test_every_flipped_bit_is_refused():
    data = bytearray(TINY)
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        # Version numbers come before everything else, and a larger minor version is no damage: the hash tells.
        assert refused(bytes(data)).status in (FORMAT, VERSION)
        data[bit // 8] ^= 1 << bit % 8


def test_a_trusted_file_is_played_without_its_sections_hashes():
    """Damage is then not found by them, but does no harm: refused, or played."""
    with Loop(TINY) as sound, Loop(TINY, trusted=1) as trusted:
        assert np.array_equal(sound.frame(1.5), trusted.frame(1.5))
    played, data = 0, bytearray(TINY)
    for bit in range(8 * TABLE_END, 8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        try:
            with Loop(bytes(data), limit=1 << 24, trusted=1) as loop:
                assert loop.frame(0.5).shape == (5, 6, 3)
                played += 1
        except OpenError as error:
            assert error.status in (FORMAT, VALUE, LIMIT)
        data[bit // 8] ^= 1 << bit % 8
    assert played


def test_flipped_bits_under_a_hash_that_fits_do_no_harm():
    """Header and table of a file whose writer lies: refused, or played."""
    played, data = 0, bytearray(TINY)
    for bit in range(8 * TABLE_END):
        if 64 <= bit // 8 < 96:
            continue
        data[bit // 8] ^= 1 << bit % 8
        start = data[:64] + bytes(32) + data[96:TABLE_END]
        data[64:96] = hashlib.sha256(start).digest()
        try:
            with Loop(bytes(data), limit=1 << 24) as loop:
                assert loop.frame(0.5).shape == (loop.facts.height, loop.facts.width, 3)
                played += 1
        except OpenError as error:
            assert error.status in (FORMAT, VERSION, VALUE, LIMIT)
        data[bit // 8] ^= 1 << bit % 8
    # Minor version, number of frames, frames a second and exponents may be others.
    assert 20 < played < 8 * TABLE_END / 10


@pytest.mark.parametrize(
    ("header", "status", "why"),
    [
        ({"major": 2}, VERSION, "its version is 2"),
        ({"major": 0}, VERSION, "its version is 0"),
        ({"bytes": 192}, FORMAT, "header"),
        ({"size": 1 << 63}, FORMAT, "bytes"),
        ({"sections": 0}, FORMAT, "header"),
        ({"sections": 65}, FORMAT, "header"),
        ({"sections": 64}, FORMAT, "table"),
        ({"width": 0}, FORMAT, "0 x 5 pixels"),
        ({"width": 65536}, FORMAT, "65536 x 5 pixels"),
        ({"width": 65535, "height": 65535}, FORMAT, "beyond the limits"),
        ({"height": 6}, FORMAT, "photo has a size of 3 x 5 x 6"),
        ({"frames": 0}, FORMAT, "0 frames"),
        ({"frames": 1_000_001}, FORMAT, "1000001 frames"),
        ({"fps": float("nan")}, FORMAT, "nan"),
        ({"fps": 0.0}, FORMAT, "at 0 a second"),
        ({"fps": 241.0}, FORMAT, "at 241 a second"),
        ({"rule": 2}, VERSION, "its loop rule is 2"),
    ],
)
def test_headers_that_lie(header, status, why):
    error = refused(baked(ARRAYS, bare=True, header=header))
    assert error.status == status and why in error.why


def test_what_is_reserved_must_be_zero():
    for at in (52, 63, 96, 127):

        def write(start, at=at):
            start[at] = 1

        assert refused(baked(ARRAYS, bare=True, tamper=write)).status == FORMAT


def entry(index: int, at: int, code: str, value: int):
    """Change one value of one line of the table."""

    def change(start):
        struct.pack_into(f"<{code}", start, 128 + 80 * index + at, value)

    return change


@pytest.mark.parametrize(
    ("change", "status", "why"),
    [
        (entry(0, 0, "I", 0), VERSION, "0 that this library"),
        (entry(0, 0, "I", 13), VERSION, "0xd that this library"),
        (entry(1, 0, "I", 1), FORMAT, "twice"),
        (entry(5, 0, "I", 0x8002), FORMAT, "no inside"),
        (entry(0, 4, "I", 4), FORMAT, "photo has the encoding 4"),
        (entry(1, 4, "I", 2), FORMAT, "matte has the encoding 2"),
        (entry(2, 4, "I", 6), FORMAT, "velocity has the encoding 6"),
        (entry(2, 4, "I", 1 << 31), FORMAT, "velocity has the encoding"),
        (entry(0, 8, "Q", 0), FORMAT, "does not lie"),
        (entry(0, 8, "Q", 640 + 64), FORMAT, "does not lie"),
        (entry(0, 8, "Q", (1 << 64) - 64), FORMAT, "does not lie"),
        (entry(0, 16, "Q", 0), FORMAT, "photo has 0 bytes"),
        (entry(0, 16, "Q", (1 << 64) - 1), FORMAT, "does not lie"),
        (entry(1, 8, "Q", 640), FORMAT, "does not lie"),
        (entry(5, 16, "Q", 1), FORMAT, "end before the file"),
        (entry(2, 24, "Q", 1 << 40), FORMAT, "velocity does not say the bytes"),
        (entry(2, 32, "i", 61), FORMAT, "exponent 61"),
        (entry(2, 32, "i", -61), FORMAT, "exponent -61"),
        (entry(0, 32, "i", 1), FORMAT, "exponent 1"),
        (entry(0, 36, "I", 4), FORMAT, "photo has a size of 4"),
        (entry(2, 40, "I", 1 << 31), FORMAT, "velocity has a size"),
    ],
)
def test_tables_that_lie(change, status, why):
    error = refused(baked(ARRAYS, bare=True, tamper=change))
    assert error.status == status and why in error.why


def test_gaps_hold_nothing():
    data = bytearray(TINY)
    assert data[TABLE_END : TABLE_END + 32] == bytes(32)
    data[TABLE_END + 31] = 1
    assert "something before" in refused(bytes(data)).why


@pytest.mark.parametrize("kind", [PHOTO, MATTE, VELOCITY, FLOW])
def test_what_must_be_there(kind):
    assert refused(with_sections(lambda s: [one for one in s if one[0] != kind])).status == FORMAT


def test_periods_and_harmonics_come_together():
    arrays = small_scene(9, 9, harmonics=2, lights=1)
    whole = sections_of(arrays)
    for left_out in (SWAY, SWAY_PERIODS, LIGHT):
        assert "do not fit" in refused(baked(arrays, [s for s in whole if s[0] != left_out])).why
    three = (SWAY_PERIODS, 0, 12, 0, (1, 1, 3), struct.pack("<3I", 1, 2, 3))
    assert "do not fit" in refused(baked(arrays, [three if s[0] == SWAY_PERIODS else s for s in whole])).why
    for bad in (0, 1_000_001, 1 << 31):
        periods = (SWAY_PERIODS, 0, 8, 0, (1, 1, 2), struct.pack("<2I", 1, bad))
        error = refused(baked(arrays, [periods if s[0] == SWAY_PERIODS else s for s in whole]))
        assert error.status == VALUE and str(bad) in error.why


def test_no_cycles_are_refused():
    none = small_scene(9, 9)
    none.cycles[1, 1] = 0
    assert refused(baked(none)).status == VALUE


def test_later_minor_versions_are_read_and_tell_what_was_skipped():
    told = []
    later = (0x9000, 123, 7, 5, (1, 2, 3), b"anything")
    data = baked(ARRAYS, [later, *sections_of(ARRAYS)], header={"minor": 3})
    with Loop(data, log=lambda level, line: told.append((level, line))) as loop, Loop(TINY) as plain:
        assert loop.facts.frames == plain.facts.frames
    assert len(told) == 1 and told[0][0] == 1 and "1.3" in told[0][1]


def test_about_is_handed_out():
    import ctypes

    with Loop(baked(ARRAYS, about=b'{"title": "sea"}')) as loop:
        assert ctypes.string_at(loop.facts.about, loop.facts.about_bytes) == b'{"title": "sea"}'
    with Loop(TINY) as loop:
        assert not loop.facts.about and not loop.facts.about_bytes
    long = (ABOUT, 0, 65537, 0, (1, 1, 65537), bytes(65537))
    assert refused(baked(ARRAYS, [*sections_of(ARRAYS), long])).status == FORMAT


def test_the_limit_is_decided_by_the_header_alone():
    """A photo of 134 million pixels in one byte: nothing is decoded, and nothing of its size is taken."""
    sections = [
        (k, PNG if k in (PHOTO, MATTE) else e, d, x, s, b"!") for k, e, d, x, s, _ in sections_of(ARRAYS)
    ]
    width, height = 16384, 8192
    h, w = height // 4, width // 4
    large = []
    for kind, encoding, _, exponent, shape, data in sections:
        rows, columns = (height, width) if kind <= 3 else (h, w)
        size = shape[0] * rows * columns * (2 if kind in (4, 7) else 1)
        large.append((kind, max(encoding, 1), size, exponent, (shape[0], rows, columns), data))
    error = refused(baked(ARRAYS, large, header={"width": width, "height": height}), limit=1 << 28)
    assert error.status == LIMIT and "at least" in error.why
    # With a limit that suffices it goes on, to the first section that is no picture.
    whole = baked(ARRAYS, large, header={"width": width, "height": height})
    assert refused(whole, limit=1 << 40).status in (FORMAT, LIMIT)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 12))
def test_sections_full_of_something_else(seed, count):
    """Bytes of packed sections are changed before their hash is made: refused, or played."""
    rng = np.random.default_rng(seed)

    def change(sections):
        for _ in range(count):
            i = int(rng.integers(len(sections)))
            kind, encoding, size, exponent, shape, data = sections[i]
            bent = bytearray(data)
            bent[int(rng.integers(len(bent)))] = int(rng.integers(256))
            if rng.random() < 0.2 and encoding:
                bent = bent[: int(rng.integers(1, len(bent) + 1))]
            sections[i] = (kind, encoding, size, exponent, shape, bytes(bent))

    try:
        with Loop(with_sections(change, encodings={PHOTO: PNG, MATTE: PNG, 3: PNG})) as loop:
            loop.frame(0.25)
    except OpenError as error:
        assert error.status in (FORMAT, VALUE)
