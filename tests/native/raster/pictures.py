# SPDX-License-Identifier: Apache-2.0
"""What the operations on arrays are tried with: small arrays of many kinds, and OpenCV without IPP as the law."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from hypothesis import strategies as st

from ..internals import Room, internals, pointer

SIZES = st.integers(1, 70) | st.just(1)

CONTENTS = st.sampled_from(["flat", "binary", "sparse", "noise", "smooth"])


@contextmanager
def plain_opencv() -> Iterator[None]:
    """OpenCV's own arithmetic, on one thread: IPP is only there on x86 and differs from it in the last bits."""
    used, threads = cv2.ipp.useIPP(), cv2.getNumThreads()
    cv2.ipp.setUseIPP(False)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.ipp.setUseIPP(used)
        cv2.setNumThreads(threads)


def picture(content: str, h: int, w: int, c: int, seed: int, dtype: type = np.float32) -> np.ndarray:
    """(h, w, c) of the content asked for: 0..1 as float32, 0..255 as uint8."""
    rng = np.random.default_rng(seed)
    if content == "flat":
        values = np.full((h, w, c), rng.random())
    elif content in ("binary", "sparse"):
        values = (rng.random((h, w, c)) > (0.5 if content == "binary" else 0.97)).astype(np.float64)
    elif content == "noise":
        values = rng.random((h, w, c))
    else:
        y, x = np.mgrid[0:h, 0:w]
        phases = rng.random((4, c)) * 6
        values = (
            np.sin(x[..., None] / 7 + phases[0]) * np.cos(y[..., None] / 5 + phases[1])
            + np.sin((x + y)[..., None] / 11 + phases[2])
            + 2
        ) / 4
    return (values * 255).astype(np.uint8) if dtype is np.uint8 else values.astype(np.float32)


def call(name: str, *arguments: object) -> object:
    """Call one of the functions in a room of its own; arrays go as addresses, floats as doubles."""
    with Room() as room:
        return getattr(internals(), name)(room.address, *(_told(a) for a in arguments))


def call_plain(name: str, *arguments: object) -> object:
    """The same for a function without a room."""
    return getattr(internals(), name)(*(_told(a) for a in arguments))


def _told(argument: object) -> object:
    if isinstance(argument, np.ndarray):
        return pointer(argument)
    if isinstance(argument, float):
        return ctypes.c_double(argument)
    return argument
