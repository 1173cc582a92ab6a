# SPDX-License-Identifier: Apache-2.0
"""A tiny flow network, exported once a test run: the exporter takes seconds even for three layers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="export needs the extra: pip install 'stillflow[export]'")

from dataclasses import replace  # noqa: E402
from functools import partial  # noqa: E402

from torch import Tensor, nn  # noqa: E402

from stillflow_export.graphs import own_trained  # noqa: E402
from stillflow_export.onnx_export import ExportedGraph, export_onnx  # noqa: E402
from stillflow_export.plan import GraphPlan  # noqa: E402
from stillflow_export.samples import flow_samples  # noqa: E402
from stillflow_export.stored_weights import as_stored  # noqa: E402


class TinyFlow(nn.Module):
    """The inputs and outputs of the flow network, with three convolutions between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(9, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(6, 6, 3, 2, 1), nn.ReLU())
        self.heads = nn.Conv2d(6, 15, 3, padding=1)

    def forward(self, photo: Tensor, hints: Tensor) -> tuple[Tensor, ...]:
        x = self.first(torch.cat([photo - 0.5, hints], 1))
        x = x + nn.functional.interpolate(self.second(x), scale_factor=2.0, mode="nearest")
        out = self.heads(x)
        # Far below any tolerance, and yet all that stands between 0 and a division by it.
        length = torch.sqrt((hints[:, :1, ::2, ::2] ** 2).sum(1, keepdim=True) + 1e-9)
        return (
            out[:, :10],
            out[:, 10:11] * (hints[:, :1, ::2, ::2] / length + 1),
            out[:, 11:13],
            out[:, 13:14],
            out[:, 14:15],
            x.mean((1, 2, 3), keepdim=True),
        )


class TinyGenerator(nn.Module):
    """The inputs and outputs of the generator network, with one convolution between them."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.Conv2d(9, 5, 3, padding=1)

    def forward(self, field: Tensor) -> tuple[Tensor, Tensor]:
        out = self.heads(field)
        return torch.clamp(out[:, :3], 0.0, 1.0), out[:, 3:]


def tiny_flow() -> TinyFlow:
    torch.manual_seed(3)
    return TinyFlow().eval()


def tiny_generator() -> TinyGenerator:
    torch.manual_seed(4)
    return TinyGenerator().eval()


@pytest.fixture(scope="session")
def flow_network() -> TinyFlow:
    return tiny_flow()


@pytest.fixture(scope="session")
def generator_network() -> TinyGenerator:
    return tiny_generator()


@pytest.fixture(scope="session")
def flow_plan(flow_network: TinyFlow) -> GraphPlan:
    """The tiny flow network as it is stored, with few and small samples."""
    (plan,) = own_trained("flow", flow_network).plans
    return as_stored(replace(plan, samples=partial(flow_samples, sizes=[(32, 64)], long_side=64)))


@pytest.fixture(scope="session")
def exported(flow_plan: GraphPlan) -> ExportedGraph:
    return export_onnx(flow_plan, metadata={"licence": "Apache-2.0"})
