# SPDX-License-Identifier: Apache-2.0
"""Loops of stillflow.h through ctypes."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np

from ..internals import Error, internals
from ..structs import NV12, OK, RGB, Facts, Log, Source, Target


@lru_cache(maxsize=4)
def native_library(path: str | None = None) -> ctypes.CDLL:
    """A library with its loops declared: that of the internals, or another one."""
    found = internals() if path is None else ctypes.CDLL(path)
    pointer, number, size = ctypes.c_void_p, ctypes.c_int32, ctypes.c_size_t
    found.sf_loop_open.argtypes = (pointer, pointer, pointer)
    found.sf_loop_facts.argtypes = (pointer, pointer, pointer)
    found.sf_loop_at.argtypes = (pointer, ctypes.c_double, pointer, size)
    found.sf_loop_rows.argtypes = (pointer, pointer, number, number, pointer, pointer, size)
    found.sf_loop_close.argtypes = (pointer,)
    found.sf_loop_close.restype = None
    for name in ("open", "facts", "at", "rows"):
        getattr(found, f"sf_loop_{name}").restype = number
    return found


def aligned(size: int, fill: int = 0xA5) -> np.ndarray:
    """Memory at a multiple of 64, filled with something that is not 0."""
    memory = np.full(size + 64, fill, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size]


class OpenError(Exception):
    """A scene that was refused: status, what, why and fix."""

    def __init__(self, error: Error) -> None:
        self.status = error.status
        self.what, self.why, self.fix = (bytes(t).decode() for t in (error.what, error.why, error.fix))
        super().__init__(f"{self.status}: {self.what}: {self.why}; {self.fix}")


class Loop:
    """An open loop, of a file's bytes or of its path."""

    def __init__(self, data: bytes | None = None, *, path: str | None = None, limit: int = 0, isa: int = 0,
                 log: Any = None, of: str | None = None, trusted: int = 0) -> None:  # fmt: skip
        self.native = native_library(of)
        source = Source(memory_limit=limit, isa=isa, trusted=trusted)
        if log is not None:
            self._log = source.log = Log(lambda _, level, line: log(level, line.decode()))
        if data is not None:
            self._bytes = aligned(len(data))
            self._bytes[:] = np.frombuffer(data, np.uint8)
            source.bytes, source.size = self._bytes.ctypes.data, len(data)
        if path is not None:
            source.path = path.encode()
        self.at, error = ctypes.c_void_p(1), Error()
        status = self.native.sf_loop_open(
            ctypes.byref(source), ctypes.byref(self.at), ctypes.addressof(error)
        )
        assert status == error.status
        if status:
            assert self.at.value is None
            assert error.what and error.why and error.fix
            raise OpenError(error)
        self.facts = self.facts_of(None)

    def __enter__(self) -> Loop:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; again does nothing."""
        self.native.sf_loop_close(self.at)
        self.at = ctypes.c_void_p()

    def facts_of(self, target: Target | None) -> Facts:
        """The facts for a target."""
        facts = Facts()
        reference = None if target is None else ctypes.byref(target)
        assert self.native.sf_loop_facts(self.at, reference, ctypes.byref(facts)) == OK
        return facts

    def memory(self, t: float) -> np.ndarray:
        """A frame's memory, filled for time t."""
        frame = aligned(self.facts.frame_bytes)
        assert self.native.sf_loop_at(self.at, t, frame.ctypes.data, frame.size) == OK
        return frame

    def rows(self, frame: np.ndarray, target: Target, y0: int, y1: int) -> int:
        """Write rows; the status."""
        need = self.facts_of(target).rows_bytes
        rows = aligned(need) if need else None
        at = None if rows is None else rows.ctypes.data
        return int(
            self.native.sf_loop_rows(self.at, frame.ctypes.data, y0, y1, ctypes.byref(target), at, need)
        )

    def frame(
        self, t: float, format: int = RGB, size: tuple[int, int] | None = None, splits: tuple[int, ...] = ()
    ) -> np.ndarray:
        """A whole frame: (H, W, 3 or 4), or (3 H' / 2, W') of NV12.

        Args:
            t: time in frames.
            format: of the frame.
            size: height and width; the scene's without.
            splits: rows at which its rows are split.
        """
        height, width = size or (self.facts.height, self.facts.width)
        target = Target(format=format, width=width, height=height)
        if format == NV12:
            even = width + width % 2
            rows = height + height % 2
            out = np.full((rows * 3 // 2, even), 0x5A, np.uint8)
            target.stride = target.chroma_stride = even
            target.chroma = out.ctypes.data + rows * even
        else:
            out = np.full((height, width, 3 if format == RGB else 4), 0x5A, np.uint8)
            target.stride = out.strides[0]
        target.data = out.ctypes.data
        frame = self.memory(t)
        edges = [0, *splits, height]
        for y0, y1 in zip(edges, edges[1:], strict=False):
            assert self.rows(frame, target, y0, y1) == OK
        return out
