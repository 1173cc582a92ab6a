# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow.kernels.splat_reference import euler, symmetric_splat
from stillflow.kernels.splat_source import symmetric_source
from stillflow_bench.gpu.random_generator import random_parts
from stillflow_bench.latency.inputs import photo_files, photo_of
from stillflow_bench.latency.peers.published import WEIGHT_FLOOR, as_input, falling
from stillflow_bench.latency.peers.published_torch import add_thrown, open_target

NARROW = 4


def test_a_frame_is_what_the_reference_and_the_same_networks_make(spec_of) -> None:
    spec = spec_of("published-torch", "B3.next", width=NARROW, photos=2)
    target = open_target(spec)
    frames = round(spec.subject.seconds * spec.subject.fps)
    assert (target.inputs, target.facts.notes["times"]) == (2 * frames, list(range(frames)))
    photo = photo_of(photo_files(spec.photos)[1], spec.subject).pixels
    parts = random_parts(NARROW)
    velocity = falling(spec.subject)
    t = 5
    with torch.inference_mode():
        features, logit = parts["encoder"](torch.from_numpy(as_input(photo)))
        source = symmetric_source(features[0].numpy(), logit[0, 0].numpy(), WEIGHT_FLOOR)
        share = 1 - t / frames
        landed, mask = symmetric_splat(source, euler(velocity, t), euler(-velocity, frames - t), share)
        painted, _ = parts["decoder"](torch.from_numpy(landed)[None], torch.from_numpy(mask)[None, None])
    expected = np.moveaxis((painted[0].numpy() + 1) * 127.5, 0, -1)
    frame = target.frame(2 * t + 1)
    assert np.abs(frame - expected).max() <= 0.51
    answer = target.query(2 * t + 1)
    assert set(answer.spans) == {"stage splat", "stage decode"}
    assert answer.digest() != target.query(2 * t).digest()
    assert msgspec.json.encode(target.facts), "a worker tells them in JSON"
    assert len(set(target.facts.inputs)) == target.inputs
    target.close()


def test_the_first_frame_of_every_photo_has_the_encoder_in_it(spec_of) -> None:
    target = open_target(spec_of("published-torch", "B3.frame", width=NARROW))
    assert target.inputs == 2
    assert set(target.query(1).spans) == {"stage encode", "stage splat", "stage decode"}
    assert target.facts.photos == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("subject", "options", "why"),
    [
        ({"width": 98}, {}, "does not divide by 4"),
        ({"width": 3840, "height": 2160}, {}, "at 4K|takes about 25"),
        ({}, {"width": 0}, "at width 0"),
    ],
)
def test_pictures_that_it_does_not_take(subject: dict, options: dict, why: str, spec_of) -> None:
    with pytest.raises(StillflowError, match=why):
        open_target(spec_of("published-torch", "B3.next", subject, **options))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), far=st.floats(0, 20), share=st.floats(0, 1))
def test_nothing_is_lost_inside_and_nothing_lands_from_outside(seed: int, far: float, share: float) -> None:
    """What lands sums up to what was thrown, times its share, less what left the picture."""
    rng = np.random.default_rng(seed)
    kept = torch.from_numpy(rng.random((3, 6, 8), np.float32))
    displacement = ((rng.random((6, 8, 2)) - 0.5) * far).astype(np.float32)
    sums = torch.zeros_like(kept)
    add_thrown(sums, kept, torch.from_numpy(displacement), share)
    y, x = np.mgrid[0:6, 0:8]
    inside = 0.0
    for row in range(6):
        for column in range(8):
            wx = np.maximum(0, 1 - abs(x[row, column] + displacement[row, column, 0] - np.arange(8)))
            wy = np.maximum(0, 1 - abs(y[row, column] + displacement[row, column, 1] - np.arange(6)))
            inside += float(kept[:, row, column].sum()) * wx.sum() * wy.sum()
    assert float(sums.sum()) == pytest.approx(share * inside, abs=1e-3)
