# SPDX-License-Identifier: Apache-2.0
"""Narrow generators of the published form with random weights, run by torch as if they were sessions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from stillflow.features.networks import FeatureNetworks
from stillflow.features.tiles import TiledGraph
from stillflow_export.networks.published.generator import FeatureDecoder, FeatureEncoder, PartialDecoder

WHOLE = 1 << 40
"""Pixels of a tile that no picture reaches."""

WIDTH = 4


def randomised(network: nn.Module, seed: int, gain: float = 1.0) -> nn.Module:
    """Give a network weights that keep activations near 1."""
    rng = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        shape = parameter.shape
        noise = torch.randn(shape, generator=rng)
        if len(shape) == 4:
            parameter.data = noise * gain / (shape[1] * shape[2] * shape[3]) ** 0.5
        else:
            parameter.data = (1.0 if "scale" in name else 0.0) + 0.1 * noise
    return network.eval()


def as_run(network: nn.Module, outputs: tuple[str, ...]) -> Callable[[Mapping[str, np.ndarray]], dict]:
    """A session's ``run`` of a torch network; inputs in the order they are given."""
    lock = threading.Lock()

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        with lock, torch.no_grad():
            made = network(*(torch.from_numpy(np.ascontiguousarray(a)) for a in inputs.values()))
        made = made if isinstance(made, tuple) else (made,)
        return {name: a.numpy() for name, a in zip(outputs, made, strict=True)}

    return run


class AlphaDecoder(nn.Module):
    """A partial decoder that ends in one channel, as alpha."""

    def __init__(self) -> None:
        super().__init__()
        self.partial = PartialDecoder(WIDTH, 2 * WIDTH + 1, 1)

    def forward(self, features: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, closed = self.partial(features, mask)
        return torch.sigmoid(x), closed


class Generator:
    """A random generator: its networks, and the same as a scene asks for them."""

    def __init__(self, seed: int = 5) -> None:
        self.encoder = randomised(FeatureEncoder(WIDTH), seed)
        self.decoder = randomised(FeatureDecoder(WIDTH), seed + 1)
        self.background = randomised(nn.Conv2d(3, 3, 5, padding=2), seed + 2)
        self.alpha_encoder = randomised(nn.Conv2d(3, 2, 5, padding=2), seed + 3, 3.0)
        self.alpha_decoder = randomised(AlphaDecoder(), seed + 4, 1.3)

    def networks(
        self,
        most_pixels: int = WHOLE,
        *,
        layers: bool = False,
        weight_floor: float | None = None,
        edge_share: float = 0.0,
        memory: int = 1 << 30,
    ) -> FeatureNetworks:
        def graph(network: nn.Module, halo: int, *outputs: str) -> TiledGraph:
            return TiledGraph(as_run(network, outputs), 4, halo, most_pixels)

        class Background(nn.Module):
            def forward(_, photo: torch.Tensor) -> torch.Tensor:  # noqa: N805
                return torch.tanh(self.background(photo))

        class AlphaEncoder(nn.Module):
            def forward(_, photo: torch.Tensor) -> tuple[torch.Tensor, ...]:  # noqa: N805
                made = self.alpha_encoder(photo)
                return made[:, :1], made[:, 1:]

        extra = (
            graph(Background(), 48, "background"),
            graph(AlphaEncoder(), 16, "alpha_background", "alpha_fluid"),
            graph(self.alpha_decoder, 48, "alpha", "closed"),
        )
        return FeatureNetworks(
            encoder=graph(self.encoder, 16, "features", "weight"),
            decoder=graph(self.decoder, 48, "frame", "closed"),
            layers=extra if layers else None,
            multiple=4,
            weight_floor=weight_floor,
            edge_share=edge_share,
            memory=memory,
        )

    def encode(self, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (C, H, W) and Z (H, W) of a (H, W, 3) uint8 photo."""
        planar = torch.from_numpy(photo.astype(np.float32).transpose(2, 0, 1)[None] / 127.5 - 1)
        with torch.no_grad():
            features, z = self.encoder(planar)
        return features[0].numpy(), z[0, 0].numpy()
