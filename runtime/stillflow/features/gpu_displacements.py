# SPDX-License-Identifier: Apache-2.0
"""Where every pixel is thrown at any time of a loop, on a GPU: the numbers of ``displacements``.

Every few steps the state of all moving pixels is kept, 8 bytes each; a frame walks on from the nearest state before.
A step is one gather from a velocity that the caches hold, which is cheaper than reading a state of its own for every
frame, and frames need no memory of each other.
"""

from __future__ import annotations

import ctypes
import math
from contextlib import ExitStack

import numpy as np

from stillflow.gpu.layer import CudaDevice, Stream
from stillflow.kernels.arrays import FloatArray
from stillflow.kernels.cuda_splat import SOURCE, Field

BYTES = 8
"""Of a moving pixel in a state: x and y, no numbers once it has left the picture."""

EVERY = 8
"""Steps between states, where memory allows for so many."""

MOMENT_BYTES = 40
"""Of Moment of splat.cu; its first two numbers are the shares of both throws."""


class GpuDisplacements:
    """Displacement maps of a loop, both ways, on a device.

    Args:
        velocity: (H, W, 2) float32, pixels a frame. What has none never moves.
        frames: N, of the loop.
        edge_share: see ``share_at``.
        memory: bytes that the states kept may take; with too few a frame takes more steps.
        device: where.
        stream: that orders the making of the states.

    Raises:
        OutOfMemoryError: nothing was kept then.
    """

    def __init__(
        self,
        velocity: FloatArray,
        frames: int,
        edge_share: float,
        memory: int,
        device: CudaDevice,
        stream: Stream,
    ) -> None:
        height, width = velocity.shape[:2]
        pixels = np.flatnonzero((velocity != 0).any(-1)).astype(np.uint32)
        self.moving = len(pixels)
        self.bytes = height * width * 8
        self._frames, self._edge_share = frames, edge_share
        self._fields = Field(height, width, 1), Field(height, width, -1)
        self._kernels = device.kernels(SOURCE)
        slots = max(1, memory // max(1, 2 * BYTES * self.moving))
        self.every = max(EVERY, math.ceil(frames / slots))
        self.kept = max(0, math.ceil(frames / self.every) - 1)
        with ExitStack() as owned:

            def there(size: int) -> int:
                memory = device.allocate(size)
                owned.callback(memory.close)
                return memory.address

            self._velocity, self._pixels = there(velocity.nbytes), there(pixels.nbytes)
            self._states = tuple(there(BYTES * self.moving * self.kept) for _ in self._fields)
            owned.callback(stream.synchronize)
            device.upload(np.ascontiguousarray(velocity, np.float32), self._velocity, stream)
            device.upload(pixels, self._pixels, stream)
            for field, states in zip(self._fields, self._states, strict=True):
                self._walk(field, states, stream)
            self._owned = owned.pop_all()

    def _walk(self, field: Field, states: int, stream: Stream) -> None:
        """Make the states of one way."""
        before = 0
        for kept in range(self.kept):
            after = states + BYTES * self.moving * kept
            self._kernels.launch(
                "sf_walk",
                self.moving,
                stream,
                *self._what(field),
                ctypes.c_void_p(before),
                ctypes.c_int(self.every),
                ctypes.c_void_p(after),
            )
            before = after

    def enqueue(self, time: int, moment: int, maps: tuple[int, int], stream: Stream) -> None:
        """Find the displacements of a time.

        Args:
            time: address of a double, in frames.
            moment: address of ``MOMENT_BYTES``, written; begins with the shares of both throws, float32.
            maps: addresses of two (H, W, 2) float32, forward and backward. Pixels that never move are not written:
                they hold 0 from the beginning.
            stream: that orders it.
        """
        self._kernels.launch(
            "sf_moment",
            1,
            stream,
            ctypes.c_void_p(time),
            ctypes.c_int(self._frames),
            ctypes.c_int(self.every),
            ctypes.c_int(self.kept),
            ctypes.c_double(self._edge_share),
            ctypes.c_void_p(moment),
        )
        for which, (field, states, to) in enumerate(zip(self._fields, self._states, maps, strict=True)):
            self._kernels.launch(
                "sf_displace",
                self.moving,
                stream,
                *self._what(field),
                ctypes.c_void_p(states),
                ctypes.c_void_p(moment),
                ctypes.c_int(which),
                ctypes.c_void_p(to),
            )

    def _what(self, field: Field) -> tuple[Field, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]:
        return (
            field,
            ctypes.c_void_p(self._velocity),
            ctypes.c_void_p(self._pixels),
            ctypes.c_int(self.moving),
        )

    def close(self) -> None:
        """Give the memory back, after all that was enqueued is done; harmless twice."""
        self._owned.close()
