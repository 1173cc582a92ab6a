# SPDX-License-Identifier: Apache-2.0
"""JPEG files decode to what libjpeg-turbo makes of them, in Pillow and in OpenCV, to the byte."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from .decoding import ERROR_LIMIT, JPEG, RefusedError, decode, look, try_damaged


def texture(height: int, width: int, seed: int = 0, noise: float = 12) -> np.ndarray:
    """Waves, an edge and noise, with colours that reach both ends of their range."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 7.0
    waves = [np.sin(x * a + y * b + c) * 150 + 128 for a, b, c in rng.normal(0, 1, (3, 3))]
    image = (
        np.stack(waves, 2) + np.where(x > 2 * y, 40, 0)[..., None] + rng.normal(0, noise, (height, width, 3))
    )
    return np.clip(image, 0, 255).astype(np.uint8)


def jpeg(image: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", **options)
    return stream.getvalue()


def by_opencv(data: bytes) -> np.ndarray:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)[..., ::-1]


def check(data: bytes) -> None:
    told = np.asarray(Image.open(io.BytesIO(data)))
    seen = look(data)
    assert (seen.kind, seen.height, seen.width) == (JPEG, *told.shape[:2])
    assert (decode(data).reshape(told.shape) == told).all()
    assert (decode(data, 3) == by_opencv(data)).all()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [1, 20, 75, 95, 100])
def test_qualities_and_samplings(quality, subsampling, progressive):
    image = texture(83, 117, quality)
    check(jpeg(image, quality=quality, subsampling=subsampling, progressive=progressive))
    check(jpeg(image, quality=quality, subsampling=subsampling, optimize=True))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 50), st.integers(1, 50), st.integers(1, 100), st.sampled_from([0, 1, 2]),
    st.booleans(), st.integers(0, 4), st.integers(0, 99),
)  # fmt: skip
def test_small_pictures(height, width, quality, subsampling, progressive, restarts, seed):
    image = texture(height, width, seed)
    options = {"quality": quality, "progressive": progressive, "restart_marker_blocks": restarts}
    check(jpeg(image, subsampling=subsampling, **options))
    check(jpeg(image[..., 0], **options))


@pytest.mark.parametrize("factors", [0x411111, 0x221111, 0x211111, 0x121111, 0x111111])
@pytest.mark.parametrize("size", [(64, 80), (61, 77), (5, 3), (2, 2), (17, 4), (3, 35)])
@pytest.mark.parametrize("progressive", [0, 1])
def test_samplings_of_opencv(factors, size, progressive):
    options = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factors, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    options += [cv2.IMWRITE_JPEG_RST_INTERVAL, 3 * (1 - progressive)]
    data = cv2.imencode(".jpg", texture(*size, factors % 97), options)[1].tobytes()
    if factors == 0x411111:
        with pytest.raises(RefusedError, match="unusual"):
            decode(data)
    else:
        check(data)


@pytest.mark.parametrize("name", ["coffee", "fog", "smoke", "waterfall"])
def test_photos(name, request):
    check((request.config.rootpath / "samples" / f"{name}.jpg").read_bytes())


def segments(data: bytes) -> list[tuple[int, bytes]]:
    """(marker, data) of each segment; a scan's with its entropy-coded bytes."""
    found, at = [], 2
    while data[at + 1] != 0xD9:
        marker, size = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        end = at + 2 + size
        if marker == 0xDA:
            while data[end] != 0xFF or data[end + 1] == 0 or 0xD0 <= data[end + 1] <= 0xD7:
                end += 1
        found.append((marker, data[at + 4 : end]))
        at = end
    return found


def join(parts: list[tuple[int, bytes]]) -> bytes:
    out = b"\xff\xd8"
    for marker, data in parts:
        size = 2 + (1 + 2 * data[0] + 3 if marker == 0xDA else len(data))
        out += bytes([0xFF, marker]) + struct.pack(">H", size) + data
    return out + b"\xff\xd9"


IMAGE = texture(40, 56)
PARTS = segments(jpeg(IMAGE, quality=80, subsampling=2))
SCANS = segments(jpeg(IMAGE, quality=80, subsampling=2, progressive=True))


def changed(parts: list[tuple[int, bytes]], marker: int, place: int, value: int) -> bytes:
    """One byte of the first segment of that marker set to another value."""
    out = list(parts)
    i = next(i for i, part in enumerate(parts) if part[0] == marker)
    data = bytearray(parts[i][1])
    data[place] = value
    out[i] = (marker, bytes(data))
    return join(out)


def test_rgb_files_say_so():
    stream = io.BytesIO()
    Image.fromarray(IMAGE).save(stream, "JPEG", quality=90, keep_rgb=True)
    check(stream.getvalue())
    parts = [part for part in segments(jpeg(IMAGE, subsampling=0)) if part[0] != 0xE0]
    for transform in (0, 1, 2):
        check(join([(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform])), *parts]))
    check(join(parts))  # neither JFIF nor Adobe
    check(join([(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"), (0xEE, b"Adobe\0\x64\0\0\0\0\0"), *parts]))


def test_fill_bytes_and_unknown_segments_are_passed_over():
    plain = join(PARTS)
    told = decode(plain)
    padded = plain.replace(b"\xff\xdb", b"\xff\xff\xff\xdb").replace(b"\xff\xda", b"\xff\xfe\0\4hi\xff\xda")
    assert (decode(padded) == told).all()
    assert (decode(plain + b"something behind it") == told).all()


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("turn", [0, 1, 3, 6, 8, 9])
def test_orientation_is_told_and_not_applied(order, turn):
    mark = "<" if order == "II" else ">"
    tag = struct.pack(mark + "HHIHH", 0x112, 3, 1, turn, 0)
    other = struct.pack(mark + "HHII", 0x10F, 2, 4, 0)
    tiff = order.encode() + struct.pack(mark + "HIH", 42, 8, 2) + other + tag + bytes(4)
    data = join([(0xE1, b"Exif\0\0" + tiff), *PARTS])
    assert look(data).turn == (turn if 1 <= turn <= 8 else 1)
    assert (decode(data) == decode(join(PARTS))).all()
    for size in range(len(tiff)):
        assert look(join([(0xE1, b"Exif\0\0" + tiff[:size]), *PARTS])) is not None


def test_channels_that_are_asked_for():
    colour, gray = jpeg(IMAGE, quality=90), jpeg(IMAGE[..., 0], quality=90)
    assert (decode(colour, 1) == decode(colour, 3)[..., :1]).all()
    assert (decode(colour, 4) == np.dstack([decode(colour), np.full(IMAGE.shape[:2], 255, np.uint8)])).all()
    assert look(gray).channels == 1
    assert (decode(gray, 4)[..., :3] == decode(gray)).all()


def cmyk() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(IMAGE).convert("CMYK").save(stream, "JPEG")
    return stream.getvalue()


FRAME = next(i for i, part in enumerate(PARTS) if part[0] == 0xC0)
LAST = [part for part in SCANS if part[0] == 0xDA][-1]
WRONG = {
    "4 channels": cmyk(),
    "12 bits": changed(PARTS, 0xC0, 0, 12),
    "nobody writes": join([(0xC9 if m == 0xC0 else m, d) for m, d in PARTS]),
    "head is damaged": changed(PARTS, 0xC0, 7, 0x02),
    "two frames": join([*PARTS[: FRAME + 1], *PARTS[FRAME:]]),
    "more than 10 blocks": changed(segments(jpeg(IMAGE, subsampling=0)), 0xC0, 7, 0x44).replace(
        b"\2\x11\1\3\x11\1", b"\2\x44\1\3\x44\1"
    ),
    "quantisation tables are missing": join([part for part in PARTS if part[0] != 0xDB]),
    "Huffman codes are missing": join([part for part in PARTS if part[0] != 0xC4]),
    "Huffman codes are damaged": changed(PARTS, 0xC4, 1, 3),
    "same scan twice": join([*PARTS, PARTS[-1]]),
    "no order": join([*SCANS, LAST]),
    "part of its scans": join([part for part in SCANS if part is not LAST]),
    "data are damaged": changed(PARTS, 0xDA, -1, 0xFF),
    "cut off": join(PARTS)[:-2],
}


@pytest.mark.parametrize("why", WRONG)
def test_what_is_refused_is_told(why):
    with pytest.raises(RefusedError, match=why):
        decode(WRONG[why])


def test_more_scans_than_a_picture_needs_are_refused():
    """Each takes a few bytes, and a pass over the whole picture: 65536 blocks here, all of them empty."""
    skip = int(("0" + "1" * 14) * 3 + "111", 2).to_bytes(6, "big").replace(b"\xff", b"\xff\0")
    parts = [
        (0xDB, bytes(1) + b"\1" * 64),
        (0xC2, b"\x08" + struct.pack(">HH", 2048, 2048) + b"\1\1\x11\0"),
        (0xC4, b"\x00\1" + bytes(15) + b"\x00"),  # DC: a step of 0
        (0xC4, b"\x10\1" + bytes(15) + b"\xe0"),  # AC: skip 2^14 blocks and more
        (0xDA, b"\1\1\0\0\0\0" + bytes(8192)),
    ]
    for k in range(1, 10):
        for low in range(13, -1, -1):
            high = 0 if low == 13 else low + 1
            parts.append((0xDA, bytes([1, 1, 0, k, k, high << 4 | low]) + skip))
    with pytest.raises(RefusedError, match="part of its scans"):
        decode(join(parts[:60]))
    with pytest.raises(RefusedError, match="more scans"):
        decode(join(parts))


@pytest.mark.parametrize("progressive", [False, True])
def test_truncated_files_are_refused(progressive):
    whole = join(SCANS if progressive else PARTS)
    for size in range(0, len(whole), 1 + progressive):
        with pytest.raises(RefusedError):
            decode(whole[:size])
        if size > 400:  # with an end that pretends to be one
            with pytest.raises(RefusedError):
                decode(whole[: size - 4] + b"\xff\xd9")


def test_sizes_beyond_the_limits_are_no_picture():
    assert look(changed(PARTS, 0xC0, 1, 0xFF)) is not None
    tall = list(PARTS)
    tall[FRAME] = (0xC0, b"\x08\xff\xff\xff\xff" + PARTS[FRAME][1][5:])
    assert look(join(tall)) is None
    tall[FRAME] = (0xC0, b"\x08\0\0\0\x08" + PARTS[FRAME][1][5:])
    assert look(join(tall)) is None


def test_memory_has_a_limit():
    wide = list(PARTS)
    wide[FRAME] = (0xC0, b"\x08\x10\0\x10\0" + PARTS[FRAME][1][5:])
    with pytest.raises(RefusedError) as refusal:
        decode(join(wide), limit=1 << 16)
    assert refusal.value.args[0] == ERROR_LIMIT


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_is_survived(data):
    options = {
        "progressive": data.draw(st.booleans()),
        "restart_marker_blocks": data.draw(st.sampled_from([0, 2])),
    }
    whole = jpeg(texture(24, 31), quality=70, subsampling=data.draw(st.integers(0, 2)), **options)
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(2, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try_damaged(bytes(damaged))
