# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stillflow_export.graphs import FLOW_INPUTS, GENERATOR_INPUTS
from stillflow_export.samples import SIZES, flow_samples, generator_samples, pictures, procedural_picture

INPUTS = {"flow": FLOW_INPUTS, "generator": GENERATOR_INPUTS}
SAMPLES = {"flow": flow_samples, "generator": generator_samples}


@pytest.mark.parametrize("graph", ["flow", "generator"])
def test_samples_are_what_the_graph_takes(graph: str) -> None:
    seen = list(SAMPLES[graph]())
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
    for first, second in zip(SAMPLES[graph](sizes=[(64, 64)]), SAMPLES[graph](sizes=[(64, 64)]), strict=True):
        assert first.name == second.name
        assert all(np.array_equal(first.inputs[n], second.inputs[n]) for n in first.inputs)


def test_no_channel_is_constant_over_all_samples() -> None:
    for graph, tensors in INPUTS.items():
        found = list(SAMPLES[graph](sizes=[(96, 160)]))
        for tensor in tensors:
            for channel in range(int(tensor.shape[1])):
                planes = np.stack([s.inputs[tensor.name][0, channel] for s in found])
                assert planes.std() > 1e-3, f"{graph}.{tensor.name}[{channel}] tests nothing"


def test_real_photos_come_at_working_size(sample_photo: Path) -> None:
    for make, side in ((flow_samples, 192), (generator_samples, 320)):
        names = [s.name for s in make([sample_photo], sizes=[])]
        assert names
        assert all(name.startswith(f"photo {sample_photo.name} {side}x") for name in names)


@pytest.mark.parametrize(("multiple", "long_side"), [(4, 100), (64, 128), (256, 768)])
def test_pictures_have_sides_that_a_graph_can_take(sample_photo: Path, multiple: int, long_side: int) -> None:
    sizes = [(multiple, 2 * multiple)]
    first, photo = pictures([sample_photo], sizes, multiple=multiple, long_side=long_side)
    assert first.pixels.shape[:2] == sizes[0]
    assert all(n % multiple == 0 for n in photo.pixels.shape[:2])
    assert abs(max(photo.pixels.shape) - long_side) < multiple


def test_procedural_picture_fills_its_range() -> None:
    picture = procedural_picture(96, 64, 1)
    assert picture.shape == (96, 64, 3)
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert picture.std() > 0.1
