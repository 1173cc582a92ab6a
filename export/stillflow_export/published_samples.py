# SPDX-License-Identifier: Apache-2.0
"""Inputs to judge the published networks' graphs with: procedural pictures first, then photos at modest size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from stillflow.photo import load_photo
from stillflow_export.samples import SEED, Sample, procedural_picture

FloatArray = npt.NDArray[np.float32]

GENERATOR_SIZES = ((64, 64), (64, 96), (180, 132))
"""Heights and widths of the procedural samples, multiples of 4; the first two become test vectors."""

GENERATOR_SIDE = 256
"""Longest side, in pixels, of photos that the generator's graphs are judged with."""

TOKENS, TOKEN_WIDTH = 77, 768
"""A text's context: what CLIP ViT-L/14 says of each of 77 tokens."""


def photo_samples(photos: Sequence[Path]) -> Iterator[Sample]:
    """Inputs of the encoder, the background network and the alpha encoder."""
    for name, picture, _ in _pictures(photos, GENERATOR_SIZES, 4, GENERATOR_SIDE):
        yield Sample(name, {"photo": _planes(picture)})


def splatted_samples(photos: Sequence[Path], encoders: Sequence[nn.Module]) -> Iterator[Sample]:
    """Inputs of a decoder: what encoders make of pictures, with holes such as a splat leaves, wide ones among them.

    Args:
        photos: picture files.
        encoders: the last output but one of the first, and the last of the others, side by side: the features, and
            in layered generators the fluid's logit.
    """
    for name, picture, seed in _pictures(photos, GENERATOR_SIZES, 4, GENERATOR_SIDE):
        photo = torch.from_numpy(_planes(picture))
        with torch.no_grad():
            made = [encoder.eval()(photo) for encoder in encoders]
        features = torch.cat([made[0][0], *(outputs[1] for outputs in made[1:])], 1).numpy()
        h, w = picture.shape[:2]
        for detail, mask in (("no hole", np.ones((h, w), np.float32)), ("holes", _holes(h, w, seed))):
            yield Sample(
                f"{name}, {detail}",
                {
                    "features": np.ascontiguousarray(features * mask, np.float32),
                    "mask": np.ascontiguousarray(mask[None, None]),
                },
            )


def hinted_flow_samples(photos: Sequence[Path], hint_scale: float = 1.0) -> Iterator[Sample]:
    """Inputs of a flow network with hints: the dense field of one arrow of some pixels a frame."""
    for name, picture, seed in _pictures(photos, ((256, 256), (256, 256), (256, 512)), 256, 512):
        mask = _region(picture.shape[0], picture.shape[1], seed)
        rng = np.random.default_rng(seed)
        arrow = rng.normal(scale=2.0, size=(2, 1, 1)).astype(np.float32) * np.float32(hint_scale)
        yield Sample(
            name, {"photo": _planes(picture), "mask": mask[None, None], "hint": (arrow * mask)[None]}
        )


def text_flow_samples(photos: Sequence[Path]) -> Iterator[Sample]:
    """Inputs of a flow network that reads a text: contexts of about the magnitude that CLIP gives."""
    for name, picture, seed in _pictures(photos, ((128, 128), (128, 192), (192, 128)), 64, 256):
        mask = _region(picture.shape[0], picture.shape[1], seed)
        context = np.random.default_rng(seed).normal(size=(1, TOKENS, TOKEN_WIDTH)).astype(np.float32)
        yield Sample(name, {"photo": _planes(picture), "mask": mask[None, None], "context": context})


def _pictures(
    photos: Sequence[Path], sizes: Sequence[tuple[int, int]], multiple: int, side: int
) -> Iterator[tuple[str, FloatArray, int]]:
    """Yield name, picture (h, w, 3) in 0..1 and a seed."""
    for i, (h, w) in enumerate(sizes):
        yield f"procedural {w}x{h} seed {SEED + i}", procedural_picture(h, w, SEED + i), SEED + i
    for i, path in enumerate(photos):
        pixels = load_photo(path).pixels
        scale = side / max(pixels.shape[:2])
        h, w = (max(multiple, round(n * scale / multiple) * multiple) for n in pixels.shape[:2])
        small = cv2.resize(pixels, (w, h), interpolation=cv2.INTER_AREA)
        yield f"photo {path.name} {w}x{h}", (small / 255).astype(np.float32), SEED + 1000 + i


def _planes(picture: FloatArray) -> FloatArray:
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None] * 2 - 1, np.float32)


def _region(height: int, width: int, seed: int) -> FloatArray:
    return (procedural_picture(height, width, seed + 7)[..., 0] > 0.5).astype(np.float32)


def _holes(height: int, width: int, seed: int) -> FloatArray:
    """A mask with slits, specks, and a band that the decoder cannot close (from 36 pixels on)."""
    rng = np.random.default_rng(seed)
    mask = np.ones((height, width), np.float32)
    mask[:, : max(48, width // 3)] = 0
    for _ in range(6):
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        axes = (int(rng.integers(1, 5)), int(rng.integers(4, 20)))
        cv2.ellipse(mask, (centre, axes, float(rng.integers(0, 180))), 0.0, -1)
    mask[rng.random((height, width)) < 0.01] = 0
    return mask
