# SPDX-License-Identifier: Apache-2.0
"""Pieces of a block lie apart, where kernels like them to begin, and are given back together."""

from __future__ import annotations

import numpy as np
import pytest

from stillflow.gpu.block import ALIGNMENT, Block


@pytest.mark.device
def test_pieces_lie_apart(cuda_device):
    sizes = {"one": 1, "none": 0, "many": 1000, "last": 257}
    block, stream = Block(cuda_device, sizes), cuda_device.stream()
    assert block.size >= sum(sizes.values())
    assert block.address("none") == block.address("unheard of") == 0 and block.pointer("none").value is None
    for value, (name, size) in enumerate(sizes.items()):
        if size:
            assert block.address(name) % ALIGNMENT == 0 and block.pointer(name).value == block.address(name)
            cuda_device.upload(np.full(size, value, np.uint8), block.address(name), stream)
    for value, (name, size) in enumerate(sizes.items()):
        found = np.empty(size, np.uint8)
        if size:
            cuda_device.download(block.address(name), found, stream)
            stream.synchronize()
        assert (found == value).all()
    block.close()
    block.close()
    stream.close()


@pytest.mark.device
def test_a_block_of_nothing_is_one(cuda_device):
    block = Block(cuda_device, {"nothing": 0})
    assert block.size == 0 and block.address("nothing") == 0
    block.close()
