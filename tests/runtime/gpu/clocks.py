# SPDX-License-Identifier: Apache-2.0
"""A frame maker whose frames tell their time: a copy on the device stands for the kernels."""

from __future__ import annotations

import ctypes

import numpy as np

from stillflow.gpu.layer import CudaDevice, Memory, Stream


class Clock:
    """Makes frames that begin with their time, and then 8 bytes that never move.

    Args:
        device: that plays.
        trouble: "waits": does what no recording allows; "stale": a recording reads another time; "still": all do.
        spoils: recordings that another thread spoils, which waits for the whole device; on the stand-in.
    """

    def __init__(self, device: CudaDevice, trouble: str = "", spoils: int = 0) -> None:
        self.device = device
        self.trouble, self.spoils = trouble, spoils
        self.launches = 0
        self._other = device.allocate(8)
        setting = device.stream()
        device.upload(np.array([99.0]), self._other.address, setting)
        setting.synchronize()
        setting.close()

    def scratch(self, *, nv12: bool) -> Memory:
        return self.device.allocate(16)

    def enqueue(
        self,
        time_address: int,
        scratch: Memory,
        stream: Stream,
        *,
        rgb: int | None = None,
        nv12: int | None = None,
        still: bool = True,
    ) -> None:
        self.launches += 1
        source = time_address
        if self.spoils:
            with self.device.current():
                self.spoils -= stand_in().cuCtxSynchronize() != 0
        if self.trouble == "waits":
            stream.synchronize()
        # One frame and two checked ones come before a recording.
        if self.trouble == "still" or (self.trouble == "stale" and self.launches >= 4):
            source = self._other.address
        self.device.copy(source, scratch.address, 8, stream)
        for address in (rgb, nv12):
            if address is not None:
                self.device.copy(scratch.address, address, 8, stream)
                if still:
                    self.device.clear(address + 8, 8, stream)

    def close(self) -> None:
        self._other.close()


def stand_in() -> ctypes.CDLL:
    """The library in the driver's place."""
    return ctypes.CDLL("libcuda.so.1")


def held() -> list[int]:
    """What is not given back: memory, modules, streams, events, graphs, contexts, current ones."""
    return [stand_in().stand_in_held(kind) for kind in range(7)]


def fail(function: str, number: int, status: int) -> None:
    """Let a function fail at its number-th call from now on; 0: never."""
    stand_in().stand_in_fail(function.encode(), number, status)
