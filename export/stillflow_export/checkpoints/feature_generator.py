# SPDX-License-Identifier: Apache-2.0
"""The published generator's tensors, and SLR-SFS version 1's layers, as weights of our networks."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from stillflow_export.checkpoints.folding import after_convolution
from stillflow_export.checkpoints.taking import HasShape, Taking, width_of
from stillflow_export.networks.published.blocks import has_shortcut
from stillflow_export.networks.published.generator import (
    DECODER_RESAMPLINGS,
    WIDTH,
    decoder_channels,
    encoder_channels,
)

Weights = dict[str, torch.Tensor]


def generator_width(tensors: Mapping[str, HasShape]) -> int:
    """Channels of the first encoder blocks."""
    shares = {
        "encoder.gblocks.1.ch_a.2.weight_orig": 1,
        "encoder.gblocks.5.ch_a.2.weight_orig": 2,
        "projector.eblocks.3.conv_aa.weight_orig": 8,
    }
    return width_of(tensors, shares, WIDTH)


def take_generator(taking: Taking, width: int) -> Weights:
    """Encoder and decoder, named "encoder. ..." and "decoder. ..."."""
    encoder = encoder_channels(width, 2 * width + 1)
    decoder = decoder_channels(width, 2 * width, 3)
    return {
        **_pre_activation(taking, "encoder.gblocks", "encoder.blocks", encoder, ("same",) * 8),
        **_partial(taking, "projector.eblocks", "decoder.partial.blocks", decoder),
    }


def take_layers(taking: Taking, width: int) -> Weights:
    """Background and the two alpha networks of version 1."""
    background, encoder = decoder_channels(width, 3, 3), encoder_channels(width, 2)
    decoder = decoder_channels(width, 2 * width + 1, 1)
    same = ("same",) * 8
    return {
        **_pre_activation(taking, "net_bg.eblocks", "background.blocks", background, DECODER_RESAMPLINGS),
        **_pre_activation(taking, "net_alpha_encoder.gblocks", "alpha_encoder.blocks", encoder, same),
        **_partial(taking, "net_alpha_decoder.eblocks", "alpha_decoder.partial.blocks", decoder),
    }


def _pre_activation(
    taking: Taking,
    stored: str,
    ours: str,
    channels: tuple[tuple[int, int], ...],
    resamplings: tuple[str, ...],
) -> Weights:
    weights: Weights = {}
    for i, ((inputs, outputs), how) in enumerate(zip(channels, resamplings, strict=True)):
        name, own = f"{stored}.{i}", f"{ours}.{i}"
        parts = [f"{name}.ch_a.{place}" for place in (0, 2, 3, 5)]
        norm, *layers = _main_path(taking, parts, "bn", inputs, outputs)
        weights |= {f"{own}.norm.{key}": value for key, value in norm.items()}
        for part, layer in zip(("first", "second"), layers, strict=True):
            weights |= {f"{own}.{part}.{key}": value for key, value in layer.items()}
        if has_shortcut(inputs, outputs, how):
            shortcut = taking.spectral(f"{name}.ch_b.0", outputs, inputs, 1, 1)
            weights |= {f"{own}.shortcut.{key}": value for key, value in shortcut.items()}
    return weights


def _partial(taking: Taking, stored: str, ours: str, channels: tuple[tuple[int, int], ...]) -> Weights:
    weights: Weights = {}
    for i, ((inputs, outputs), how) in enumerate(zip(channels, DECODER_RESAMPLINGS, strict=True)):
        name, own = f"{stored}.{i}", f"{ours}.{i}"
        parts = [f"{name}.{part}" for part in ("bn_noise1", "conv_aa", "bn_noise2", "conv_ab")]
        norm, *layers = _main_path(taking, parts, "pbn", inputs, outputs)
        weights |= {f"{own}.norm.{key}": value for key, value in norm.items()}
        for part, layer in zip(("first", "second"), layers, strict=True):
            weights[f"{own}.{part}.conv.weight"] = layer["weight"]
            weights[f"{own}.{part}.bias"] = layer["bias"][:, None, None]
        # Always stored, used only where the shortcut is no identity.
        shortcut = taking.spectral(f"{name}.conv_b", outputs, inputs, 1, 1, bias=False)
        if has_shortcut(inputs, outputs, how):
            weights[f"{own}.shortcut.weight"] = shortcut["weight"]
    return weights


def _main_path(
    taking: Taking, parts: list[str], statistics: str, inputs: int, outputs: int
) -> tuple[Weights, Weights, Weights]:
    """The norm and the two convolutions of a block, the second norm folded into the first convolution.

    Args:
        taking: of the checkpoint.
        parts: names of norm, convolution, norm and convolution.
        statistics: name of what holds a norm's mean and variance.
        inputs: channels that go in.
        outputs: channels that come out.
    """
    scale, shift = taking.noise_norm(parts[0], inputs, statistics)
    first = taking.spectral(parts[1], outputs, inputs, 3, 3)
    norm = taking.noise_norm(parts[2], outputs, statistics)
    second = taking.spectral(parts[3], outputs, outputs, 3, 3)
    weight, bias = after_convolution(first["weight"], first["bias"], *norm)
    before = {"scale": scale[:, None, None], "shift": shift[:, None, None]}
    return before, {"weight": weight, "bias": bias}, second
