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

from stillflow_export.networks.published import generator, hinted_flow, text_flow
from stillflow_export.samples import Picture, Sample, pictures, procedural_picture

FloatArray = npt.NDArray[np.float32]

GENERATOR_SIZES = ((64, 64), (64, 96), (180, 132))
"""Heights and widths of the procedural samples, multiples of 4; the first two become test vectors."""

GENERATOR_SIDE = 256
"""Longest side, in pixels, of photos that the generator's graphs are judged with."""


def photo_samples(photos: Sequence[Path]) -> Iterator[Sample]:
    """Inputs of the encoder, the background network and the alpha encoder."""
    for picture in _generator_pictures(photos):
        yield Sample(picture.name, {"photo": _planes(picture)})


def splatted_samples(photos: Sequence[Path], encoders: Sequence[nn.Module]) -> Iterator[Sample]:
    """Inputs of a decoder: what encoders make of pictures, with holes such as a splat leaves, wide ones among them.

    Args:
        photos: picture files.
        encoders: the last output but one of the first, and the last of the others, side by side: the features, and
            in layered generators the fluid's logit.
    """
    for picture in _generator_pictures(photos):
        photo = torch.from_numpy(_planes(picture))
        with torch.no_grad():
            made = [encoder.eval()(photo) for encoder in encoders]
        features = torch.cat([made[0][0], *(outputs[1] for outputs in made[1:])], 1).numpy()
        h, w = picture.pixels.shape[:2]
        for detail, mask in (("no hole", np.ones((h, w), np.float32)), ("holes", _holes(h, w, picture.seed))):
            yield Sample(
                f"{picture.name}, {detail}",
                {
                    "features": np.ascontiguousarray(features * mask, np.float32),
                    "mask": np.ascontiguousarray(mask[None, None]),
                },
            )


def hinted_flow_samples(photos: Sequence[Path], hint_scale: float = 1.0) -> Iterator[Sample]:
    """Inputs of a flow network with hints: the dense field of one arrow of some pixels a frame."""
    sizes = ((256, 256), (256, 256), (256, 512))
    for picture in pictures(photos, sizes, multiple=hinted_flow.MULTIPLE, long_side=512):
        mask = _region(picture)
        rng = np.random.default_rng(picture.seed)
        arrow = rng.normal(scale=2.0, size=(2, 1, 1)).astype(np.float32) * np.float32(hint_scale)
        inputs = {"photo": _planes(picture), "mask": mask[None, None], "hint": (arrow * mask)[None]}
        yield Sample(picture.name, inputs)


def text_flow_samples(photos: Sequence[Path]) -> Iterator[Sample]:
    """Inputs of a flow network that reads a text: contexts of about the magnitude that CLIP gives."""
    sizes = ((128, 128), (128, 192), (192, 128))
    for picture in pictures(photos, sizes, multiple=text_flow.MULTIPLE, long_side=256):
        rng = np.random.default_rng(picture.seed)
        context = rng.normal(size=(1, *text_flow.CONTEXT)).astype(np.float32)
        inputs = {"photo": _planes(picture), "mask": _region(picture)[None, None], "context": context}
        yield Sample(picture.name, inputs)


def _generator_pictures(photos: Sequence[Path]) -> Iterator[Picture]:
    return pictures(photos, GENERATOR_SIZES, multiple=generator.MULTIPLE, long_side=GENERATOR_SIDE)


def _planes(picture: Picture) -> FloatArray:
    return np.ascontiguousarray(picture.pixels.transpose(2, 0, 1)[None] * 2 - 1, np.float32)


def _region(picture: Picture) -> FloatArray:
    height, width = picture.pixels.shape[:2]
    return (procedural_picture(height, width, picture.seed + 7)[..., 0] > 0.5).astype(np.float32)


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
