# SPDX-License-Identifier: Apache-2.0
"""The readers in C and in Python accept and refuse the same files, and play the same frames of those they accept.

Files lie in every way that hashes which fit allow: bits of header and table, bytes of sections, pictures of every kind.
"""

from __future__ import annotations

import hashlib
import io
import random
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stillflow.baked.layout import HEADER, Encoding, Kind, Section
from stillflow.baked.reader import decode_baked
from stillflow.errors import StillflowError

from ...runtime.baked import damage
from .baked import JPEG, NUMBERS, PNG, RAW, WEBP, baked, small_scene
from .calls import Loop, OpenError

ARRAYS = small_scene(21, 30, 1, harmonics=2, lights=1, blend=True)
PLAIN = dict.fromkeys((4, 7, 8, 10, 12), NUMBERS) | dict.fromkeys((5, 6), RAW)
FILES = {
    "raw": baked(ARRAYS, encodings=PLAIN, about=b"{}"),
    "png": baked(ARRAYS, encodings=dict.fromkeys((1, 2, 3), PNG)),
    "webp": baked(ARRAYS, encodings=dict.fromkeys((1, 2, 3), WEBP)),
    "jpeg": baked(ARRAYS, encodings={1: JPEG, 2: PNG, 3: WEBP}),
}
LIMIT = 1 << 26
SMOOTHED = (
    "compressed data are damaged",
    "its scans is missing",
    "cut off",
    "prefix codes",
    "its compressed",
)


def agreed(data: bytes, *, smoothed: bool = False) -> bool:
    """Let both read a file and play it; whether they accept it.

    Args:
        data: the file.
        smoothed: coded data of a JPEG or WebP were changed, which Python's decoders may smooth over (docs/sflow.md).
    """
    why = said = None
    try:
        scene = decode_baked(data, memory_limit=LIMIT).scene
    except StillflowError as error:
        why = error.why
    try:
        with Loop(data, limit=LIMIT) as loop:
            assert why is None, f"only Python refuses it: {why}"
            for t in (0.0, 0.37 * scene.frames):
                assert np.abs(scene.frame(t).astype(int) - loop.frame(t)).max() <= 1, t
    except OpenError as error:
        said = error.why
        if why is None:
            assert smoothed and any(word in said for word in SMOOTHED), f"only C refuses it: {said}"
    return said is None


def rehashed(data: bytearray) -> bytes:
    """With a hash of header and table that fits."""
    end = HEADER.size + 80 * min(struct.unpack_from("<I", data, 36)[0], 64)
    start = bytes(data[:64]) + bytes(32) + bytes(data[96:end])
    data[64:96] = hashlib.sha256(start).digest()
    return bytes(data)


@pytest.mark.parametrize("name", FILES)
def test_sound_files(name: str) -> None:
    assert agreed(FILES[name])


def test_headers_and_tables_that_lie() -> None:
    rng, played = random.Random(1), 0
    for _ in range(400):
        data = bytearray(FILES["raw"])
        for _ in range(rng.choice((1, 1, 2))):
            at = rng.randrange(8, HEADER.size + 80 * 12)
            data[at] = rng.choice((data[at] ^ 1 << rng.randrange(8), rng.randrange(256), 0))
        played += agreed(rehashed(data))
    assert 10 < played < 200


@pytest.mark.parametrize("name", FILES)
def test_sections_that_lie(name: str) -> None:
    rng, played = random.Random(2), 0
    pieces = damage.pieces_of(FILES[name])
    for _ in range(90):
        section = rng.choice(damage.head_of(FILES[name]).sections)
        piece = bytearray(pieces[section.kind])
        if section.kind == Kind.ABOUT:
            continue
        for _ in range(rng.choice((1, 1, 4))):
            at = rng.randrange(len(piece))
            piece[at] = rng.choice((piece[at] ^ 1 << rng.randrange(8), rng.randrange(256)))
        if rng.random() < 0.2:
            piece = piece[: rng.randrange(1, len(piece) + 1)] + bytes(rng.choice((0, 1, 5)))
        coded = section.encoding in (Encoding.JPEG, Encoding.WEBP)
        played += agreed(damage.with_piece(FILES[name], section.kind, bytes(piece)), smoothed=coded)
    assert 0 < played < 90


@pytest.mark.parametrize("kind", [Kind.VELOCITY, Kind.INSIDE, Kind.SWAY, Kind.LIGHT, Kind.BLEND])
def test_the_largest_values_that_make_sense(kind: Kind) -> None:
    judged = set()
    shape = next(s.shape for s in damage.head_of(FILES["raw"]).sections if s.kind == kind)
    for number in (-32768, 32767, 1):
        whole = np.zeros(shape, "<i2")
        whole[-1, 2, 3] = number
        for exponent in (-61, -60, -13, -12, -11, -6, -5, -4, 0, 1, 2, 9, 10, 16, 17, 60, 61):
            judged.add(agreed(damage.with_piece(FILES["raw"], kind, whole.tobytes(), exponent=exponent)))
    assert judged == {False, True}


def test_streams_end_where_their_section_does() -> None:
    for kind in (Kind.VELOCITY, Kind.FLOW):
        piece = damage.pieces_of(FILES["png"])[kind]
        for tail in (b"\0", b"abcdef", piece[-4:]):
            assert not agreed(damage.with_piece(FILES["png"], kind, piece + tail))


def test_sections_that_are_skipped() -> None:
    later = Section(0x9000, 77, 0, 0, 5, 0, (9, 9, 9), b"")
    more = damage.with_more(FILES["raw"], later, b"hello")
    assert agreed(more)
    assert agreed(damage.with_line(more, 0x9000, sha256=bytes(32)))
    assert agreed(damage.with_more(FILES["raw"], later, b""))
    assert not agreed(damage.with_line(more, 0x9000, kind=0x7FFF))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, content: bytes, crc: int | None = None) -> bytes:
    crc = zlib.crc32(name + content) if crc is None else crc
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


IMAGE = Image.fromarray(ARRAYS.photo)
PNG_FILE, JPEG_FILE = saved(IMAGE, "PNG"), saved(IMAGE, "JPEG", quality=95, subsampling=0)
WEBP_FILE = saved(IMAGE, "WEBP", lossless=True, exact=True)
IDAT = PNG_FILE[41:-16]


def png(*chunks: bytes, idat: bytes = IDAT, end: bytes = PNG_FILE[-12:]) -> bytes:
    return PNG_FILE[:33] + b"".join(chunks) + chunk(b"IDAT", idat) + end


def jpeg(segment: bytes, before: bytes = JPEG_FILE[:20], rest: bytes = JPEG_FILE[20:]) -> bytes:
    return before + segment + rest


def webp(*, bit: int | None = None, chunks: bytes = b"", vp8x: bool = False) -> bytes:
    body = bytearray(WEBP_FILE[12:])
    if bit is not None:
        body[9 + bit // 8] ^= 1 << bit % 8
    if vp8x:
        body[:0] = struct.pack("<4sII", b"VP8X", 10, 0) + bytes((29, 0, 0, 20, 0, 0))
    body += chunks
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + bytes(body)


def head(at: int, value: int) -> bytes:
    """A PNG with another byte in its head, whose sum fits."""
    data = bytearray(PNG_FILE[16:29])
    data[at] = value
    return PNG_FILE[:8] + chunk(b"IHDR", bytes(data)) + PNG_FILE[33:]


def frame(at: int, value: int, data: bytes = JPEG_FILE) -> bytes:
    """A JPEG with another byte in its frame header."""
    other = bytearray(data)
    other[other.index(b"\xff\xc0") + at] = value
    return bytes(other)


EXIF = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
NEEDLESS = (0x01, 0xBF, 0xC8, 0xCC, 0xD8, 0xDC, 0xF0)
ADOBE = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0"
GRAY = saved(IMAGE.convert("L"), "JPEG")
PICTURES = {
    "PNG": (PNG, PNG_FILE, True),
    "PNG, more behind it": (PNG, PNG_FILE + b"x", False),
    "PNG, transparent colour": (PNG, png(chunk(b"tRNS", b"\0\1\0\1\0\1")), True),
    "PNG, gamma cut short": (PNG, png(chunk(b"gAMA", b"")), True),
    "PNG, profile": (PNG, png(chunk(b"iCCP", b"x")), True),
    "PNG, long text": (PNG, png(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 22)))), True),
    "PNG, palette": (PNG, png(chunk(b"PLTE", b"123")), True),
    "PNG, animated": (PNG, png(chunk(b"acTL", struct.pack(">II", 2, 0)), chunk(b"fdAT", b"x" * 9)), True),
    "PNG, second head": (PNG, png(PNG_FILE[8:33]), True),
    "PNG, unknown chunk": (PNG, png(chunk(b"ABCD", b"x")), False),
    "PNG, sum of a text": (PNG, png(chunk(b"tEXt", b"a\0b", 1)), False),
    "PNG, more rows": (PNG, png(idat=zlib.compress(zlib.decompress(IDAT) + b"\0")), False),
    "PNG, fewer rows": (PNG, png(idat=zlib.compress(zlib.decompress(IDAT)[:-1])), False),
    "PNG, no sum": (PNG, png(idat=IDAT[:-4]), False),
    "PNG, more in its IDAT": (PNG, png(idat=IDAT + b"abc"), True),
    "PNG, filter": (PNG, png(idat=zlib.compress(b"\x09" + zlib.decompress(IDAT)[1:])), False),
    "PNG, apart": (PNG, png(chunk(b"IDAT", IDAT[:9]), chunk(b"tEXt", b"a\0b"), idat=IDAT[9:]), False),
    "PNG, side by side": (PNG, png(chunk(b"IDAT", IDAT[:9]), idat=IDAT[9:]), True),
    "PNG, end with data": (PNG, png(end=chunk(b"IEND", b"abc")), True),
    "PNG, 16 bits": (PNG, head(8, 16), False),
    "PNG, compression": (PNG, head(10, 1), False),
    "PNG, filters": (PNG, head(11, 1), False),
    "PNG, interlaced": (PNG, head(12, 1), False),
    "PNG, with a palette": (PNG, saved(IMAGE.convert("P"), "PNG"), False),
    "WebP": (WEBP, WEBP_FILE, True),
    "WebP, says that it has alpha": (WEBP, webp(bit=28), True),
    "WebP, of another version": (WEBP, webp(bit=29), False),
    "WebP, extended": (WEBP, webp(vp8x=True), False),
    "WebP, EXIF": (WEBP, webp(chunks=b"EXIF\2\0\0\0ab"), False),
    "WebP, more behind it": (WEBP, WEBP_FILE + b"\0\0", False),
    "WebP, lossy": (WEBP, saved(IMAGE, "WEBP", quality=80), False),
    "JPEG": (JPEG, JPEG_FILE, True),
    "JPEG, 4:2:0": (JPEG, saved(IMAGE, "JPEG", subsampling=2), True),
    "JPEG, progressive": (JPEG, saved(IMAGE, "JPEG", progressive=True), True),
    "JPEG, restarts": (JPEG, saved(IMAGE, "JPEG", restart_marker_blocks=2), True),
    "JPEG, gray": (JPEG, GRAY, True),
    "JPEG, gray of 2x2": (JPEG, frame(11, 0x22, GRAY), False),
    "JPEG, inks": (JPEG, saved(IMAGE.convert("CMYK"), "JPEG"), False),
    "JPEG, no JFIF": (JPEG, jpeg(b"", JPEG_FILE[:2]), False),
    "JPEG, Adobe's colours": (JPEG, jpeg(ADOBE, JPEG_FILE[:2]), False),
    "JPEG, both marks": (JPEG, jpeg(ADOBE), True),
    "JPEG, 4:4:0": (JPEG, frame(11, 0x12), False),
    "JPEG, 4:1:1": (JPEG, frame(11, 0x41), False),
    "JPEG, 12 bits": (JPEG, frame(4, 12), False),
    "JPEG, extended": (JPEG, JPEG_FILE.replace(b"\xff\xc0", b"\xff\xc1"), False),
    "JPEG, more behind it": (JPEG, JPEG_FILE + b"x", False),
    "JPEG, two": (JPEG, JPEG_FILE + JPEG_FILE, False),
    "JPEG, no end": (JPEG, JPEG_FILE[:-2], False),
    "JPEG, fill bytes": (JPEG, jpeg(b"\xff\xff"), True),
    "JPEG, bytes between": (JPEG, jpeg(b"abc"), False),
    "JPEG, comment": (JPEG, jpeg(b"\xff\xfe\0\6abcd"), True),
    "JPEG, turned": (JPEG, jpeg(EXIF), True),
    **{f"JPEG, {m:#x}": (JPEG, jpeg(bytes((255, m, 0, 4, 0, 0))), False) for m in NEEDLESS},
}  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_of_every_kind(name: str) -> None:
    encoding, data, accepted = PICTURES[name]
    assert agreed(damage.with_piece(FILES["raw"], Kind.PHOTO, data, encoding=encoding)) is accepted


def test_a_plate_without_alpha_and_a_matte_with_colours() -> None:
    assert agreed(damage.with_piece(FILES["raw"], Kind.PLATE, WEBP_FILE, encoding=WEBP))
    assert agreed(damage.with_piece(FILES["raw"], Kind.MATTE, WEBP_FILE, encoding=WEBP))
    assert not agreed(damage.with_piece(FILES["raw"], Kind.PLATE, PNG_FILE, encoding=PNG))
    assert not agreed(damage.with_piece(FILES["raw"], Kind.MATTE, JPEG_FILE, encoding=JPEG))
