# SPDX-License-Identifier: Apache-2.0
"""GPUs that this process has open: one object a device for all that plays on it, and kernels loaded once.

They are never closed: loops may outlive the animator that made them, and the process gives everything back at its end.
"""

from __future__ import annotations

import os
import threading

from stillflow.gpu.layer import CudaDevice
from stillflow.gpu.open import open_device, pycuda_is_here

KEPT = 512 << 20
"""Bytes of device memory, and of pinned memory, that stay for the next photo at most."""

_open: dict[int, CudaDevice] = {}
_lock = threading.Lock()


def _forget() -> None:
    """Begin anew: a thread that was opening a device while its process was forked will not let the lock go here."""
    global _lock
    _open.clear()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    # CUDA does not survive a fork. A child whose parent had not begun opens its own; another is told to be spawned.
    os.register_at_fork(after_in_child=_forget)


def shared_device(index: int) -> CudaDevice:
    """Return a GPU, opened at the first call.

    In a thread that holds a PyCUDA context on it, a device of that context, which belongs to the caller.

    Args:
        index: as CUDA counts them.

    Raises:
        StillflowError: see `open_device`; the next call tries again.
    """
    if pycuda_is_here(index):
        return open_device(index)
    with _lock:
        if index not in _open:
            _open[index] = open_device(index, "cuda-core", keep=KEPT)
        return _open[index]
