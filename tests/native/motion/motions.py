# SPDX-License-Identifier: Apache-2.0
"""The structs of motion/motion.h for ctypes, motions on their way into C and back, networks that repeat an answer."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from stillflow.motion import Motion

from ..internals import Room, internals, pointer
from ..structs import RUN, CMotion, Network, Order, Oscillation, Rules

Answers = Mapping[str, np.ndarray]

MATTE_ERROR = 5e-4
"""Of probabilities: 89 of the 107,811 numbers of OpenCV's table of colours are not met to the last bit, and what
looks alike is asked through them."""


class Prediction(ctypes.Structure):
    """The argument of the shim test_predict."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("flow", "rules", "order", "photo")),
        *((name, ctypes.c_int32) for name in ("height", "width")),
        ("motion", ctypes.c_void_p),
    )


def array_at(address: int | None, shape: tuple[int, ...], kind: type[Any]) -> np.ndarray:
    """A copy of an array in C's memory."""
    count = int(np.prod(shape)) * np.dtype(kind).itemsize
    raw = (ctypes.c_char * count).from_address(address or 0) if count else b""
    return np.frombuffer(raw, kind).reshape(shape).copy()


def repeating(answers: Answers, asked: dict[str, np.ndarray]) -> tuple[Network, Any]:
    """A network that always says the same, and what must be kept while it is used; asked gets what it is asked."""
    kept = {name: np.ascontiguousarray(a, np.float32) for name, a in answers.items()}

    def run(_self: int, _room: int, inputs: Any, count: int, outputs: Any, out_count: int) -> None:
        for tensor in inputs[:count]:
            asked[tensor.name.decode()] = array_at(tensor.data, tuple(tensor.shape), np.float32)
        for i in range(out_count):
            answer = kept.get(outputs[i].name.decode())
            if answer is not None:
                outputs[i].shape[:] = answer.shape
                outputs[i].data = answer.ctypes.data

    callback = RUN(run)
    return Network(ctypes.cast(callback, ctypes.c_void_p)), (callback, kept)


def in_c(motion: Motion) -> tuple[CMotion, list[np.ndarray]]:
    """A motion as C has it, without sway and light, and the arrays that it points to: the first is the velocity."""
    h, w = motion.matte.shape
    names = ("velocity", "matte", "classes", "confidence", "order", "doubt")
    arrays = [getattr(motion, name).copy() for name in names]
    addresses = {name: array.ctypes.data for name, array in zip(names, arrays, strict=True)}
    return CMotion(motion.height, motion.width, h, w, **addresses, suitability=motion.suitability), arrays


def _oscillation(found: Oscillation, h: int, w: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    coefficients = array_at(found.coefficients, (found.count, h, w, channels), np.float32)
    return coefficients, np.array(found.hz[: found.count], np.float32)


def out_of_c(motion: CMotion) -> Motion:
    """A motion that C made, copied."""
    h, w = motion.h, motion.w
    sway, sway_hz = _oscillation(motion.sway, h, w, 4)
    light, light_hz = _oscillation(motion.light, h, w, 2)
    return Motion(
        velocity=array_at(motion.velocity, (h, w, 2), np.float32),
        matte=array_at(motion.matte, (h, w), np.float32),
        classes=array_at(motion.classes, (h, w), np.uint8),
        confidence=array_at(motion.confidence, (h, w), np.float32),
        order=array_at(motion.order, (h, w), np.uint8),
        doubt=array_at(motion.doubt, (h, w), np.float32),
        suitability=motion.suitability,
        height=motion.height,
        width=motion.width,
        sway=sway,
        sway_hz=sway_hz,
        light=light,
        light_hz=light_hz,
    )


def predict(
    photo: np.ndarray,
    answers: Answers,
    order: Order | None = None,
    *,
    long_side: int = 192,
    check: Callable[[int, Any], None] | None = None,
) -> tuple[Motion | None, dict[str, np.ndarray]]:
    """What C makes of a network's answers, and what the network was asked.

    Args:
        photo: (H, W, 3) uint8.
        answers: what the network says, whatever it is asked.
        order: None for the network's part alone.
        long_side: pixels at which the network sees the photo.
        check: looks at the status and the room's error; without it there must be none.
    """
    asked: dict[str, np.ndarray] = {}
    network, kept = repeating(answers, asked)
    rules, motion = Rules(long_side, 0, 0), CMotion()
    argument = Prediction(
        ctypes.addressof(network),
        ctypes.addressof(rules),
        ctypes.addressof(order) if order else None,
        pointer(photo),
        *photo.shape[:2],
        ctypes.addressof(motion),
    )
    with Room() as room:
        body = ctypes.cast(internals().test_predict, ctypes.c_void_p)
        status = internals().test_try(room.address, body, ctypes.byref(argument))
        if check is not None:
            check(status, room.error)
        else:
            assert status == 0, room.error.why
        del kept
        return (out_of_c(motion) if status == 0 else None), asked
