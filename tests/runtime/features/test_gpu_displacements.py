# SPDX-License-Identifier: Apache-2.0
"""Displacements on a GPU are those of the CPU to the bit, at any time and with any room for states."""

from __future__ import annotations

import numpy as np
import pytest

from stillflow.features.displacements import Displacements
from stillflow.features.gpu_displacements import MOMENT_BYTES, GpuDisplacements
from stillflow.gpu.arrays import allocate_array, download_array, upload_array
from stillflow.kernels.splat_source import share_at

pytestmark = pytest.mark.device

FRAMES = 21


def swirl(height: int, width: int) -> np.ndarray:
    """Some of it leaves the picture within the loop, some never moves, some is no number."""
    rng = np.random.default_rng(2)
    velocity = rng.normal(0.4, 0.8, (height, width, 2)).astype(np.float32)
    velocity[: height // 3] = 0
    velocity[-3:, -3:] = np.nan
    return velocity


@pytest.mark.parametrize("memory", [1 << 30, 60_000, 0])
def test_any_time_gives_the_bits_of_the_cpu(cuda_device, memory: int) -> None:
    velocity = swirl(24, 37)
    stream = cuda_device.stream()
    made = GpuDisplacements(velocity, FRAMES, 0.01, memory, cuda_device, stream)
    assert made.moving == int((velocity != 0).any(-1).sum())
    assert made.kept * made.moving * 16 <= max(memory, made.moving * 16)
    expected = Displacements(velocity, FRAMES, 1 << 30)
    arrays = [allocate_array(cuda_device, (24, 37, 2), np.float32) for _ in range(2)]
    moment = allocate_array(cuda_device, (MOMENT_BYTES // 4,), np.float32)
    for array in arrays:
        cuda_device.clear(array.address, array.nbytes, stream)
    for t in (0, 1, 7, 8, 8.25, 13.5, 16, 20, 20.999, 21, 33.75, -2, -1e-18, 4 + 1e-12, 1e5 + 0.5):
        time = upload_array(cuda_device, np.array([t], np.float64), stream)
        made.enqueue(time.address, moment.address, (arrays[0].address, arrays[1].address), stream)
        got = [download_array(cuda_device, array, stream) for array in arrays]
        wrapped = t - FRAMES * np.floor(t / FRAMES)
        wrapped = 0.0 if wrapped >= FRAMES else float(wrapped)
        for a, b in zip(got, expected.at(wrapped), strict=True):
            assert a.tobytes() == b.tobytes(), t
        share = share_at(wrapped, FRAMES, 0.01)
        shares = download_array(cuda_device, moment, stream)[:2]
        assert np.array_equal(shares, np.array([share, 1 - share], np.float32)), t
        time.close()
    made.close()
    for array in (*arrays, moment):
        array.close()
    stream.close()
