# SPDX-License-Identifier: Apache-2.0
"""Pictures through the library's decoders."""

from __future__ import annotations

import ctypes

import numpy as np

from ..internals import Room, internals, pointer

GUARD = 256
"""Bytes kept behind the output; they must stay as they were."""

PNG, JPEG, WEBP = 1, 2, 3
ERROR_FORMAT, ERROR_LIMIT = 7, 9


class Picture(ctypes.Structure):
    """sf_picture."""

    _fields_ = tuple((name, ctypes.c_int32) for name in ("kind", "width", "height", "channels", "turn"))


class RefusedError(Exception):
    """A decoder gave up: (status, why)."""


def exact(data: bytes) -> np.ndarray:
    """The bytes in memory of their very size, so that a sanitizer or valgrind sees what is read behind them."""
    return np.frombuffer(data, np.uint8).copy()


def look(data: bytes) -> Picture | None:
    """What sf_picture_look says."""
    library = internals()
    library.sf_picture_look.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    picture = Picture()
    held = exact(data)
    failed = library.sf_picture_look(pointer(held), len(data), ctypes.byref(picture))
    return None if failed else picture


def decode(data: bytes, channels: int = 0, limit: int = 0) -> np.ndarray:
    """Decode to (height, width, channels) uint8, 0 for as many channels as the file has. Raises RefusedError."""
    library = internals()
    library.test_picture_decode.argtypes = (
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p),
        ctypes.c_int32,
    )
    library.test_room_used.argtypes = (ctypes.c_void_p,)
    library.test_room_used.restype = ctypes.c_uint64
    picture = look(data)
    if picture is None:
        raise RefusedError(0, "unknown")
    channels = channels or picture.channels
    shape = (picture.height, picture.width, channels)
    size = picture.height * picture.width * channels
    if size > 1 << 26:
        raise RefusedError(0, "too large for a test")
    out = np.full(size + GUARD, 0xA5, np.uint8)
    held = exact(data)
    with Room(limit) as room:
        status = library.test_picture_decode(room.address, pointer(held), len(data), pointer(out), channels)
        assert (out[size:] == 0xA5).all()
        assert library.test_room_used(room.address) == 0
        if status:
            assert room.error.status == status
            raise RefusedError(status, room.error.why.decode())
    return out[:size].reshape(shape)


def try_damaged(data: bytes) -> None:
    """Decode what may be damaged: no more is asked than an array or a status."""
    try:
        decode(data)
    except RefusedError as refusal:
        assert refusal.args[0] in (0, ERROR_FORMAT, ERROR_LIMIT)
