# SPDX-License-Identifier: Apache-2.0
"""The published family's pipeline on ONNX Runtime, as people deploy it without PyTorch; see ``peers.published``.

Encoder and decoder are plain sessions with ONNX Runtime's own options. The splat between them is no layer, so it is
NumPy: bilinear weights and ``np.bincount``, channel by channel, the fastest of NumPy's ways that were tried
(``np.add.at`` of planes or of rows). No kernel of stillflow helps.

The graphs are exported when the target is opened, by PyTorch's older exporter: it takes a fraction of the newer one's
time, and plain layers come out the same.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from typing import Any

import numpy as np
import onnxruntime as ort

from stillflow.bundle import Bundle
from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.kernels.splat_source import LEAST_WEIGHT
from stillflow.sessions.choice import choose
from stillflow_bench.gpu.random_generator import random_parts
from stillflow_bench.latency.peers.installed import installed
from stillflow_bench.latency.peers.published import WEIGHT_FLOOR, Published, Throw, as_input, width_of
from stillflow_bench.latency.peers.raw_onnxruntime import inference_session
from stillflow_bench.latency.target import Facts, TargetSpec

PEER = "the published pipeline on ONNX Runtime"

OPSET = 18

SIDES = {2: "height", 3: "width"}

INTERFACES = {
    "encoder": (("photo",), ("features", "weight")),
    "decoder": (("features", "mask"), ("frame", "closed")),
}
"""Graph -> names of its inputs and outputs."""


def open_target(spec: TargetSpec) -> Published:
    """Export the networks, load them, and encode photos.

    Raises:
        StillflowError: PyTorch is absent, which exports them, there is no such device, or the picture is too large.
    """
    for package in ("torch", "onnx"):
        installed(package, PEER)
    width = width_of(spec, PEER)
    return Published(spec, OnnxRuntimePipeline(width, spec), width)


def exported(width: int) -> dict[str, bytes]:
    """Encoder and decoder as ONNX, for pictures of any size.

    Args:
        width: of the networks.
    """
    import torch

    made = {}
    examples = {"photo": 3, "features": 2 * width, "mask": 1}
    for graph, network in random_parts(width).items():
        inputs, outputs = INTERFACES[graph]
        file: Any = io.BytesIO()  # it takes open files as well as names
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that this exporter is the older one is meant
            torch.onnx.export(
                network,
                tuple(torch.ones(1, examples[name], 64, 96) for name in inputs),
                file,
                dynamo=False,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes=dict.fromkeys((*inputs, *outputs), SIDES),
            )
        made[graph] = file.getvalue()
    return made


class OnnxRuntimePipeline:
    """See ``published.Pipeline``.

    Args:
        width: of the networks.
        spec: says device and threads.
    """

    def __init__(self, width: int, spec: TargetSpec) -> None:
        subject = spec.subject
        with Bundle.open(subject.bundle) as bundle:  # only asked where ONNX Runtime runs here
            self._device = choose(bundle, subject.device, "onnxruntime", "fp32").device
        files = exported(width)
        self._sessions: dict[str, Any] = {
            graph: inference_session(data, graph, "default", subject.threads, self._device)
            for graph, data in files.items()
        }
        self.facts = Facts(
            engine="onnxruntime",
            version=ort.__version__,
            provider=self._sessions["decoder"].get_providers()[0],
            precision=dict.fromkeys(files, "fp32"),
            device=self._device,
            hashes={graph: hashlib.sha256(data).hexdigest() for graph, data in files.items()},
            notes={"options": "default", "threads": subject.threads, "splat": "np.bincount, one thread"},
        )

    def encode(self, photo: ByteArray) -> FloatArray:
        """Weighed features and their weights, (C + 1, H, W)."""
        features, logit = self._sessions["encoder"].run(None, {"photo": as_input(photo)})
        weight = np.exp(np.maximum(logit[0] - logit.max(), np.float32(WEIGHT_FLOOR)))
        return np.concatenate([features[0] * weight, weight])

    def splat(self, kept: FloatArray, throws: tuple[Throw, Throw]) -> tuple[FloatArray, FloatArray]:
        """Features (1, C, H, W) and mask (1, 1, H, W)."""
        channels, height, width = kept.shape
        corners = [corner for displacement, share in throws for corner in landing(displacement, share)]
        at = np.stack([at for at, _ in corners]).ravel()
        factors = np.stack([factor for _, factor in corners])
        terms = np.empty_like(factors)
        sums = np.empty((channels, height * width), np.float32)
        for plane, total in zip(kept.reshape(channels, -1), sums, strict=True):
            np.multiply(factors, plane, out=terms)
            total[:] = np.bincount(at, terms.ravel(), height * width)
        mask = (sums[-1:] != 0).astype(np.float32)
        features = np.divide(sums[:-1], np.maximum(sums[-1:], np.float32(LEAST_WEIGHT)), dtype=np.float32)
        return features.reshape(1, -1, height, width), mask.reshape(1, 1, height, width)

    def decode(self, landed: tuple[FloatArray, FloatArray]) -> ByteArray:
        """(H, W, 3) uint8."""
        features, mask = landed
        (frame,) = self._sessions["decoder"].run(["frame"], {"features": features, "mask": mask})
        levels = np.clip(np.rint((frame[0] + 1) * np.float32(127.5)), 0, 255).astype(np.uint8)
        return np.ascontiguousarray(np.moveaxis(levels, 0, -1))


def landing(
    displacement: FloatArray, share: float
) -> list[tuple[np.ndarray[Any, np.dtype[np.int64]], FloatArray]]:
    """Where pixels land of one throw: for each of the four corners, index (H W,) and factor (H W,), 0 outside."""
    height, width = displacement.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = (x + displacement[..., 0]).ravel(), (y + displacement[..., 1]).ravel()
    left, top = np.floor(x), np.floor(y)
    fx, fy = x - left, y - top
    found = []
    for column, wx in ((left, 1 - fx), (left + 1, fx)):
        for row, wy in ((top, 1 - fy), (top + 1, fy)):
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            factor = np.where(inside, wx * wy * np.float32(share), np.float32(0)).astype(np.float32)
            at = np.where(inside, row * width + column, 0).astype(np.int64)
            found.append((at, factor))
    return found
