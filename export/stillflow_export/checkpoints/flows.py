# SPDX-License-Identifier: Apache-2.0
"""The published flow networks' tensors as weights of our networks."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from stillflow_export.checkpoints.taking import HasShape, Taking, width_of
from stillflow_export.networks.published import hinted_flow, text_flow
from stillflow_export.networks.published.spade import HIDDEN

Weights = dict[str, torch.Tensor]

DOWN_SPADES = ("2_0", "4_0", "8_0", "8_1", "8_2", "8_3")
UP_SPADES = ("8_4", "8_5", "8_6", "8_7", "4_1", "2_1", "")
"""Published names of the normalisations behind conv2..conv7 and dconv1..dconv7, after "spade_layer"."""


def hinted_width(tensors: Mapping[str, HasShape]) -> int:
    """Channels of the first convolution."""
    shares = {"conv2.weight_orig": 2, "conv7.weight_orig": 8, "dconv7.weight_orig": 1}
    return width_of(tensors, shares, hinted_flow.WIDTH)


def text_width(tensors: Mapping[str, HasShape]) -> int:
    """Channels of the first convolution."""
    return width_of(tensors, {"conv1.weight": 1, "conv6.weight": 4, "dconv7.weight": 1}, text_flow.WIDTH)


def take_hinted_flow(taking: Taking, width: int) -> Weights:
    """All of the flow network with hints."""
    weights: Weights = {}
    for i, (inputs, outputs) in enumerate(hinted_flow.down_channels(width)):
        weights |= _named(f"down.{i}", taking.spectral(f"conv{i + 1}", outputs, inputs, 4, 4))
    for i, (inputs, outputs) in enumerate(hinted_flow.up_channels(width)):
        weights |= _named(f"up.{i}", taking.spectral(f"dconv{i + 1}", outputs, inputs, 3, 3))
    down = [outputs for _, outputs in hinted_flow.down_channels(width)]
    up = [outputs for _, outputs in hinted_flow.up_channels(width)]
    return {**weights, **_spades(taking, down, up, hinted_flow.LABELS)}


def take_text_flow(taking: Taking, width: int) -> Weights:
    """All of the flow network that reads a text."""
    weights: Weights = {}
    for i, (inputs, outputs) in enumerate(text_flow.down_channels(width)):
        weights |= _named(f"down.{i}", taking.plain(f"conv{i + 1}", outputs, inputs, 3, 3))
    for i, (inputs, outputs) in enumerate(text_flow.up_channels(width)):
        weights |= _named(f"up.{i}", taking.plain(f"dconv{i + 1}", outputs, inputs, 3, 3))
    down = [outputs for _, outputs in text_flow.down_channels(width)]
    up = [outputs for _, outputs in text_flow.up_channels(width)]
    weights |= _spades(taking, down, up, text_flow.LABELS)
    for i in range(4):
        weights |= _reader(taking, f"attn_input_block_{i + 1}", f"down_readers.{i}", down[3 + i])
        weights |= _reader(taking, f"attn_output_block_{4 - i}", f"up_readers.{i}", up[i])
    return {**weights, **_reader(taking, "attn_middle_block", "middle_reader", down[7])}


def _spades(taking: Taking, down: list[int], up: list[int], labels: int) -> Weights:
    weights: Weights = {}
    for ours, names, channels in (("down_norms", DOWN_SPADES, down[1:7]), ("up_norms", UP_SPADES, up[:7])):
        for i, (name, count) in enumerate(zip(names, channels, strict=True)):
            stored, own = f"spade_layer{name}", f"{ours}.{i}"
            weights |= _named(f"{own}.shared", taking.plain(f"{stored}.mlp_shared.0", HIDDEN, labels, 3, 3))
            gamma = taking.plain(f"{stored}.mlp_gamma", count, HIDDEN, 3, 3)
            gamma["bias"] = gamma["bias"].double() + 1.0
            weights |= _named(f"{own}.gamma", gamma)
            weights |= _named(f"{own}.beta", taking.plain(f"{stored}.mlp_beta", count, HIDDEN, 3, 3))
    return weights


def _reader(taking: Taking, stored: str, own: str, c: int) -> Weights:
    inner, text = f"{stored}.transformer_blocks.0", text_flow.CONTEXT[1]
    layers = {
        "norm": taking.plain(f"{stored}.norm", c),
        "norm_text": taking.plain(f"{inner}.norm2", c),
        "norm_mlp": taking.plain(f"{inner}.norm3", c),
        "enter": taking.plain(f"{stored}.proj_in", c, c, 1, 1),
        "leave": taking.plain(f"{stored}.proj_out", c, c, 1, 1),
        "query": taking.plain(f"{inner}.attn2.to_q", c, c, bias=False),
        "key": taking.plain(f"{inner}.attn2.to_k", c, text, bias=False),
        "value": taking.plain(f"{inner}.attn2.to_v", c, text, bias=False),
        "join": taking.plain(f"{inner}.attn2.to_out.0", c, c),
        "wide": taking.plain(f"{inner}.ff.net.0.proj", 8 * c, c),
        "narrow": taking.plain(f"{inner}.ff.net.2", c, 4 * c),
    }
    return {
        key: value for name, layer in layers.items() for key, value in _named(f"{own}.{name}", layer).items()
    }


def _named(own: str, layer: Weights) -> Weights:
    return {f"{own}.{key}": value for key, value in layer.items()}
