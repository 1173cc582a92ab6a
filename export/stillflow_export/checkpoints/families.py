# SPDX-License-Identifier: Apache-2.0
"""The families that can be imported: from published tensors to weights of our networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from stillflow_export.checkpoints.feature_generator import generator_width, take_generator, take_layers
from stillflow_export.checkpoints.flows import hinted_width, take_hinted_flow, take_text_flow, text_width
from stillflow_export.checkpoints.taking import HasShape, Taking
from stillflow_export.networks.flow import build_flow_network
from stillflow_export.networks.generator import build_generator_network

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Family:
    """One form of network, whoever published it.

    Attributes:
        key: in the receipt.
        what: for messages.
        part: in names of files.
        sources: who publishes it.
        multiple: what a width must divide by: a text is read in 32 groups of channels; the flow network with hints
            treats channel 3 of everything apart, and some must follow.
        width: how wide a checkpoint's networks are, from its tensors.
        take: the weights of our networks.
    """

    key: str
    what: str
    part: str
    sources: tuple[str, ...]
    multiple: int
    width: Callable[[Mapping[str, HasShape]], int]
    take: Callable[[Taking, int], Weights]


def _take_layered(taking: Taking, width: int) -> Weights:
    return {**take_generator(taking, width), **take_layers(taking, width)}


def _take_edge_flow(taking: Taking, width: int) -> Weights:
    return _take_own(taking, build_flow_network)


def _take_edge_generator(taking: Taking, width: int) -> Weights:
    return _take_own(taking, build_generator_network)


def _take_own(taking: Taking, build: Callable[[], nn.Module]) -> Weights:
    with torch.device("meta"):
        state = build().state_dict()
    # Batch norms count their batches in whole numbers, which the network wants back as such.
    return {name: taking.take(name, *value.shape).to(value.dtype) for name, value in state.items()}


def _one_width(tensors: Mapping[str, HasShape]) -> int:
    return 1


FAMILIES = {
    family.key: family
    for family in (
        Family(
            "feature_generator",
            "a feature generator",
            "generator",
            ("slr", "t2c"),
            1,
            generator_width,
            take_generator,
        ),
        Family(
            "layered_generator",
            "a feature generator with layers",
            "layered-generator",
            ("slr",),
            1,
            generator_width,
            _take_layered,
        ),
        Family(
            "hinted_flow",
            "a flow network with hints",
            "hinted-flow",
            ("slr", "t2c", "3dc"),
            8,
            hinted_width,
            take_hinted_flow,
        ),
        Family(
            "text_flow",
            "a flow network that reads a text",
            "text-flow",
            ("t2c",),
            32,
            text_width,
            take_text_flow,
        ),
        Family("edge_flow", "our flow network", "edge-flow", ("stillflow",), 1, _one_width, _take_edge_flow),
        Family(
            "edge_generator",
            "our generator network",
            "edge-generator",
            ("stillflow",),
            1,
            _one_width,
            _take_edge_generator,
        ),
    )
}
"""By key."""
