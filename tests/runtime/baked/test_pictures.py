# SPDX-License-Identifier: Apache-2.0
"""Pictures inside a scene."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from stillflow.baked.layout import Encoding
from stillflow.baked.pictures import decode, encode, lossless

from ..scenes import textured

LOSSLESS = [Encoding.RAW, Encoding.PNG, Encoding.WEBP]


def picture(planes: int) -> np.ndarray:
    found = textured(20, 36)
    if planes == 1:
        return np.ascontiguousarray(found[..., 0])
    if planes == 4:
        alpha = np.where(np.arange(36) % 3 == 0, 0, 255).astype(np.uint8)
        alpha = np.broadcast_to(alpha, (20, 36))[..., None]
        # Colours under an alpha of 0 stay too.
        return np.concatenate([found, alpha], -1)
    return found


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("planes", [1, 3, 4])
@pytest.mark.parametrize("encoding", LOSSLESS)
def test_lossless_encodings_give_every_byte_back(planes: int, encoding: Encoding) -> None:
    before = picture(planes)
    after = decode(encode(before, encoding), encoding, (planes, 20, 36))
    assert after.flags.c_contiguous
    assert np.array_equal(after, before)


@pytest.mark.parametrize("planes", [1, 3])
def test_a_jpeg_decodes_as_opencv_decodes_it(planes: int) -> None:
    data = encode(picture(planes), Encoding.JPEG, 90)
    found = decode(data, Encoding.JPEG, (3, 20, 36))
    assert np.array_equal(found, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1])
    truth = textured(20, 36)[..., :1] if planes == 1 else textured(20, 36)
    assert np.abs(found.astype(int) - truth).mean() < 6
    assert b"JFIF" in data


def test_a_side_too_long_for_webp_becomes_png() -> None:
    long = np.zeros((1, 16384, 3), np.uint8)
    assert lossless(long)[0] is Encoding.PNG
    assert lossless(long[:, 1:])[0] is Encoding.WEBP


def refused(data: bytes, encoding: Encoding, shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=encoding.name if encoding is not Encoding.WEBP else "WebP|WEBP"):
        decode(data, encoding, shape)


@pytest.mark.parametrize("encoding", [Encoding.PNG, Encoding.JPEG, Encoding.WEBP])
def test_pictures_of_another_size_or_kind_are_refused(encoding: Encoding) -> None:
    data = encode(picture(3), encoding)
    refused(data, encoding, (3, 36, 20))
    refused(b"", encoding, (3, 20, 36))
    refused(b"\0" * 100, encoding, (3, 20, 36))
    for other in (Encoding.PNG, Encoding.JPEG, Encoding.WEBP):
        if other is not encoding:
            refused(data, other, (3, 20, 36))


@pytest.mark.parametrize("encoding", [Encoding.PNG, Encoding.JPEG, Encoding.WEBP])
def test_pictures_cut_short_are_refused(encoding: Encoding) -> None:
    data = encode(picture(3), encoding)
    for cut in [*range(0, len(data), 7), len(data) - 1]:
        refused(data[:cut], encoding, (3, 20, 36))


def test_png_of_other_kinds_is_refused() -> None:
    image = Image.fromarray(picture(3))
    refused(saved(image.convert("P"), "PNG"), Encoding.PNG, (3, 20, 36))
    refused(saved(image.convert("LA"), "PNG"), Encoding.PNG, (1, 20, 36))
    refused(saved(image, "PNG"), Encoding.PNG, (4, 20, 36))
    deep = cv2.imencode(".png", np.zeros((20, 36), np.uint16))[1].tobytes()
    refused(deep, Encoding.PNG, (1, 20, 36))
    sound = encode(picture(3), Encoding.PNG)
    refused(sound[:28] + b"\1" + sound[29:], Encoding.PNG, (3, 20, 36))


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def test_chunks_beside_a_pngs_pixels_are_passed_over_unread() -> None:
    """Pillow would unpack texts and profiles, and refuse a file for a gamma that is cut short."""
    sound = encode(picture(3), Encoding.PNG)
    for extra in (
        chunk(b"gAMA", b""),
        chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 22))),
        chunk(b"PLTE", b"12"),
    ):
        assert np.array_equal(decode(sound[:33] + extra + sound[33:], Encoding.PNG, (3, 20, 36)), picture(3))
    refused(sound[:33] + chunk(b"ABCD", b"must be known") + sound[33:], Encoding.PNG, (3, 20, 36))


def test_a_png_whose_sums_or_sizes_lie_is_refused() -> None:
    """Pillow checks neither the sum of an IDAT nor that of the stream in it, nor how much that holds."""
    sound = encode(picture(3), Encoding.PNG)
    packed = sound[41:-16]
    rows = zlib.decompress(packed)
    for content in (
        zlib.compress(rows + b"\0"),
        zlib.compress(rows[:-1]),
        packed[:-1] + bytes([packed[-1] ^ 1]),
        packed[:-4],
    ):
        refused(sound[:33] + chunk(b"IDAT", content) + sound[-12:], Encoding.PNG, (3, 20, 36))
    parts = chunk(b"IDAT", packed[:9]) + chunk(b"IDAT", packed[9:])
    assert np.array_equal(decode(sound[:33] + parts + sound[-12:], Encoding.PNG, (3, 20, 36)), picture(3))
    apart = chunk(b"IDAT", packed[:9]) + chunk(b"tEXt", b"a\0b") + chunk(b"IDAT", packed[9:])
    refused(sound[:33] + apart + sound[-12:], Encoding.PNG, (3, 20, 36))
    for at in (29, 40, len(sound) - 13, len(sound) - 1):
        broken = bytearray(sound)
        broken[at] ^= 1
        refused(bytes(broken), Encoding.PNG, (3, 20, 36))


def test_webp_of_other_kinds_is_refused() -> None:
    image = Image.fromarray(picture(3))
    refused(saved(image, "WEBP", quality=80), Encoding.WEBP, (3, 20, 36))
    refused(saved(image, "WEBP", lossless=True, exif=b"Exif\0\0II*\0"), Encoding.WEBP, (3, 20, 36))
    sound = encode(picture(3), Encoding.WEBP)
    refused(sound[:4] + struct.pack("<I", len(sound)) + sound[8:], Encoding.WEBP, (3, 20, 36))
    refused(sound + b"\0\0", Encoding.WEBP, (3, 20, 36))
