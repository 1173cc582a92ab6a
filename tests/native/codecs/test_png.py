# SPDX-License-Identifier: Apache-2.0
"""PNG files of Pillow, OpenCV and our own making come back to the byte."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from .decoding import ERROR_LIMIT, PNG, RefusedError, decode, look, try_damaged

COLOURS = {1: 0, 3: 2, 4: 6}


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def head(
    width: int, height: int, depth: int = 8, colours: int = 2, packing: int = 0, passes: int = 0
) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colours, packing, 0, passes))


def png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")


def filtered(image: np.ndarray, filters: list[int]) -> bytes:
    """The rows of (h, w, c) uint8, row y by filter filters[y % len(filters)], from the formulas of the standard."""
    height, width, channels = image.shape
    padded = np.zeros((height + 1, width + 1, channels), np.int32)
    padded[1:, 1:] = image
    left, up, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    guess = left + up - corner
    near = np.abs(guess - left), np.abs(guess - up), np.abs(guess - corner)
    paeth = np.where(
        (near[0] <= near[1]) & (near[0] <= near[2]), left, np.where(near[1] <= near[2], up, corner)
    )
    predicted = [np.zeros_like(left), left, up, (left + up) // 2, paeth]
    rows = b""
    for y in range(height):
        used = filters[y % len(filters)]
        rows += bytes([used]) + ((image[y] - predicted[used][y]) & 255).astype(np.uint8).tobytes()
    return rows


def texture(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    smooth = (
        np.cumsum(rng.integers(-9, 10, (height, width, channels)), 1) + 8 * np.arange(height)[:, None, None]
    )
    return (smooth + rng.integers(0, 2, smooth.shape) * 90).astype(np.uint8)


@settings(deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 12), st.sampled_from([1, 3, 4]),
    st.lists(st.integers(0, 4), min_size=1, max_size=7), st.integers(1, 500), st.integers(0, 99),
)  # fmt: skip
def test_every_filter_and_any_split_of_the_data(width, height, channels, filters, part, seed):
    image = texture(height, width, channels, seed)
    packed = zlib.compress(filtered(image, filters))
    parts = [chunk(b"IDAT", packed[i : i + part]) for i in range(0, len(packed), part)]
    data = png(
        head(width, height, colours=COLOURS[channels]), chunk(b"tEXt", b"a\0b"), *parts, chunk(b"tIME", b"x")
    )
    assert (decode(data) == image).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_files_of_pillow_and_opencv(mode):
    image = texture(61, 83, len(mode))
    stream = io.BytesIO()
    Image.fromarray(image[..., 0] if mode == "L" else image, mode).save(stream, "PNG", dpi=(72, 72))
    seen = look(stream.getvalue())
    assert (seen.kind, seen.width, seen.height, seen.channels, seen.turn) == (PNG, 83, 61, len(mode), 1)
    assert (decode(stream.getvalue()) == image).all()
    turned = image[..., [2, 1, 0, 3][: len(mode)]] if len(mode) > 1 else image
    assert (decode(cv2.imencode(".png", turned)[1].tobytes()) == image).all()


def test_channels_that_are_asked_for():
    for channels in (1, 3, 4):
        image = texture(9, 14, channels)
        data = png(
            head(14, 9, colours=COLOURS[channels]), chunk(b"IDAT", zlib.compress(filtered(image, [4, 1])))
        )
        colours = image[..., :3] if channels > 1 else np.repeat(image, 3, 2)
        alpha = image[..., 3:] if channels == 4 else np.full((9, 14, 1), 255, np.uint8)
        assert (decode(data, 1) == image[..., :1]).all()
        assert (decode(data, 3) == colours).all()
        assert (decode(data, 4) == np.concatenate([colours, alpha], 2)).all()


IMAGE = texture(9, 14, 3)
DATA = zlib.compress(filtered(IMAGE, [0, 1, 2, 3, 4]))
WHOLE = png(
    head(14, 9), chunk(b"gAMA", b"\0\0\xb1\x8f"), chunk(b"IDAT", DATA[:50]), chunk(b"IDAT", DATA[50:])
)

WRONG = {
    "16 bits": png(head(14, 9, depth=16), chunk(b"IDAT", DATA)),
    "palette": png(head(14, 9, colours=3), chunk(b"PLTE", b"abc"), chunk(b"IDAT", DATA)),
    "gray with alpha": png(head(14, 9, colours=4), chunk(b"IDAT", DATA)),
    "no kind": png(head(14, 9, colours=5), chunk(b"IDAT", DATA)),
    "interlaced": png(head(14, 9, passes=1), chunk(b"IDAT", DATA)),
    "packed in a way": png(head(14, 9, packing=1), chunk(b"IDAT", DATA)),
    "two places": png(head(14, 9), chunk(b"IDAT", DATA[:9]), chunk(b"tEXt", b""), chunk(b"IDAT", DATA[9:])),
    "nobody knows": png(head(14, 9), chunk(b"CHNK", b""), chunk(b"IDAT", DATA)),
    "no data": png(head(14, 9)),
    "compressed data": png(head(14, 9), chunk(b"IDAT", DATA[:-1])),
    "row 3": png(head(14, 9), chunk(b"IDAT", zlib.compress(filtered(IMAGE, [0])[:129] + b"\5" + bytes(257)))),
    "sum of the chunk": WHOLE.replace(b"\xb1\x8f", b"\xb1\x8e"),
    "cut off": WHOLE[:-1],
}


@pytest.mark.parametrize("why", WRONG)
def test_what_is_refused_is_told(why):
    with pytest.raises(RefusedError, match=why):
        decode(WRONG[why])


@pytest.mark.parametrize("size", [(0, 1), (1, 0), (65536, 1), (65535, 65535), (1 << 31, 1)])
def test_sizes_beyond_the_limits_are_no_picture(size):
    assert look(png(head(*size), chunk(b"IDAT", DATA))) is None


def test_memory_has_a_limit():
    with pytest.raises(RefusedError) as refusal:
        decode(png(head(3000, 3000), chunk(b"IDAT", DATA)), limit=1 << 20)
    assert refusal.value.args[0] == ERROR_LIMIT


def test_truncated_files_are_refused():
    for size in range(len(WHOLE)):
        with pytest.raises(RefusedError):
            decode(WHOLE[:size])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_is_survived(data):
    mended = data.draw(st.booleans())  # damage below valid sums, too
    inner = bytearray(DATA if mended else WHOLE)
    for _ in range(data.draw(st.integers(1, 3))):
        inner[data.draw(st.integers(0, len(inner) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try_damaged(png(head(14, 9), chunk(b"IDAT", bytes(inner))) if mended else bytes(inner))
