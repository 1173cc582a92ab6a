# SPDX-License-Identifier: Apache-2.0
"""Places that look alike agree in C on what they agree on in Python."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from stillflow.consensus import agree

from ..internals import Room, internals, pointer
from .motions import MATTE_ERROR, array_at


def agreed_in_c(classes: np.ndarray, moves: np.ndarray, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """sf_agree."""
    h, w = ctypes.c_int(), ctypes.c_int()
    found, moving = ctypes.c_void_p(), ctypes.c_void_p()
    call = internals().sf_agree
    call.restype = None
    given = (pointer(classes), pointer(moves), *moves.shape, pointer(photo), *photo.shape[:2])
    with Room() as room:
        call(room.address, *given, *(ctypes.byref(v) for v in (h, w, found, moving)))
        shape = (h.value, w.value)
        return array_at(found.value, (10, *shape), np.float32), array_at(moving.value, shape, np.float32)


def same(classes: np.ndarray, moves: np.ndarray, photo: np.ndarray) -> None:
    """Hold C to Python: probabilities, their logarithms, and the logit of what moves."""
    found, moving = agreed_in_c(classes, moves, photo)
    expected, expected_moving = agree(classes, moves, photo)
    assert found.shape == expected.shape
    np.testing.assert_allclose(np.exp(found), np.exp(expected), rtol=1e-4, atol=MATTE_ERROR)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=4 * MATTE_ERROR)
    np.testing.assert_allclose(moving, expected_moving, rtol=1e-4, atol=4 * MATTE_ERROR)


def test_real_photos_agree_as_in_python(seen) -> None:
    for one in seen:
        same(one.answers["classes"][0], one.answers["moves"][0, 0], one.photo.pixels)


@pytest.mark.parametrize("size", [(16, 16), (20, 400), (97, 31)])
@pytest.mark.parametrize("scale", [0.3, 40.0])
def test_any_logits_of_any_photo_agree_as_in_python(size: tuple[int, int], scale: float) -> None:
    rng = np.random.default_rng(sum(size))
    photo = np.repeat(rng.integers(0, 256, (size[0], 1, 3)), size[1], axis=1).astype(np.uint8)
    classes = (rng.normal(size=(10, 7, 12)) * scale).astype(np.float32)
    same(classes, (rng.normal(size=(7, 12)) * scale).astype(np.float32), photo)
