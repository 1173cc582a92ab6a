# SPDX-License-Identifier: Apache-2.0
"""One piece of device memory, cut into named ones: one allocation where there would be twenty."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

from stillflow.gpu.layer import CudaDevice, Memory

ALIGNMENT = 256
"""Bytes; pieces start at a multiple of it, as allocations of CUDA do."""


class Block:
    """One piece of device memory, cut into named ones.

    Args:
        device: where.
        sizes: bytes of each piece; pieces of 0 bytes have no address.
    """

    def __init__(self, device: CudaDevice, sizes: Mapping[str, int]) -> None:
        offsets, used = {}, 0
        for name, size in sizes.items():
            offsets[name] = used
            used += -(-size // ALIGNMENT) * ALIGNMENT
        self._memory: Memory = device.allocate(max(used, 1))
        self.size = used
        self._addresses = {name: self._memory.address + offsets[name] for name, size in sizes.items() if size}

    def address(self, name: str) -> int:
        """Where a piece begins; 0 for a piece of no bytes."""
        return self._addresses.get(name, 0)

    def pointer(self, name: str) -> ctypes.c_void_p:
        """The same as a kernel takes it; null for a piece of no bytes."""
        return ctypes.c_void_p(self._addresses.get(name))

    def close(self) -> None:
        """Give it back; harmless twice."""
        self._memory.close()
