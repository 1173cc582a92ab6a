# SPDX-License-Identifier: Apache-2.0
"""Pictures of a baked scene as bytes: PNG, JPEG, lossless WebP or raw; each is looked at before it is decoded."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from stillflow.baked.fields import inflate
from stillflow.baked.jpeg import frame_of
from stillflow.baked.layout import Encoding
from stillflow.kernels.arrays import ByteArray

if TYPE_CHECKING:
    from PIL import Image

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Planes -> Pillow's name."""

LONGEST_WEBP = 16383
"""Pixels: WebP has 14 bits for a side."""

EFFORT = 4
"""Of 0..6 for lossless WebP: 6 takes twice as long on samples/waterfall.jpg, for a file 1.5 % smaller."""

PNG_COLOURS = {0: 1, 2: 3, 6: 4}
"""PNG's colour type -> planes: gray, RGB, RGBA; not a palette, not gray with alpha."""

PNG_KEPT = (b"IHDR", b"IDAT", b"IEND")
PNG_PASSED = (b"IHDR", b"PLTE")
"""Chunks that are passed over beside those that say of themselves that they may be (a lower-case first letter)."""


def encode(picture: ByteArray, encoding: Encoding, quality: int = 95) -> bytes:
    """Compress a picture.

    Args:
        picture: (H, W) gray, (H, W, 3) RGB or (H, W, 4) RGBA, uint8.
        encoding: raw, PNG or WebP, which are lossless, or JPEG: baseline, 4:4:4, marked as JFIF.
        quality: of the JPEG, 1..100.

    Returns:
        The bytes of a file, or of the picture itself where the encoding is raw.
    """
    if encoding is Encoding.RAW:
        return picture.tobytes()
    from PIL import Image

    image, file = Image.fromarray(picture), io.BytesIO()
    if encoding is Encoding.PNG:
        image.save(file, "PNG", optimize=True)
    elif encoding is Encoding.WEBP:
        image.save(file, "WEBP", lossless=True, exact=True, method=EFFORT)
    else:
        image.save(file, "JPEG", quality=quality, subsampling=0, optimize=True)
    return file.getvalue()


def lossless(picture: ByteArray) -> tuple[Encoding, bytes]:
    """Lossless WebP, or PNG where a side is too long for that."""
    kind = Encoding.WEBP if max(picture.shape[:2]) <= LONGEST_WEBP else Encoding.PNG
    return kind, encode(picture, kind)


def decode(data: bytes, encoding: Encoding, shape: tuple[int, int, int]) -> ByteArray:
    """Decompress a picture whose size is known.

    Args:
        data: what ``encode`` returned, or anything at all.
        encoding: raw, PNG, JPEG or WebP.
        shape: planes (1, 3 or 4), rows, columns.

    Returns:
        (rows, columns) or (rows, columns, planes) uint8.

    Raises:
        ValueError: the bytes are damaged, or hold another kind or size of picture; found before anything is decoded
            where their header tells it.
    """
    planes, rows, columns = shape
    out = (rows, columns) if planes == 1 else (rows, columns, planes)
    if encoding is Encoding.RAW:
        return np.frombuffer(data, np.uint8).reshape(out)
    if encoding is Encoding.JPEG:
        frame = frame_of(data)
        if (frame.width, frame.height) != (columns, rows):
            raise ValueError(f"its JPEG has {frame.width}x{frame.height} pixels")
    elif encoding is Encoding.PNG:
        data = _plain_png(data, shape)
    else:
        _check_webp(data, rows, columns)
    # WebP knows no gray: its green is that.
    gray = planes == 1 and encoding is Encoding.WEBP
    picture = np.asarray(_opened(data, encoding.name).convert(MODES[3 if gray else planes]))
    picture = picture[..., 1] if gray else picture
    return np.ascontiguousarray(picture, np.uint8).reshape(out)


def _opened(data: bytes, name: str) -> Image.Image:
    """Decode with Pillow, whose readers keep to the size that was checked."""
    import warnings

    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=[name])
            image.load()
    except MemoryError:
        raise
    except Exception as error:  # readers raise OSError, SyntaxError, struct.error and more on bad bytes
        raise ValueError(f"its {name} is damaged") from error
    return image


def _plain_png(data: bytes, shape: tuple[int, int, int]) -> bytes:
    """A PNG with nothing but its pixels: 8 bits of the planes' colour type, not interlaced.

    Pillow looks at chunks that do not matter here, and not at the sums of those that do.
    """
    if data[:16] != b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" or len(data) < 33:
        raise ValueError("it is no PNG")
    width, height, bits, colour, *how = struct.unpack_from(">IIBBBBB", data, 16)
    if (PNG_COLOURS.get(colour), height, width) != shape or bits != 8 or any(how):
        raise ValueError(f"its PNG has {width}x{height} pixels, {bits} bits, colour type {colour}")
    kept, names, at = [data[:8]], [b""], 8
    while names[-1] != b"IEND" and at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data) or zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(
            data[end - 4 : end], "big"
        ):
            raise ValueError("its PNG is damaged or cut short")
        if name in PNG_KEPT and (name != b"IHDR" or at == 8):
            kept.append(data[at:end])
        elif not name[0] & 32 and name not in PNG_PASSED:
            raise ValueError(f"its PNG holds a chunk {name!r}")
        names.append(name)
        at = end
    runs = sum(a != b"IDAT" == b for a, b in zip(names, names[1:], strict=False))
    if names[-1] != b"IEND" or at != len(data) or runs != 1:
        raise ValueError("its PNG is cut short, or goes on after its end")
    try:
        inflate(b"".join(chunk[8:-4] for chunk in kept[2:-1]), height * (1 + width * shape[0]))
    except ValueError as error:
        raise ValueError(f"of its PNG {error}") from error
    return b"".join(kept)


def _check_webp(data: bytes, rows: int, columns: int) -> None:
    """Refuse what is not one VP8L chunk in a RIFF container, or of another size."""
    if len(data) < 25 or data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8L" or data[20] != 0x2F:
        raise ValueError("it is no lossless WebP")
    whole, chunk = (int.from_bytes(data[at : at + 4], "little") for at in (4, 16))
    if whole + 8 != len(data) or 12 + chunk + (chunk & 1) != whole:
        raise ValueError("its WebP is cut short, or holds more than a picture")
    bits = int.from_bytes(data[21:25], "little")
    width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if (height, width) != (rows, columns):
        raise ValueError(f"its WebP has {width}x{height} pixels")
