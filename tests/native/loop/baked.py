# SPDX-License-Identifier: Apache-2.0
"""A second writer of .sflow files, from docs/sflow.md alone; and scenes whose numbers lie on its steps."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from stillflow.kernels.arrays import SceneArrays
from stillflow.scene import local_mean

from ...runtime.scenes import random_arrays

PHOTO, MATTE, PLATE, VELOCITY, FLOW, CYCLES, INSIDE = 1, 2, 3, 4, 5, 6, 7
SWAY, SWAY_PERIODS, LIGHT, LIGHT_PERIODS, BLEND, ABOUT = 8, 9, 10, 11, 12, 0x8001
RAW, PNG, JPEG, WEBP, NUMBERS, PACKED_NUMBERS, PACKED_BYTES = range(7)

EXPONENTS = {VELOCITY: -12, INSIDE: -10, SWAY: -9, LIGHT: -12, BLEND: -8}
NUMBER_KINDS = tuple(EXPONENTS)

Section = tuple[int, int, int, int, tuple[int, int, int], bytes]
"""Kind, encoding, bytes when decoded, exponent, planes and rows and columns, the section's bytes."""


def stepped(values: np.ndarray, kind: int) -> np.ndarray:
    """Numbers rounded to the steps of their kind."""
    step = 2.0 ** EXPONENTS[kind]
    return (np.clip(np.rint(values / step), -32768, 32767) * step).astype(np.float32)


def small_scene(
    height: int,
    width: int,
    seed: int = 0,
    *,
    harmonics: int = 0,
    lights: int = 0,
    blend: bool = False,
    share: float = 1.0,
    plated: bool = True,
) -> SceneArrays:
    """A scene of noise on the steps; share is that of the height in which anything moves;
    without a plate the photo is one."""
    rng = np.random.default_rng(seed)
    drawn = random_arrays(rng, height, width, harmonics=harmonics, lights=lights, blend=blend)
    matte = drawn.matte.copy()
    matte[int(height * share) :] = 0
    other = 255 - drawn.photo if plated else drawn.photo
    plate = np.where(rng.random((height, width, 1)) < 0.5, drawn.photo, other)
    return replace(
        drawn,
        matte=matte,
        plate=plate,
        low=local_mean(plate),
        velocity=stepped(drawn.velocity, VELOCITY),
        inside=stepped(drawn.inside, INSIDE),
        sway=stepped(drawn.sway, SWAY),
        light=stepped(drawn.light, LIGHT),
        blend=None if drawn.blend is None else stepped(drawn.blend, BLEND),
    )


def planes_of(array: np.ndarray) -> np.ndarray:
    """(h, w), (h, w, c) or (k, h, w, c) as planes, rows, columns."""
    if array.ndim == 2:
        return array[None]
    if array.ndim == 3:
        return np.moveaxis(array, -1, 0)
    return np.moveaxis(array, -1, 1).reshape(-1, *array.shape[1:3])


def packed(planes: np.ndarray) -> bytes:
    """Residuals of the gradient predictor, one number after the other, as the text has it."""
    out, wide = bytearray(), planes.astype(np.int64)
    for plane in np.pad(wide, ((0, 0), (1, 0), (1, 0))):
        residual = plane[1:, 1:] - (plane[1:, :-1] + plane[:-1, 1:] - plane[:-1, :-1])
        if planes.dtype == np.uint8:
            out += (residual % 256).astype(np.uint8).tobytes()
            continue
        r = (residual + 32768) % 65536 - 32768
        u = np.where(r >= 0, 2 * r, -2 * r - 1)
        out += (u % 256).astype(np.uint8).tobytes() + (u // 256).astype(np.uint8).tobytes()
    return zlib.compress(bytes(out), 6)


def picture(array: np.ndarray, encoding: int) -> bytes:
    """A picture's bytes; gray is (H, W)."""
    if encoding == RAW:
        return array.tobytes()
    from PIL import Image

    file = io.BytesIO()
    image = Image.fromarray(array)
    if encoding == PNG:
        image.save(file, "PNG")
    elif encoding == JPEG:
        image.save(file, "JPEG", quality=95)
    else:
        image.save(file, "WEBP", lossless=True, exact=True, quality=100, method=0)
    return file.getvalue()


def sections_of(
    arrays: SceneArrays,
    *,
    encodings: Mapping[int, int] | None = None,
    about: bytes | None = None,
    bare: bool = False,
) -> list[Section]:
    """The sections of a scene. encodings: by kind; raw pictures, packed fields where it says nothing.

    bare leaves out the plate: the scene is then played with its photo as the plate.
    """
    how = dict(encodings or {})
    height, width = arrays.matte.shape
    found: list[Section] = []

    def add(kind: int, encoding: int, data: bytes, shape: tuple[int, int, int], size: int = 1) -> None:
        found.append((kind, encoding, int(np.prod(shape)) * size, 0, shape, data))

    def add_picture(kind: int, array: np.ndarray, planes: int) -> None:
        encoding = how.get(kind, RAW)
        add(kind, encoding, picture(array, encoding), (planes, height, width))

    def add_numbers(kind: int, array: np.ndarray) -> None:
        planes = np.rint(planes_of(array) / 2.0 ** EXPONENTS[kind]).astype(np.int16)
        encoding = how.get(kind, PACKED_NUMBERS)
        data = planes.astype("<i2").tobytes() if encoding == NUMBERS else packed(planes)
        found.append((kind, encoding, 2 * planes.size, EXPONENTS[kind], planes.shape, data))

    def add_bytes(kind: int, array: np.ndarray) -> None:
        encoding = how.get(kind, PACKED_BYTES)
        add(kind, encoding, array.tobytes() if encoding == RAW else packed(array[None]), (1, *array.shape))

    add_picture(PHOTO, arrays.photo, 3)
    add_picture(MATTE, arrays.matte, 1)
    if not bare:
        alpha = np.where((arrays.plate != arrays.photo).any(-1, keepdims=True), 255, 0).astype(np.uint8)
        # Colours under an alpha of 0 are nobody's.
        colours = np.where(alpha > 0, arrays.plate, 77).astype(np.uint8)
        add_picture(PLATE, np.concatenate([colours, alpha], -1), 4)
    add_numbers(VELOCITY, arrays.velocity)
    add_bytes(FLOW, arrays.flow)
    add_bytes(CYCLES, arrays.cycles)
    add_numbers(INSIDE, arrays.inside)
    for kind, values, periods in (
        (SWAY, arrays.sway, arrays.sway_periods),
        (LIGHT, arrays.light, arrays.light_periods),
    ):
        if len(values):
            add_numbers(kind, values)
            add(kind + 1, RAW, periods.astype("<u4").tobytes(), (1, 1, len(periods)), 4)
    if arrays.blend is not None:
        add_numbers(BLEND, arrays.blend)
    if about is not None:
        add(ABOUT, RAW, about, (1, 1, len(about)))
    return found


def baked(
    arrays: SceneArrays,
    sections: list[Section] | None = None,
    *,
    header: Mapping[str, object] | None = None,
    tamper: Callable[[bytearray], None] | None = None,
    **how: object,
) -> bytes:
    """A whole file.

    Args:
        arrays: the scene.
        sections: other ones than the scene's own.
        header: values of the header that shall be others.
        tamper: changes header and table before their hash is made.
        how: of ``sections_of``.
    """
    sections = sections_of(arrays, **how) if sections is None else sections  # type: ignore[arg-type]
    height, width = arrays.matte.shape
    table, body, end = b"", b"", 128 + 80 * len(sections)
    for kind, encoding, decoded, exponent, shape, data in sections:
        gap = -end % 64
        body += bytes(gap) + data
        table += struct.pack("<IIQQQiIII", kind, encoding, end + gap, len(data), decoded, exponent, *shape)
        table += hashlib.sha256(data).digest()
        end += gap + len(data)
    values: dict[str, object] = {
        "magic": b"\x89SFLOW\r\n",
        "major": 1,
        "minor": 0,
        "bytes": 128,
        "size": end,
        "width": width,
        "height": height,
        "frames": arrays.frames,
        "sections": len(sections),
        "fps": 30.0,
        "rule": 1,
    }
    values.update(header or {})
    head = struct.pack("<8sHHIQIIIIdI12s32s32s", *values.values(), bytes(12), bytes(32), bytes(32))
    start = bytearray(head + table)
    if tamper is not None:
        tamper(start)
        start[64:96] = bytes(32)
    start[64:96] = hashlib.sha256(bytes(start)).digest()
    return bytes(start) + body
