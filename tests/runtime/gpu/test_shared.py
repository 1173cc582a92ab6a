# SPDX-License-Identifier: Apache-2.0
"""One object a GPU, whoever asks for it."""

from __future__ import annotations

import os
import threading

import pytest

from stillflow.errors import StillflowError
from stillflow.gpu import shared
from stillflow.gpu.description import find_gpu
from stillflow.gpu.layer import CudaDevice
from stillflow.gpu.shared import shared_device


@pytest.mark.device
def test_threads_get_the_same(cuda_device: CudaDevice) -> None:
    found: list[CudaDevice] = []
    threads = [threading.Thread(target=lambda: found.append(shared_device(0))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len({id(device) for device in found}) == 1
    assert found[0] is not cuda_device and found[0].gpu == cuda_device.gpu


@pytest.mark.device
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_inherits_none(cuda_device: CudaDevice) -> None:
    shared_device(cuda_device.index)
    child = os.fork()
    if child == 0:
        os._exit(len(shared._open))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_waits_for_no_thread_of_its_parent() -> None:
    with shared._lock:
        child = os.fork()
        if child == 0:
            os._exit(not shared._lock.acquire(blocking=False))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(find_gpu() is not None, reason="a CUDA device is here")
def test_a_refusal_is_not_kept() -> None:
    for _ in range(2):
        with pytest.raises(StillflowError, match="cannot use GPU 0"):
            shared_device(0)
    assert shared._open == {}
