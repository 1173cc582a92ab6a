# SPDX-License-Identifier: Apache-2.0
"""What the folded networks compute is tested in tests/export/networks/published."""

from __future__ import annotations

import pytest
import torch

from stillflow_export.checkpoints.feature_generator import generator_width, take_generator, take_layers
from stillflow_export.checkpoints.taking import Taking

from ..published_checkpoints import random_tensors


def taking(tensors: dict[str, torch.Tensor]) -> Taking:
    return Taking(tensors, lambda tensor: tensor)  # type: ignore[arg-type, return-value]


def test_published_counts() -> None:
    """Tensors and parameters of the released files: 220 + 232, and 406,188 + 3,573,719 without the noise layers."""
    tensors = random_tensors("generator")
    counts = {root: [name for name in tensors if name.startswith(root)] for root in ("encoder", "projector")}
    assert [len(names) for names in counts.values()] == [220, 232]
    numbers = [
        sum(
            tensors[name].numel()
            for name in names
            if name.endswith((".weight_orig", ".bias"))
            and ".gain." not in name
            and ".bias.weight" not in name
        )
        for names in counts.values()
    ]
    assert numbers == [406_188, 3_573_719]


def test_every_tensor_is_used() -> None:
    found = taking(random_tensors("layered", 4))
    weights = {**take_generator(found, 4), **take_layers(found, 4)}
    assert found.problems == found.left() == []
    assert all(value.dtype == torch.float64 for value in weights.values())


@pytest.mark.parametrize(
    "name",
    [
        "encoder.gblocks.1.ch_a.2.weight_orig",
        "encoder.gblocks.5.ch_a.2.weight_orig",
        "projector.eblocks.3.conv_aa.weight_orig",
    ],
)
def test_one_misshapen_tensor_does_not_change_the_width(name: str) -> None:
    tensors = random_tensors("generator", 6)
    for shape in ((1, 1, 3, 3), (999, 1, 3, 3), ()):
        assert generator_width({**tensors, name: torch.zeros(shape)}) == 6
    del tensors[name]
    assert generator_width(tensors) == 6


def test_nothing_has_the_published_width() -> None:
    assert generator_width({}) == 32
