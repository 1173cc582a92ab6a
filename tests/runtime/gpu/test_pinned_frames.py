# SPDX-License-Identifier: Apache-2.0
"""Frames in pinned memory: arrays like any other, used again only when nobody holds them."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from stillflow.gpu.layer import CudaDevice
from stillflow.gpu.pinned_frames import PinnedFrames
from stillflow.gpu.trouble import OutOfMemoryError

from .clocks import fail, held

pytestmark = pytest.mark.device


def test_memory_is_used_again_when_nobody_holds_it(cuda_device: CudaDevice) -> None:
    frames = PinnedFrames(cuda_device)
    first, other = frames.array((4, 6, 3)), frames.array((4, 6, 3))
    assert first.shape == (4, 6, 3) and first.dtype == np.uint8 and first.flags.writeable
    address = first.ctypes.data
    assert other.ctypes.data != address
    view = first[1:, :2]
    del first
    gc.collect()
    assert frames.array((4, 6, 3)).ctypes.data != address, "a view holds it"
    view[:] = 5
    del view
    gc.collect()
    taken = {frames.array((4, 6, 3)).ctypes.data for _ in range(2)}
    assert address in taken
    assert frames.array((8, 3)).shape == (8, 3)
    frames.close()


def test_it_knows_its_own(cuda_device: CudaDevice) -> None:
    frames = PinnedFrames(cuda_device)
    own = frames.array((4, 6))
    pinned = frames.holds(own)
    assert pinned is not None and pinned.array.nbytes == 24
    assert frames.holds(own[:2]) is pinned
    for stranger in (own[1:], own[:, :3], np.empty((4, 6), np.uint8)):
        assert frames.holds(stranger) is None
    frames.close()


@pytest.mark.stand_in
def test_everything_is_given_back(cuda_device: CudaDevice) -> None:
    before = held()
    frames = PinnedFrames(cuda_device)
    kept = [frames.array((4, 6)) for _ in range(3)]
    del kept[0]
    frames.close()
    assert held() != before
    kept[0][:] = 3  # still there
    kept.clear()
    gc.collect()
    assert held() == before


@pytest.mark.stand_in
def test_no_more_memory_can_be_pinned(cuda_device: CudaDevice) -> None:
    frames = PinnedFrames(cuda_device)
    fail("cuMemHostAlloc", 1, 2)
    with pytest.raises(OutOfMemoryError):
        frames.array((4, 6))
    assert frames.array((4, 6)).shape == (4, 6)
    frames.close()
