# SPDX-License-Identifier: Apache-2.0
"""The structs that a scene is made of in C, and a scene made there as Python's arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping

import numpy as np

from stillflow.kernels.arrays import SceneArrays
from stillflow.kernels.native import _SceneArrays as Arrays
from stillflow.motion import Motion
from stillflow.photo import Photo

from ..internals import Room, internals, pointer
from ..structs import OSCILLATIONS, RUN, CMotion, Network, Order, Oscillation, Rules

Run = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]


def _oscillation(coefficients: np.ndarray, hz: np.ndarray) -> Oscillation:
    count = coefficients.shape[0]
    filled = list(map(float, hz)) + [0.0] * (OSCILLATIONS - count)
    at = coefficients.ctypes.data if count else None
    return Oscillation(count, coefficients.shape[-1], (ctypes.c_float * OSCILLATIONS)(*filled), at)


def motion_fields(motion: Motion) -> CMotion:
    """A motion whose arrays are contiguous, as a struct; it must outlive the struct."""
    names = ("velocity", "matte", "classes", "confidence", "order", "doubt")
    fields = [pointer(getattr(motion, name)) for name in names]
    sway, light = _oscillation(motion.sway, motion.sway_hz), _oscillation(motion.light, motion.light_hz)
    return CMotion(motion.height, motion.width, *motion.matte.shape, *fields, sway, light, motion.suitability)


def network(run: Run) -> tuple[Network, list[object]]:
    """A network that asks Python; with it what keeps it and its answers alive."""
    kept: list[np.ndarray] = []

    def answer(_self, _room, inputs, input_count, outputs, output_count) -> None:
        asked = {}
        for tensor in inputs[:input_count]:
            values = ctypes.cast(tensor.data, ctypes.POINTER(ctypes.c_float))
            asked[tensor.name.decode()] = np.ctypeslib.as_array(values, tuple(tensor.shape)).copy()
        said = run(asked)
        for k in range(output_count):
            name = outputs[k].name.decode()
            if name in said:
                kept.append(np.ascontiguousarray(said[name], np.float32))
                outputs[k].shape = (ctypes.c_int64 * 4)(*kept[-1].shape)
                outputs[k].data = kept[-1].ctypes.data

    callback = RUN(answer)
    return Network(ctypes.cast(callback, ctypes.c_void_p)), [callback, kept]


def _array(address: int | None, shape: tuple[int, ...], kind: type) -> np.ndarray:
    """A copy of what lies at an address."""
    if not address or 0 in shape:
        return np.zeros(shape, kind)
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    return np.frombuffer(ctypes.string_at(address, size), kind).reshape(shape).copy()


def _arrays(found: Arrays, photo: np.ndarray) -> SceneArrays:
    h, w = -(-found.height // 4), -(-found.width // 4)
    whole = (found.height, found.width)
    return SceneArrays(
        photo=photo,
        plate=_array(found.plate, (*whole, 3), np.uint8),
        matte=_array(found.matte, whole, np.uint8),
        velocity=_array(found.velocity, (h, w, 2), np.float32),
        flow=_array(found.flow, (h, w), np.uint8),
        cycles=_array(found.cycles, (h, w), np.uint8),
        inside=_array(found.inside, (h, w), np.float32),
        sway=_array(found.sway, (found.harmonics, h, w, 4), np.float32),
        sway_periods=_array(found.sway_periods, (found.harmonics,), np.int32),
        light=_array(found.light, (found.lights, h, w, 2), np.float32),
        light_periods=_array(found.light_periods, (found.lights,), np.int32),
        blend=None,
        low=_array(found.low, (h, w, 3), np.float32),
        frames=found.frames,
    )


def build(
    photo: Photo,
    motion: Motion,
    run: Run | None,
    *,
    seconds: float = 4.0,
    fps: float = 30.0,
    plate: bool = True,
    blend: bool = True,
    limit: int = 0,
) -> tuple[int, SceneArrays | None, str]:
    """sf_build_scene: its status, the arrays and what its error says of the reason."""
    asked, kept = network(run) if run is not None else (None, [])
    fields = motion_fields(motion)
    found = Arrays(ctypes.sizeof(Arrays))
    rules, order = Rules(0, plate, blend), Order(seconds, fps, 1.0)
    call = internals().test_build_scene
    call.restype = ctypes.c_int32
    with Room(limit) as room:
        status = call(
            room.address,
            ctypes.byref(asked) if asked is not None else None,
            ctypes.byref(rules),
            ctypes.byref(order),
            pointer(photo.pixels),
            ctypes.byref(fields),
            ctypes.byref(found),
        )
        kept.clear()
        arrays = None if status else _arrays(found, photo.pixels)
        return status, arrays, room.error.why.decode()
