# SPDX-License-Identifier: Apache-2.0
"""Photos are read as stillflow.photo reads them: strides, alpha, EXIF's orientation, size."""

from __future__ import annotations

import ctypes
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

import stillflow.photo
from stillflow.errors import StillflowError

from ..internals import Room, internals
from ..structs import ARGUMENT, BGRA, FORMAT, LIMIT, RGB, RGBA, SIZE, Photo
from .calls import RefusedError, check


def read(photo: Photo, long_side: int = 0, limit: int = 0) -> np.ndarray:
    library = internals()
    library.test_photo_read.argtypes = (
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32),
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
    )
    height, width, out = ctypes.c_int32(), ctypes.c_int32(), ctypes.c_void_p()
    with Room(limit) as room:
        status = library.test_photo_read(
            room.address, ctypes.byref(photo), long_side, *map(ctypes.byref, (height, width, out))
        )
        check(status, room.error)
        shape = (height.value, width.value, 3)
        return np.frombuffer(ctypes.string_at(out.value, int(np.prod(shape))), np.uint8).reshape(shape)


def of_file(data: bytes) -> Photo:
    photo = Photo(file_bytes=len(data))
    photo.kept = ctypes.create_string_buffer(data, len(data))
    photo.file = ctypes.addressof(photo.kept)
    return photo


def of_pixels(pixels: np.ndarray, kind: int, stride: int = 0) -> Photo:
    """Dense pixels in a block of memory with that stride, which may be negative."""
    height, width, channels = pixels.shape
    stride = stride or width * channels
    block = np.full((height, abs(stride)), 7, np.uint8)
    block[:, : width * channels] = (pixels if stride > 0 else pixels[::-1]).reshape(height, -1)
    first = block.ctypes.data + (0 if stride > 0 else (height - 1) * -stride)
    photo = Photo(format=kind, width=width, height=height, data=first, stride=stride)
    photo.kept = block
    return photo


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_pixels_are_those_of_python(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(16, 50)), data.draw(st.integers(16, 50))
    kind = data.draw(st.sampled_from([RGB, BGRA, RGBA]))
    channels = 3 if kind == RGB else 4
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    pixels = rng.integers(0, 256, (height, width, channels), np.uint8)
    stride = data.draw(st.sampled_from([1, -1])) * (width * channels + data.draw(st.integers(0, 9)))
    rgb = pixels[..., [2, 1, 0, 3]] if kind == BGRA else pixels
    side = data.draw(st.none() | st.integers(16, 50))
    try:
        wanted = stillflow.photo.Photo.from_array(rgb).fitted(side).pixels
    except StillflowError:
        wanted = None
    photo = of_pixels(pixels, kind, stride)
    if wanted is None:
        with pytest.raises(RefusedError, match="at least 16"):
            read(photo, side or 0)
        return
    found = read(photo, side or 0)
    assert np.array_equal(found, wanted)


def picture() -> np.ndarray:
    """(40, 60, 3), another in every corner."""
    y, x = np.mgrid[0:40, 0:60]
    return np.stack([4 * x, 6 * y, 255 - 2 * (x + y)], -1).astype(np.uint8)


def jpeg(turn: int) -> bytes:
    buffer, image = io.BytesIO(), Image.fromarray(picture())
    exif = image.getexif()
    exif[0x0112] = turn
    image.save(buffer, "JPEG", quality=95, subsampling=0, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("turn", range(1, 9))
def test_photos_are_turned_upright(turn: int) -> None:
    lying = Image.fromarray(read(of_file(jpeg(1))))
    lying.getexif()[0x0112] = turn
    wanted = np.asarray(ImageOps.exif_transpose(lying))
    found = read(of_file(jpeg(turn)))
    assert found.shape == ((60, 40, 3) if turn > 4 else (40, 60, 3))
    assert np.array_equal(found, wanted)
    smaller = read(of_file(jpeg(turn)), 30)
    assert smaller.shape == ((30, 20, 3) if turn > 4 else (20, 30, 3))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_files_are_those_of_python(tmp_path: Path, mode: str, kind: str) -> None:
    alpha = np.linspace(0, 255, 2400).astype(np.uint8).reshape(40, 60)
    image = Image.fromarray(np.dstack([picture(), alpha])).convert(mode)
    path = tmp_path / "x"
    image.save(path, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    assert np.array_equal(read(of_file(path.read_bytes())), stillflow.photo.load_photo(path).pixels)


def refused(photo: Photo, status: int, why: str, long_side: int = 0, limit: int = 0) -> None:
    with pytest.raises(RefusedError, match=why) as caught:
        read(photo, long_side, limit)
    assert caught.value.status == status
    assert caught.value.fix


def test_photos_that_cannot_be_animated() -> None:
    pixels = np.zeros((16, 15, 3), np.uint8)
    refused(of_pixels(pixels, RGB), SIZE, "15x16 pixels, and each side needs at least 16")
    whole = np.zeros((16, 64, 3), np.uint8)
    refused(of_pixels(whole, RGB), SIZE, "32x8 pixels", long_side=32)
    refused(of_pixels(whole, RGB), ARGUMENT, "long side of 15", long_side=15)
    refused(of_pixels(whole, RGB), LIMIT, "limit", limit=3000)
    for width, height in ((65536, 16), (12000, 10001), (2**31 - 1, 2**31 - 1), (-64, 16), (0, 16)):
        photo = of_pixels(whole, RGB)
        photo.width, photo.height, photo.stride = width, height, 2**40
        refused(photo, SIZE, "the most|at least 16")
    for stride in (0, 191, -191):
        photo = of_pixels(whole, RGB)
        photo.stride = stride
        refused(photo, ARGUMENT, "stride")
    for kind in (-1, 3, 99):
        refused(of_pixels(whole, kind), ARGUMENT, "format")


def test_files_that_are_no_photos() -> None:
    refused(of_file(b"hello"), FORMAT, "not those of a picture")
    whole = jpeg(1)
    refused(of_file(whole[: len(whole) // 2]), FORMAT, ".")
