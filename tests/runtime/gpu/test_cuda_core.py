# SPDX-License-Identifier: Apache-2.0
"""The CUDA layer on cuda-core does what layer.py promises."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.device


@pytest.fixture
def stream(cuda_device):
    made = cuda_device.stream()
    yield made
    made.close()


@pytest.mark.parametrize("size", [1, 4, 1000, 1 << 20])
def test_memory_goes_there_and_back(cuda_device, stream, size):
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    memory = cuda_device.allocate(size)
    cuda_device.upload(data, memory.address, stream)
    back = np.zeros_like(data)
    cuda_device.download(memory.address, back, stream)
    stream.synchronize()
    memory.close()
    assert np.array_equal(back, data)
