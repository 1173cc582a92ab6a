# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from stillflow_export.networks.published.generator import FeatureDecoder, FeatureEncoder
from stillflow_export.networks.published.layers import AlphaEncoder
from stillflow_export.plan import Samples
from stillflow_export.published_samples import (
    hinted_flow_samples,
    photo_samples,
    splatted_samples,
    text_flow_samples,
)


def encoders() -> list[nn.Module]:
    torch.manual_seed(0)
    return [FeatureEncoder(2), AlphaEncoder(2)]


KINDS: dict[str, tuple[Samples, int, dict[str, int]]] = {
    "photo": (photo_samples, 4, {"photo": 3}),
    "splatted": (partial(splatted_samples, encoders=encoders()[:1]), 4, {"features": 4, "mask": 1}),
    "layered": (partial(splatted_samples, encoders=encoders()), 4, {"features": 5, "mask": 1}),
    "hinted": (hinted_flow_samples, 256, {"photo": 3, "mask": 1, "hint": 2}),
    "text": (text_flow_samples, 64, {"photo": 3, "mask": 1}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_samples_fit_their_graph(kind: str, sample_photo: Path) -> None:
    samples, multiple, channels = KINDS[kind]
    found = list(samples([sample_photo]))
    assert len({sample.name for sample in found}) == len(found)
    sizes = []
    for sample in found:
        images = {name: value for name, value in sample.inputs.items() if name != "context"}
        assert {name: value.shape[1] for name, value in images.items()} == channels
        (size,) = {value.shape[2:] for value in images.values()}
        assert all(side % multiple == 0 for side in size)
        sizes.append(size)
        for name, value in sample.inputs.items():
            assert value.dtype == np.float32
            assert value.flags["C_CONTIGUOUS"], name
            assert np.isfinite(value).all()
    assert any("waterfall" in sample.name for sample in found)
    assert any(height != width for height, width in sizes)
    smallest = multiple * 2 if kind == "text" else max(multiple, 64)
    assert sizes[0] == (smallest, smallest), "test vectors are small"


def test_holes_of_both_kinds_are_there() -> None:
    decoder = FeatureDecoder(2)
    closed = []
    with torch.no_grad():
        for sample in splatted_samples([], encoders()[:1]):
            features, mask = (torch.from_numpy(sample.inputs[name]) for name in ("features", "mask"))
            assert set(np.unique(mask)) <= {0.0, 1.0}
            assert not (features * (1 - mask)).any()
            seen = decoder(features, mask)[1]
            closed.append(
                (bool((mask == 0).any()), bool((seen == 0).any()), bool(((seen == 1) & (mask == 0)).any()))
            )
    assert closed == [(False, False, False), (True, True, True)] * 3


def test_hints_are_in_the_unit_of_the_network() -> None:
    plain, small = (next(iter(hinted_flow_samples([], scale))).inputs for scale in (1.0, 1 / 64))
    assert np.allclose(plain["hint"] / 64, small["hint"])
    assert not (plain["hint"] * (1 - plain["mask"])).any()
    assert np.abs(plain["hint"]).max() > 0.5
