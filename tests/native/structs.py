# SPDX-License-Identifier: Apache-2.0
"""Structs of stillflow.h and of the library's own headers, for ctypes."""

from __future__ import annotations

import ctypes
from typing import Any

OK, ARGUMENT, SIZE, MEMORY, VALUE, UNSUPPORTED, FILE, FORMAT, VERSION, LIMIT = range(10)
ENGINE, DIFFERS, STOPPED, UNSUITED = range(10, 14)
"""sf_status."""

RGB, BGRA, RGBA, NV12 = range(4)
"""sf_format."""

OSCILLATIONS = 5
"""SF_OSCILLATIONS."""

Log = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p)
Progress = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_double)


class Sized(ctypes.Structure):
    """A struct whose first member is its size."""

    def __init__(self, **values: Any) -> None:
        super().__init__(struct_size=ctypes.sizeof(type(self)), **values)


class Source(Sized):
    """sf_source."""

    _fields_ = (
        ("struct_size", ctypes.c_uint32),
        ("isa", ctypes.c_int32),
        ("path", ctypes.c_char_p),
        ("bytes", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("memory_limit", ctypes.c_uint64),
        ("log", Log),
        ("log_user", ctypes.c_void_p),
        ("trusted", ctypes.c_int32),
    )


class BundleSource(Sized):
    """sf_bundle_source."""

    _fields_ = (
        ("struct_size", ctypes.c_uint32),
        ("isa", ctypes.c_int32),
        ("path", ctypes.c_char_p),
        ("onnxruntime", ctypes.c_char_p),
        ("provider", ctypes.c_char_p),
        ("precision", ctypes.c_char_p),
        ("device", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("memory_limit", ctypes.c_uint64),
        ("log", Log),
        ("log_user", ctypes.c_void_p),
    )


class Photo(Sized):
    """sf_photo."""

    _fields_ = (
        ("struct_size", ctypes.c_uint32),
        ("format", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("height", ctypes.c_int32),
        ("data", ctypes.c_void_p),
        ("stride", ctypes.c_ssize_t),
        ("file", ctypes.c_void_p),
        ("file_bytes", ctypes.c_size_t),
    )


class Wish(Sized):
    """sf_wish."""

    _fields_ = (
        ("struct_size", ctypes.c_uint32),
        ("long_side", ctypes.c_int32),
        ("seconds", ctypes.c_double),
        ("fps", ctypes.c_double),
        ("strength", ctypes.c_double),
        ("seed", ctypes.c_uint32),
        ("strict", ctypes.c_int32),
        ("progress", Progress),
        ("progress_user", ctypes.c_void_p),
    )


class Facts(Sized):
    """sf_facts."""

    _fields_ = (
        ("struct_size", ctypes.c_uint32),
        ("width", ctypes.c_int32),
        ("height", ctypes.c_int32),
        ("frames", ctypes.c_int32),
        ("fps", ctypes.c_double),
        ("moving", ctypes.c_double),
        ("memory_bytes", ctypes.c_uint64),
        ("frame_bytes", ctypes.c_size_t),
        ("rows_bytes", ctypes.c_size_t),
        ("about", ctypes.c_void_p),
        ("about_bytes", ctypes.c_size_t),
        ("chance", ctypes.c_double),
        ("strength", ctypes.c_double),
    )


class Target(Sized):
    """sf_target."""

    _fields_ = (
        ("struct_size", ctypes.c_uint32),
        ("format", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("height", ctypes.c_int32),
        ("data", ctypes.c_void_p),
        ("stride", ctypes.c_ssize_t),
        ("chroma", ctypes.c_void_p),
        ("chroma_stride", ctypes.c_ssize_t),
    )


class Oscillation(ctypes.Structure):
    """sf_oscillation."""

    _fields_ = (
        ("count", ctypes.c_int32),
        ("channels", ctypes.c_int32),
        ("hz", ctypes.c_float * OSCILLATIONS),
        ("coefficients", ctypes.c_void_p),
    )


class CMotion(ctypes.Structure):
    """sf_motion."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("height", "width", "h", "w")),
        *((n, ctypes.c_void_p) for n in ("velocity", "matte", "classes", "confidence", "order", "doubt")),
        ("sway", Oscillation),
        ("light", Oscillation),
        ("suitability", ctypes.c_float),
        ("chance", ctypes.c_double),
        ("strength", ctypes.c_double),
    )


class Tensor(ctypes.Structure):
    """sf_tensor."""

    _fields_ = (("name", ctypes.c_char_p), ("shape", ctypes.c_int64 * 4), ("data", ctypes.c_void_p))


RUN = ctypes.CFUNCTYPE(
    None,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.POINTER(Tensor),
    ctypes.c_int32,
    ctypes.POINTER(Tensor),
    ctypes.c_int32,
)


class Network(ctypes.Structure):
    """sf_network."""

    _fields_ = (("run", ctypes.c_void_p), ("self", ctypes.c_void_p))


class Rules(ctypes.Structure):
    """sf_rules."""

    _fields_ = tuple((n, ctypes.c_int32) for n in ("flow_long_side", "plate_network", "blend_network"))


class Order(ctypes.Structure):
    """sf_order."""

    _fields_ = (
        *((name, ctypes.c_double) for name in ("seconds", "fps", "strength")),
        ("adaptive", ctypes.c_int32),
        ("strict", ctypes.c_int32),
        ("seed", ctypes.c_uint32),
    )
