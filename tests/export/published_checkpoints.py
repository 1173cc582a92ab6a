# SPDX-License-Identifier: Apache-2.0
"""Random checkpoints as the published training scripts write them: names, shapes, wrapping, and what lies beside.

Written from the published layouts, table by table, and not from the importer. Activations come out of the order of
1: u and v of spectral norms are two steps of power iteration away from random ones (not converged, as in real files),
stored variances lie between 0.5 and 1.5, and weights are drawn with
variance 1 / inputs.
"""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

Tensors = dict[str, torch.Tensor]

Shapes = tuple[tuple[int, int], ...]

PUBLISHED = {"generator": 32, "layered": 32, "hinted_flow": 32, "text_flow": 320}
"""Width of each family as published: channels of its first convolution."""

ENCODER = ((0, 1, 1), (1, 1, 0), (1, 1, 0), (1, 2, 1), (2, 2, 0), (2, 2, 0), (2, 2, 0))
"""Blocks but the last: inputs and outputs in widths (0: the 3 colours), and whether there is a shortcut."""

DECODER = ((2, 2), (2, 4), (4, 8), (8, 8), (8, 4), (4, 4), (4, 4), (4, 0))
"""Blocks: inputs and outputs in widths; the first input and the last output depend on the network."""

RESAMPLED = (1, 2, 4, 5)
"""Decoder blocks that halve or double."""

SPADES = (
    ("spade_layer2_0", 2), ("spade_layer4_0", 4), *((f"spade_layer8_{i}", 8) for i in range(8)),
    ("spade_layer4_1", 4), ("spade_layer2_1", 2), ("spade_layer", 1),
)  # fmt: skip
"""Of the flow network with hints: name and channels in widths."""

HINTED_DOWN = (0, 1, 2, 4, 8, 8, 8, 8, 8)
HINTED_UP = ((8, 8), (16, 8), (16, 8), (16, 8), (16, 4), (8, 2), (4, 1), (2, 0))

TEXT_DOWN = (0, 1, 1, 2, 2, 2, 4, 4, 4)
TEXT_UP = ((4, 4), (8, 4), (8, 2), (4, 2), (4, 2), (4, 1), (2, 1), (2, 0))
TEXT_SPADES = (
    ("spade_layer2_0", 1), ("spade_layer4_0", 2), ("spade_layer8_0", 2), ("spade_layer8_1", 2),
    ("spade_layer8_2", 4), ("spade_layer8_3", 4), ("spade_layer8_4", 4), ("spade_layer8_5", 4),
    ("spade_layer8_6", 2), ("spade_layer8_7", 2), ("spade_layer4_1", 2), ("spade_layer2_1", 1), ("spade_layer", 1),
)  # fmt: skip
TEXT_BLOCKS = (
    *((f"attn_input_block_{i}", c) for i, c in ((1, 2), (2, 2), (3, 4), (4, 4))),
    ("attn_middle_block", 4),
    *((f"attn_output_block_{i}", c) for i, c in ((1, 2), (2, 2), (3, 4), (4, 4))),
)


class Draw:
    """Draws the tensors of layers."""

    def __init__(self, seed: int, device: str = "cpu") -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.device = device
        self.tensors: Tensors = {}

    def normal(self, *shape: int, std: float = 1.0, mean: float = 0.0) -> torch.Tensor:
        if self.device == "meta":
            return torch.empty(shape, device="meta")
        return mean + std * torch.randn(shape, generator=self.generator)

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(shape, generator=self.generator)

    def plain(self, name: str, *shape: int, bias: bool = True, gain: float = 1.0) -> None:
        inputs = 1
        for size in shape[1:]:
            inputs *= size
        self.tensors[f"{name}.weight"] = self.normal(*shape, std=gain * inputs**-0.5)
        if bias:
            self.tensors[f"{name}.bias"] = self.normal(shape[0], std=0.1)

    def spectral(self, name: str, *shape: int, bias: bool = True) -> None:
        inputs = 1
        for size in shape[1:]:
            inputs *= size
        weight = self.normal(*shape, std=inputs**-0.5)
        matrix = weight.flatten(1)
        u = self.normal(shape[0])
        for _ in range(2):
            v = torch.nn.functional.normalize(matrix.T @ u, dim=0)
            u = torch.nn.functional.normalize(matrix @ v, dim=0)
        # One step apart, so that u is not what v gives.
        u = torch.nn.functional.normalize(u + 0.1 * self.normal(shape[0], std=shape[0] ** -0.5), dim=0)
        self.tensors[f"{name}.weight_orig"] = weight
        self.tensors[f"{name}.weight_u"] = u
        self.tensors[f"{name}.weight_v"] = v
        if bias:
            self.tensors[f"{name}.bias"] = self.normal(shape[0], std=0.1)

    def noise_norm(self, name: str, channels: int, stored: str) -> None:
        for part in ("gain", "bias"):
            self.spectral(f"{name}.{part}", channels, 20, bias=False)
        self.tensors[f"{name}.{stored}.stored_mean"] = self.normal(channels, std=0.2)
        self.tensors[f"{name}.{stored}.stored_var"] = self.uniform(0.5, 1.5, channels)
        self.tensors[f"{name}.{stored}.accumulation_counter"] = torch.zeros(1)

    def residual(self, name: str, inputs: int, outputs: int, *, shortcut: bool) -> None:
        self.noise_norm(f"{name}.ch_a.0", inputs, "bn")
        self.spectral(f"{name}.ch_a.2", outputs, inputs, 3, 3)
        self.noise_norm(f"{name}.ch_a.3", outputs, "bn")
        self.spectral(f"{name}.ch_a.5", outputs, outputs, 3, 3)
        if shortcut:
            self.spectral(f"{name}.ch_b.0", outputs, inputs, 1, 1)

    def partial(self, name: str, inputs: int, outputs: int) -> None:
        self.noise_norm(f"{name}.bn_noise1", inputs, "pbn")
        self.spectral(f"{name}.conv_aa", outputs, inputs, 3, 3)
        self.noise_norm(f"{name}.bn_noise2", outputs, "pbn")
        self.spectral(f"{name}.conv_ab", outputs, outputs, 3, 3)
        self.spectral(f"{name}.conv_b", outputs, inputs, 1, 1, bias=False)

    def encoder(self, name: str, w: int, outputs: int) -> None:
        for i, (a, b, shortcut) in enumerate((*ENCODER, (2, 0, 1))):
            self.residual(f"{name}.{i}", a * w or 3, b * w or outputs, shortcut=bool(shortcut))

    def decoder(self, name: str, w: int, inputs: int, outputs: int, *, partial: bool) -> None:
        for i, (a, b) in enumerate(DECODER):
            a, b = (inputs if i == 0 else a * w), b * w or outputs
            if partial:
                self.partial(f"{name}.{i}", a, b)
            else:
                self.residual(f"{name}.{i}", a, b, shortcut=a != b or i in RESAMPLED)

    def spade(self, name: str, channels: int, label: int) -> None:
        self.plain(f"{name}.mlp_shared.0", 128, label, 3, 3)
        self.plain(f"{name}.mlp_gamma", channels, 128, 3, 3, gain=0.5)
        self.plain(f"{name}.mlp_beta", channels, 128, 3, 3)

    def transformer(self, name: str, c: int) -> None:
        inner = f"{name}.transformer_blocks.0"
        for norm in (f"{name}.norm", f"{inner}.norm2", f"{inner}.norm3"):
            self.tensors[f"{norm}.weight"] = self.normal(c, std=0.2, mean=1.0)
            self.tensors[f"{norm}.bias"] = self.normal(c, std=0.2)
        self.plain(f"{name}.proj_in", c, c, 1, 1)
        self.plain(f"{inner}.attn2.to_q", c, c, bias=False)
        self.plain(f"{inner}.attn2.to_k", c, 768, bias=False)
        self.plain(f"{inner}.attn2.to_v", c, 768, bias=False)
        self.plain(f"{inner}.attn2.to_out.0", c, c)
        self.plain(f"{inner}.ff.net.0.proj", 8 * c, c)
        self.plain(f"{inner}.ff.net.2", c, 4 * c)
        self.plain(f"{name}.proj_out", c, c, 1, 1)


def random_tensors(
    family: str, width: int | None = None, *, source: str = "slr", seed: int = 0, device: str = "cpu"
) -> Tensors:
    """The tensors of a network by published name, without prefix.

    Args:
        family: "generator", "layered", "hinted_flow" or "text_flow".
        width: channels of its first convolution; None: as published. For "text_flow" a multiple of 32.
        source: who publishes it: "slr", "t2c" or "3dc".
        seed: of the draw.
        device: "meta" for shapes alone ("text_flow" only).
    """
    w = PUBLISHED[family] if width is None else width
    draw = Draw(seed, device)
    if family in ("generator", "layered"):
        draw.encoder("encoder.gblocks", w, 2 * w + 1)
        draw.decoder("projector.eblocks", w, 2 * w, 3, partial=True)
    if family == "layered":
        draw.decoder("net_bg.eblocks", w, 3, 3, partial=False)
        draw.encoder("net_alpha_encoder.gblocks", w, 2)
        draw.decoder("net_alpha_decoder.eblocks", w, 2 * w + 1, 1, partial=True)
    if family == "hinted_flow":
        for i in range(8):
            draw.spectral(f"conv{i + 1}", HINTED_DOWN[i + 1] * w, HINTED_DOWN[i] * w or 6, 4, 4)
        for i, (a, b) in enumerate(HINTED_UP):
            draw.spectral(f"dconv{i + 1}", b * w or 2, a * w, 3, 3)
        for name, c in SPADES:
            draw.spade(name, c * w, 6)
        if source == "t2c":  # a tanh times 64 follows: velocities of some pixels, as trained ones are
            draw.tensors["dconv8.weight_u"] *= 32
            draw.tensors["dconv8.bias"] /= 32
    if family == "text_flow":
        for i in range(8):
            draw.plain(f"conv{i + 1}", TEXT_DOWN[i + 1] * w, TEXT_DOWN[i] * w or 4, 3, 3)
        for i, (a, b) in enumerate(TEXT_UP):
            draw.plain(f"dconv{i + 1}", b * w or 2, a * w, 3, 3, gain=1.0 if b else 1 / 32)
        for name, c in TEXT_SPADES:
            draw.spade(name, c * w, 4)
        for name, c in TEXT_BLOCKS:
            draw.transformer(name, c * w)
    return draw.tensors


OPTIONS: dict[str, Any] = {
    "name": "released",
    "refine_model_type": "resnet_256W8UpDown64_de_resnet_pconv2_nonorm",
    "pconv": "pconv_pbn_woresbias",
    "norm_G": "sync:spectral_batch",
    "use_softmax_splatter": False,
    "use_softmax_splatter_v1": False,
    "use_sum1_alpha": False,
    "use_alpha0_as_blending_weight": True,
    "clamp_alpha": 0.0,
    "no_clamp_Z": False,
    "div_flow": 1.0,
    "losses": ["1.0_l1", "10.0_content"],
    "lr": 1e-4,
    "gpu_ids": "0,1",
}
"""Some of what SLR-SFS's parser leaves in a file; ``ngf`` is added as the width says."""


def random_checkpoint(
    family: str,
    folder: Path,
    width: int | None = None,
    *,
    source: str = "slr",
    seed: int = 0,
    options: dict[str, Any] | None = None,
    without: tuple[str, ...] = (),
    changed: Tensors | None = None,
    legacy: bool = False,
    name: str = "checkpoint.pth",
) -> tuple[Path, Tensors]:
    """Write a checkpoint as one of the projects would.

    Args:
        family: as for `random_tensors`, or "joint": SLR-SFS's generator with its flow network.
        folder: where to.
        width: see `random_tensors`.
        source: "slr" (wrapped, prefixed, with optimiser, discriminator, VGG and options), "t2c" (bare) or "3dc"
            (under "netG", beside optimisers).
        seed: of the draw.
        options: replace or add to `OPTIONS`; None as a value removes one.
        without: names to leave out, without prefix.
        changed: tensors to replace or add, by name without prefix.
        legacy: the format from before torch 1.6.
        name: of the file.

    Returns:
        The file, and the network's tensors by name without prefix, before ``without`` and ``changed``.
    """
    parts = ("generator", "hinted_flow") if family == "joint" else (family,)
    drawn = {part: random_tensors(part, width, source=source, seed=seed + i) for i, part in enumerate(parts)}
    tensors = {key: value for part in drawn.values() for key, value in part.items()}
    state: OrderedDict[str, torch.Tensor] = OrderedDict()
    for part, own in drawn.items():
        prefix = _prefix(part, source, joint=family == "joint")
        mine = {key: value for key, value in {**own, **(changed or {})}.items() if key not in without}
        state.update((f"{prefix}{key}", value) for key, value in mine.items())
    path = folder / name
    content: Any = state
    if source == "slr":
        told = {**OPTIONS, "ngf": 2 * (width or 32), **(options or {})}
        content = _slr_file(state, {key: value for key, value in told.items() if value is not None})
    elif source == "3dc":
        content = {
            "netG": state,
            "netD": {"conv.weight": torch.zeros(2, 2)},
            "optimG": _optimiser(),
            "step": 9,
        }
    with _tagged_as_cuda():
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path, tensors


def _prefix(part: str, source: str, *, joint: bool) -> str:
    if source == "t2c":
        return ""
    if source == "3dc":
        return "motion_predictor."
    flow = "motion_regressor.motion_predictor." if joint else "motion_predictor."
    return "model.module." + (flow if part == "hinted_flow" else "")


def _slr_file(state: OrderedDict[str, torch.Tensor], options: dict[str, Any]) -> dict[str, Any]:
    shared = torch.randn(64, generator=torch.Generator().manual_seed(1))
    state["model.module.loss_function.losses.0.model.slice1.0.weight"] = shared[:27].view(1, 3, 3, 3)
    state["model.module.min_z"] = torch.tensor([0.5])
    state["model.module.max_z"] = torch.tensor([10.0])
    state["model.module.splatter.xyzs"] = shared[27:30].view(1, 3)
    state["netD.module.discriminator_0.model0.0.weight"] = shared[30:62:2].view(4, 4)
    state._metadata = OrderedDict([("", {"version": 1})])  # type: ignore[attr-defined]
    return {
        "state_dict": state,
        "optimizerG": _optimiser(),
        "optimizerD": _optimiser(),
        "epoch": 249,
        "opts": argparse.Namespace(**options),
    }


def _optimiser() -> dict[str, Any]:
    weight = torch.nn.Parameter(torch.ones(3))
    optimiser = torch.optim.Adam([weight], lr=1e-4, betas=(0.0, 0.9))
    weight.grad = torch.ones(3)
    optimiser.step()
    return optimiser.state_dict()


@contextmanager
def _tagged_as_cuda() -> Iterator[None]:
    """Storages say that they lay on a GPU, as in published files."""
    kept = torch.serialization.location_tag
    torch.serialization.location_tag = lambda storage: "cuda:0"
    try:
        yield
    finally:
        torch.serialization.location_tag = kept
