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
        scale, shift = taking.noise_norm(f"{name}.ch_a.0", inputs, "bn")
        first = taking.spectral(f"{name}.ch_a.2", outputs, inputs, 3, 3)
        norm = taking.noise_norm(f"{name}.ch_a.3", outputs, "bn")
        second = taking.spectral(f"{name}.ch_a.5", outputs, outputs, 3, 3)
        weight, bias = after_convolution(first["weight"], first["bias"], *norm)
        weights |= _norm(own, scale, shift)
        weights |= {f"{own}.first.weight": weight, f"{own}.first.bias": bias}
        weights |= {f"{own}.second.{key}": value for key, value in second.items()}
        if has_shortcut(inputs, outputs, how):
            shortcut = taking.spectral(f"{name}.ch_b.0", outputs, inputs, 1, 1)
            weights |= {f"{own}.shortcut.{key}": value for key, value in shortcut.items()}
    return weights


def _partial(taking: Taking, stored: str, ours: str, channels: tuple[tuple[int, int], ...]) -> Weights:
    weights: Weights = {}
    for i, ((inputs, outputs), how) in enumerate(zip(channels, DECODER_RESAMPLINGS, strict=True)):
        name, own = f"{stored}.{i}", f"{ours}.{i}"
        scale, shift = taking.noise_norm(f"{name}.bn_noise1", inputs, "pbn")
        first = taking.spectral(f"{name}.conv_aa", outputs, inputs, 3, 3)
        norm = taking.noise_norm(f"{name}.bn_noise2", outputs, "pbn")
        second = taking.spectral(f"{name}.conv_ab", outputs, outputs, 3, 3)
        weight, bias = after_convolution(first["weight"], first["bias"], *norm)
        weights |= _norm(own, scale, shift)
        for part, layer in (("first", {"weight": weight, "bias": bias}), ("second", second)):
            weights[f"{own}.{part}.conv.weight"] = layer["weight"]
            weights[f"{own}.{part}.bias"] = layer["bias"][:, None, None]
        # Always stored, used only where the shortcut is no identity.
        shortcut = taking.spectral(f"{name}.conv_b", outputs, inputs, 1, 1, bias=False)
        if has_shortcut(inputs, outputs, how):
            weights[f"{own}.shortcut.weight"] = shortcut["weight"]
    return weights


def _norm(own: str, scale: torch.Tensor, shift: torch.Tensor) -> Weights:
    return {f"{own}.norm.scale": scale[:, None, None], f"{own}.norm.shift": shift[:, None, None]}
