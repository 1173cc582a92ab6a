# SPDX-License-Identifier: Apache-2.0
"""Frames in device memory become the NV12 that the CPU makes of them, whatever their size and place."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillflow.kernels.cuda_nv12 import SOURCE, convert, nv12_bytes
from stillflow.video.colour import RGB_TO_YCBCR, nv12, nv12_shape


@pytest.mark.device
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    height=st.integers(1, 40),
    width=st.integers(1, 60),
    apart=st.tuples(st.integers(0, 5), st.integers(0, 5)),
)
def test_it_is_the_cpus(cuda_device, seed, height, width, apart):
    rng = np.random.default_rng(seed)
    frame = rng.integers(0, 256, (height, width, 3), np.uint8)
    if seed % 3 == 0:
        frame = rng.choice(np.array([0, 255], np.uint8), frame.shape)
    size, stream = nv12_bytes(height, width), cuda_device.stream()
    assert size == np.prod(nv12_shape(height, width))
    # Anywhere in memory, with something behind it that must stay.
    source, target = cuda_device.allocate(frame.nbytes + 8), cuda_device.allocate(size + 16)
    cuda_device.upload(frame, source.address + apart[0], stream)
    cuda_device.upload(np.full(size + 16, 77, np.uint8), target.address, stream)
    convert(
        cuda_device.kernels(SOURCE),
        height,
        width,
        source.address + apart[0],
        target.address + apart[1],
        stream,
    )
    found = np.empty(size + 16, np.uint8)
    cuda_device.download(target.address, found, stream)
    stream.synchronize()
    for held in (source, target, stream):
        held.close()
    expected = nv12(frame).ravel()
    begin, end = apart[1], apart[1] + size
    assert np.abs(found[begin:end].astype(int) - expected).max() <= 1
    assert (found[:begin] == 77).all() and (found[end:] == 77).all()


def test_its_numbers_are_those_of_the_cpu():
    text = SOURCE.read_text(encoding="utf-8")
    rows = []
    for name in ("LUMA", "BLUE", "RED"):
        line = re.search(rf"#define {name}\(r, g, b\) \((.*) \+ 512\)", text)
        assert line is not None
        rows.append([int(number) for number in re.findall(r"-?\d+", line[1].replace("- ", "-"))])
    assert rows == np.rint(RGB_TO_YCBCR.astype(np.float64) * 1024).astype(int).tolist()
