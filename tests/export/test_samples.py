# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stillflow_export.graphs import INPUTS
from stillflow_export.samples import SIZES, procedural_picture, samples


@pytest.mark.parametrize("graph", ["flow", "generator"])
def test_samples_are_what_the_graph_takes(graph: str) -> None:
    seen = list(samples(graph))
    assert len({sample.name for sample in seen}) == len(seen) >= 2 * len(SIZES)
    for sample in seen:
        assert list(sample.inputs) == [tensor.name for tensor in INPUTS[graph]]
        for tensor in INPUTS[graph]:
            array = sample.inputs[tensor.name]
            assert array.dtype == np.float32
            assert array.shape[:2] == tensor.shape[:2]
            assert array.flags.c_contiguous
            assert array.shape[2:] in SIZES
            assert np.isfinite(array).all()
            if tensor.range is not None:
                assert tensor.range[0] <= array.min() <= array.max() <= tensor.range[1]


@pytest.mark.parametrize("graph", ["flow", "generator"])
def test_samples_are_the_same_every_time(graph: str) -> None:
    for first, second in zip(samples(graph, sizes=[(64, 64)]), samples(graph, sizes=[(64, 64)]), strict=True):
        assert first.name == second.name
        assert all(np.array_equal(first.inputs[n], second.inputs[n]) for n in first.inputs)


def test_no_channel_is_constant_over_all_samples() -> None:
    for graph, tensors in INPUTS.items():
        found = list(samples(graph, sizes=[(96, 160)]))
        for tensor in tensors:
            for channel in range(int(tensor.shape[1])):
                planes = np.stack([s.inputs[tensor.name][0, channel] for s in found])
                assert planes.std() > 1e-3, f"{graph}.{tensor.name}[{channel}] tests nothing"


def test_real_photos_come_at_working_size(sample_photo: Path) -> None:
    names = [s.name for s in samples("flow", [sample_photo], sizes=[])]
    assert names
    assert all(name.startswith(f"photo {sample_photo.name} 320x") for name in names)


def test_procedural_picture_fills_its_range() -> None:
    picture = procedural_picture(96, 64, 1)
    assert picture.shape == (96, 64, 3)
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert picture.std() > 0.1
