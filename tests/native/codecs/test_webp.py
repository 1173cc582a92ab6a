# SPDX-License-Identifier: Apache-2.0
"""Lossless WebP files of libwebp (by Pillow and OpenCV) come back to the byte."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from .decoding import ERROR_LIMIT, WEBP, RefusedError, decode, look, try_damaged


def webp(image: np.ndarray, method: int = 4, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "WEBP", lossless=True, exact=True, method=method, **options)
    return stream.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


def riff(*chunks: bytes) -> bytes:
    return chunk(b"RIFF", b"WEBP" + b"".join(chunks))


def extended(width: int, height: int, flags: int = 0) -> bytes:
    sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return chunk(b"VP8X", struct.pack("<I", flags) + sides)


def picture_of(kind: str, height: int, width: int, channels: int, seed: int) -> np.ndarray:
    """Pictures for which libwebp chooses different transforms and codes."""
    rng = np.random.default_rng(seed)
    if kind == "noise":
        return rng.integers(0, 256, (height, width, channels)).astype(np.uint8)
    if kind == "few colours":
        colours = rng.integers(0, 256, (rng.choice([1, 2, 3, 4, 9, 16, 17, 200]), channels))
        blocks = rng.integers(0, len(colours), (-(-height // 3), -(-width // 5)))
        return colours[np.kron(blocks, np.ones((3, 5), int))[:height, :width]].astype(np.uint8)
    if kind == "repeats":
        tile = rng.integers(0, 256, (min(height, 7), min(width, 11), channels))
        tiles = np.tile(tile, (height // len(tile) + 1, width // tile.shape[1] + 1, 1))[:height, :width]
        return (tiles + np.where(rng.random((height, width, 1)) < 0.02, 9, 0)).astype(np.uint8)
    y, x = np.mgrid[:height, :width] / 9.0
    waves = [np.sin(x * a + y * b + c) for a, b, c in rng.normal(0, 1, (channels, 3))]
    together = np.stack(waves, 2) * 60 + 100 + 30 * np.sin(x + y)[..., None]
    return np.clip(together + rng.normal(0, 3, (height, width, 1)), 0, 255).astype(np.uint8)


KINDS = ["noise", "few colours", "repeats", "smooth"]


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("method", range(7))
@pytest.mark.parametrize("kind", KINDS)
def test_every_method_and_kind_of_picture(kind, method, channels):
    image = picture_of(kind, 71, 123, channels, method)
    data = webp(image, method)
    seen = look(data)
    assert (seen.kind, seen.width, seen.height, seen.turn) == (WEBP, 123, 71, 1)
    assert (decode(data, channels) == image).all()
    with Image.open(io.BytesIO(data)) as told:
        assert seen.channels == len(told.mode)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from([3, 4]), st.sampled_from(KINDS),
    st.sampled_from([0, 1, 3, 6]), st.integers(0, 99),
)  # fmt: skip
def test_small_pictures(height, width, channels, kind, method, seed):
    image = picture_of(kind, height, width, channels, seed)
    assert (decode(webp(image, method), channels) == image).all()


@pytest.mark.parametrize("name", ["coffee", "waterfall"])
@pytest.mark.parametrize("method", [0, 4, 6])
def test_photos(name, method, request):
    with Image.open(request.config.rootpath / "samples" / f"{name}.jpg") as photo:
        image = np.asarray(photo.convert("RGB").resize((480, 270)))
    assert (decode(webp(image, method)) == image).all()


def test_files_of_opencv():
    image = picture_of("smooth", 50, 70, 4, 1)
    data = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    told = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert (decode(data) == told[..., [2, 1, 0, 3]]).all()


def test_channels_that_are_asked_for():
    image = picture_of("smooth", 31, 29, 4, 5)
    data = webp(image)
    assert look(data).channels == 4
    assert (decode(data, 3) == image[..., :3]).all()
    assert (decode(data, 1) == image[..., 1:2]).all()
    opaque = webp(np.ascontiguousarray(image[..., :3]))
    assert look(opaque).channels == 3
    assert (decode(opaque, 4)[..., 3] == 255).all()


IMAGE = picture_of("repeats", 20, 30, 3, 3)
SIMPLE = webp(IMAGE)
STREAM = SIMPLE[20 : 20 + struct.unpack_from("<I", SIMPLE, 16)[0]]


def test_extended_containers():
    data = riff(
        extended(30, 20, 0x2C), chunk(b"ICCP", b"abc"), chunk(b"VP8L", STREAM), chunk(b"EXIF", b"Exif\0\0II")
    )
    assert (decode(data) == IMAGE).all()
    assert (decode(data + b"something behind it") == IMAGE).all()
    assert look(riff(extended(30, 21), chunk(b"VP8L", STREAM))) is None


def lossy() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(IMAGE).save(stream, "WEBP", quality=50)
    return stream.getvalue()


def animated() -> bytes:
    stream = io.BytesIO()
    frames = [Image.fromarray(IMAGE), Image.fromarray(IMAGE[::-1].copy())]
    frames[0].save(stream, "WEBP", lossless=True, save_all=True, append_images=frames[1:])
    return stream.getvalue()


@pytest.mark.parametrize(("make", "why"), [(lossy, "is lossy"), (animated, "is animated")])
def test_what_is_refused_is_told(make, why):
    seen = look(make())
    assert (seen.kind, seen.width, seen.height) == (WEBP, 30, 20)
    with pytest.raises(RefusedError, match=why):
        decode(make())


def test_truncated_files_are_refused():
    for size in range(len(SIMPLE)):
        with pytest.raises(RefusedError):
            decode(SIMPLE[:size])
    for size in range(len(STREAM) - 1):  # the same below a container that says so
        with pytest.raises(RefusedError):
            decode(riff(chunk(b"VP8L", STREAM[:size])))


def test_memory_has_a_limit():
    largest = bytes([0x2F]) + struct.pack("<I", 8191 | 8191 << 14) + STREAM[5:]
    with pytest.raises(RefusedError) as refusal:
        decode(riff(chunk(b"VP8L", largest)), 1, limit=1 << 24)
    assert refusal.value.args[0] == ERROR_LIMIT


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_is_survived(data):
    kind = data.draw(st.sampled_from(KINDS))
    image = picture_of(kind, 24, 31, 4, data.draw(st.integers(0, 3)))
    damaged = bytearray(webp(image, data.draw(st.integers(0, 6))))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(12, min(len(damaged), data.draw(st.sampled_from([60, 3000]))) - 1))
        damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    try_damaged(bytes(damaged))
