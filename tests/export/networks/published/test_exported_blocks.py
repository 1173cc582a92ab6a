# SPDX-License-Identifier: Apache-2.0
"""The blocks as ONNX: poolings with borders, masks, the odd doubling, norms over the picture, attention.

Whole networks are exported in tests/export/test_engines_of_imports.py and by gate A.
"""

from __future__ import annotations

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from stillflow.bundle.manifest import Tensor as Described
from stillflow_export.networks.published.blocks import PartialBlock, PreActivationBlock
from stillflow_export.networks.published.hinted_flow import double
from stillflow_export.networks.published.spade import Pictures, Spade
from stillflow_export.networks.published.text_reader import TextReader
from stillflow_export.onnx_export import export_onnx
from stillflow_export.plan import GraphPlan

OPERATORS = {
    "AveragePool", "MaxPool", "Resize", "InstanceNormalization", "LayerNormalization", "Softmax", "Erf",
}  # fmt: skip
OUTPUTS = {"partial": 3, "seen": 1, "whole": 3, "normed": 6, "read": 32}


class Blocks(nn.Module):
    """Each block by itself, in one graph: an export takes seconds, whatever is in it."""

    text: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.partial = nn.ModuleList(PartialBlock(3, 3, how) for how in ("down", "same", "up"))
        self.whole = nn.Sequential(*(PreActivationBlock(3, 3, how) for how in ("down", "same", "up")))
        self.pictures = Pictures(1)
        self.down = nn.Conv2d(4, 6, 4, 2, 1)
        self.norm = Spade(6, 4)
        self.enter = nn.Conv2d(4, 32, 1)
        self.reader = TextReader(32, 12)
        self.register_buffer("text", torch.randn(1, 5, 12))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        y, seen = x, mask
        for block in self.partial:
            y, seen = block(y, seen)
        picture = torch.cat([x, mask], 1)
        normed = double(self.norm(self.down(picture), self.pictures(picture)[1]))
        return y, seen, self.whole(x), normed, self.reader(self.enter(picture), self.text)


def image(name: str, channels: int) -> Described:
    return Described(name=name, dtype="float32", shape=(1, channels, "height", "width"))


def test_onnx_does_what_torch_does() -> None:
    torch.manual_seed(4)
    network = Blocks().eval()
    plan = GraphPlan(
        name="blocks",
        what="a test",
        network=network,
        inputs=(image("x", 3), image("mask", 1)),
        outputs=tuple(image(name, channels) for name, channels in OUTPUTS.items()),
        multiple=4,
        samples=lambda photos: iter(()),
    )
    made = export_onnx(plan)
    assert set(made.operators) >= OPERATORS
    session = onnxruntime.InferenceSession(made.data, providers=["CPUExecutionProvider"])
    for h, w in ((4, 8), (20, 12), (32, 44)):
        mask = (torch.rand(1, 1, h, w) > 0.6).float()
        x = torch.randn(1, 3, h, w) * mask
        got = session.run(None, {"x": x.numpy(), "mask": mask.numpy()})
        for name, one, other in zip(OUTPUTS, got, network(x, mask), strict=True):
            assert np.abs(one - other.numpy()).max() < 1e-5, (name, h, w)
