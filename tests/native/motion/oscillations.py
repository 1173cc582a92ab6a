# SPDX-License-Identifier: Apache-2.0
"""sf_oscillation on its way into and out of the C library, and pictures of all that oscillates."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np

from stillflow.oscillation import Oscillation, smooth_noise

from ...runtime.scenes import textured
from ..internals import Room, internals
from ..structs import Oscillation as CPart

STATIC, WATER, CLOUD, SMOKE, FIRE, FOLIAGE, PERSON, ANIMAL, CLOTH, SKY = range(10)


def given(oscillation: Oscillation) -> CPart:
    """What C reads; the array must live as long."""
    coefficients, hz = oscillation
    assert coefficients.flags.c_contiguous
    part = CPart(len(hz), coefficients.shape[-1], (ctypes.c_float * 5)(*hz))
    part.coefficients = coefficients.ctypes.data
    return part


def taken(part: CPart, h: int, w: int) -> Oscillation:
    """A copy of what C wrote."""
    shape = (part.count, h, w, part.channels)
    hz = np.array(part.hz[: part.count], np.float32)
    if not part.count:
        return Oscillation(np.zeros(shape, np.float32), hz)
    floats = ctypes.cast(part.coefficients, ctypes.POINTER(ctypes.c_float))
    return Oscillation(np.ctypeslib.as_array(floats, shape).copy(), hz)


def blobs(seed: int, h: int, w: int, share: float = 0.4) -> np.ndarray:
    """A random region with holes, thin parts and several pieces, (h, w) uint8 of 0 and 1."""
    return (smooth_noise(np.random.default_rng(seed), h, w, 7) > 1 - 2 * share).astype(np.uint8)


class Scenery(NamedTuple):
    photo: np.ndarray
    matte: np.ndarray
    classes: np.ndarray
    order: np.ndarray


class CScenery(ctypes.Structure):
    """The argument of the shims test_draw_sway and test_draw_light."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("photo", "classes", "order", "matte")),
        *((name, ctypes.c_int32) for name in ("height", "width", "h", "w")),
        ("drawn", CPart),
    )


def statuses(shim: str, s: Scenery, limits: Iterable[int]) -> list[int]:
    """What drawing a scenery comes to in rooms of these limits, bytes."""
    (height, width), (h, w) = s.photo.shape[:2], s.matte.shape
    addresses = [getattr(s, name).ctypes.data for name in ("photo", "classes", "order", "matte")]
    argument = CScenery(*addresses, height, width, h, w)
    found = []
    for limit in limits:
        with Room(limit) as room:
            body = ctypes.cast(getattr(internals(), shim), ctypes.c_void_p)
            found.append(internals().test_try(room.address, body, ctypes.addressof(argument)))
    return found


def figure(classes: np.ndarray, x: int, y: int, tall: int) -> None:
    """A person, head to hips, whose head is at (x, y)."""
    head = max(1, tall // 8)
    cv2.circle(classes, (x, y), head, PERSON, -1)
    cv2.rectangle(classes, (x - head // 2, y), (x + head // 2, y + 2 * head), PERSON, -1)
    cv2.rectangle(classes, (x - 2 * head, y + 2 * head), (x + 2 * head, y + tall), PERSON, -1)


def everything(seed: int, h: int = 100, w: int = 160, *, night: bool = False) -> Scenery:
    """Trees, a bush before the sky, a flag, people near and far, an animal, fire, and lamps at night."""
    classes = np.full((h, w), SKY, np.uint8)
    classes[h * 2 // 3 :] = STATIC
    classes[: h * 2 // 3][blobs(seed, h * 2 // 3, w, 0.35) > 0] = FOLIAGE
    cv2.circle(classes, (w // 8, h // 5), h // 12, FOLIAGE, -1)
    cv2.rectangle(classes, (w // 3, h // 3), (w // 3 + 2, h - h // 8), STATIC, -1)
    cv2.rectangle(classes, (w // 3 + 3, h // 3), (w // 2, h // 2), CLOTH, -1)
    figure(classes, w * 2 // 3, h // 3, h // 2)
    figure(classes, w // 5, h * 3 // 5, h // 5)
    cv2.ellipse(classes, (w * 7 // 8, h * 4 // 5), (w // 12, h // 12), 0, 0, 360, ANIMAL, -1)
    cv2.ellipse(classes, (w // 2, h * 7 // 8), (w // 40, h // 14), 0, 0, 360, FIRE, -1)
    order = np.choose(classes, [1, 1, 0, 1, 2, 2, 3, 2, 2, 0]).astype(np.uint8)
    matte = np.clip(np.isin(classes, (FIRE, FOLIAGE, PERSON, ANIMAL, CLOTH)) * 0.9 + 0.05, 0, 1)
    photo = textured(4 * h, 4 * w, seed)
    if night:
        photo = (photo // 8 + np.array([6, 3, 0])).astype(np.uint8)
        rng = np.random.default_rng(seed)
        for x, y in rng.integers(6, (4 * w - 6, 4 * h - 6), (12, 2)):
            cv2.circle(photo, (int(x), int(y)), 3, (255, 220, 120), -1)
    return Scenery(photo, cv2.GaussianBlur(matte.astype(np.float32), (3, 3), 0), classes, order)
