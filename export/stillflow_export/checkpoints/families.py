# SPDX-License-Identifier: Apache-2.0
"""The families that can be imported: from published tensors to weights of our networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from stillflow_export.checkpoints.feature_generator import generator_width, take_generator, take_layers
from stillflow_export.checkpoints.taking import HasShape, Taking

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Family:
    """One form of network, whoever published it.

    Attributes:
        key: in the receipt.
        what: for messages.
        part: in names of files.
        sources: who publishes it.
        width: how wide a checkpoint's networks are, from its tensors.
        take: the weights of our networks.
    """

    key: str
    what: str
    part: str
    sources: tuple[str, ...]
    width: Callable[[Mapping[str, HasShape]], int]
    take: Callable[[Taking, int], Weights]


def _take_layered(taking: Taking, width: int) -> Weights:
    return {**take_generator(taking, width), **take_layers(taking, width)}


def _take_own(taking: Taking, width: int) -> Weights:
    return {name: taking.take(name, *tensor.shape) for name, tensor in taking.tensors.items()}


FAMILIES = {
    family.key: family
    for family in (
        Family(
            "feature_generator",
            "a feature generator",
            "generator",
            ("slr", "t2c"),
            generator_width,
            take_generator,
        ),
        Family(
            "layered_generator",
            "a feature generator with layers",
            "layered-generator",
            ("slr",),
            generator_width,
            _take_layered,
        ),
    )
}
"""By key."""
