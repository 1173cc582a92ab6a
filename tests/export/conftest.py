# SPDX-License-Identifier: Apache-2.0
"""A tiny flow network, exported once a test run: the exporter takes seconds even for three layers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="export needs the extra: pip install 'stillflow[export]'")

from collections.abc import Iterator  # noqa: E402
from dataclasses import replace  # noqa: E402
from functools import partial  # noqa: E402

import numpy as np  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from stillflow.bundle.manifest import Tensor as Described  # noqa: E402
from stillflow_export.graphs import own_trained  # noqa: E402
from stillflow_export.onnx_export import ExportedGraph, export_onnx  # noqa: E402
from stillflow_export.plan import GraphPlan, Trained  # noqa: E402
from stillflow_export.samples import Sample, flow_samples  # noqa: E402
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


class TinyEncoder(nn.Module):
    """The inputs and outputs of an imported encoder, with four features."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 5, 3, padding=1)

    def forward(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        out = self.layer(photo)
        return out[:, :4], out[:, 4:]


class TinyDecoder(nn.Module):
    """The inputs and outputs of an imported decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        closed = torch.clamp(nn.functional.avg_pool2d(mask, 3, 1, 1) * 9.0, 0.0, 1.0)
        return torch.tanh(self.layer(features * mask)) * closed, closed


class TinySceneFlow(nn.Module):
    """The inputs and outputs of an imported flow network that takes hints."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(6, 2, 3, padding=1)

    def forward(self, photo: Tensor, mask: Tensor, hint: Tensor) -> Tensor:
        return self.layer(torch.cat([photo, mask, hint], 1)) * mask


def image(name: str, channels: int) -> Described:
    return Described(name=name, dtype="float32", shape=(1, channels, "height", "width"))


def random_samples(channels: dict[str, int], photos: object) -> Iterator[Sample]:
    """Noise of two sizes; masks are 0 and 1."""
    rng = np.random.default_rng(0)
    for size in ((16, 24), (32, 16)):
        arrays = {n: rng.normal(size=(1, c, *size)).astype(np.float32) for n, c in channels.items()}
        arrays = {n: (a > 0).astype(np.float32) if n == "mask" else a for n, a in arrays.items()}
        yield Sample(f"noise {size[1]}x{size[0]}", arrays)


def tiny_plan(network: nn.Module, name: str, inputs: dict[str, int], outputs: dict[str, int]) -> GraphPlan:
    return GraphPlan(
        name=name,
        what=f"a tiny {name}",
        network=network.eval(),
        inputs=tuple(image(n, c) for n, c in inputs.items()),
        outputs=tuple(image(n, c) for n, c in outputs.items()),
        multiple=8,
        samples=partial(random_samples, inputs),
        long_side=64,
        halo=None if name == "scene_flow" else 2,
    )


@pytest.fixture(scope="session")
def imported_generator() -> Trained:
    """What an import of a published generator comes to, but tiny."""
    torch.manual_seed(5)
    encoder = tiny_plan(TinyEncoder(), "encoder", {"photo": 3}, {"features": 4, "weight": 1})
    decoder = tiny_plan(TinyDecoder(), "decoder", {"features": 4, "mask": 1}, {"frame": 3, "closed": 1})
    return Trained(
        plans=(encoder, decoder),
        source="somebody's checkpoint",
        licence="LicenseRef-none-granted",
        receipt={"file": "theirs.pth"},
        licence_note="No licence was granted: for research only, ask the authors.",
        loop={"rule": "symmetric_splat", "weight_floor": -20.0, "edge_share": 1 / 600},
    )


@pytest.fixture(scope="session")
def imported_flow() -> Trained:
    """What an import of a published flow network comes to, but tiny."""
    torch.manual_seed(6)
    inputs = {"photo": 3, "mask": 1, "hint": 2}
    plan = tiny_plan(TinySceneFlow(), "scene_flow", inputs, {"velocity": 2})
    return Trained(plans=(plan,), source="another checkpoint", licence="MIT", receipt={"file": "flow.pth"})


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
