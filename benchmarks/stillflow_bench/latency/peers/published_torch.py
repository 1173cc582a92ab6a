# SPDX-License-Identifier: Apache-2.0
"""The published family's pipeline in eager PyTorch, as its authors run it; see ``peers.published``.

The splat is PyTorch's own: bilinear weights and ``index_add_`` along the pixels of planar features, the fastest of its
ways that were tried (rows instead of planes, ``scatter_add_``, ``index_put_``). In inference mode; convolutions in the
memory format with channels last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stillflow.kernels.arrays import ByteArray
from stillflow.kernels.splat_source import LEAST_WEIGHT
from stillflow_bench.gpu.random_generator import random_parts
from stillflow_bench.latency.peers.installed import installed
from stillflow_bench.latency.peers.published import WEIGHT_FLOOR, Published, Throw, as_input, width_of
from stillflow_bench.latency.peers.torch_place import TorchPlace, torch_place
from stillflow_bench.latency.target import Facts, TargetSpec

if TYPE_CHECKING:
    import torch

PEER = "the published pipeline in PyTorch"


def open_target(spec: TargetSpec) -> Published:
    """Draw the weights, and encode photos.

    Raises:
        StillflowError: PyTorch is absent, there is no such device, or the picture is too large.
    """
    torch = installed("torch", PEER)
    width = width_of(spec, PEER)
    place = torch_place(spec.subject, PEER)
    if spec.subject.threads is not None:
        torch.set_num_threads(spec.subject.threads)
    return Published(spec, TorchPipeline(width, place), width)


class TorchPipeline:
    """See ``published.Pipeline``.

    Args:
        width: of the networks.
        place: where they compute.
    """

    def __init__(self, width: int, place: TorchPlace) -> None:
        import torch

        self._place = place
        self._format: Any = torch.channels_last
        parts: dict[str, Any] = dict(random_parts(width))
        for network in parts.values():
            network.to(place.device, place.dtype).to(memory_format=self._format)
        self._encoder, self._decoder = parts["encoder"], parts["decoder"]
        self.facts = Facts(
            engine="torch",
            version=str(torch.__version__),
            provider=f"eager on {place.device} ({place.name})",
            precision=dict.fromkeys(("encoder", "decoder"), place.precision),
            device=place.device,
            notes={"threads": torch.get_num_threads(), "channels_last": True, "splat": "index_add_"},
        )

    def encode(self, photo: ByteArray) -> torch.Tensor:
        """Weighed features and their weights, (C + 1, H, W)."""
        import torch

        with torch.inference_mode():
            given = torch.from_numpy(as_input(photo)).to(self._place.device, self._place.dtype)
            features, logit = self._encoder(given.to(memory_format=self._format))
            weight = torch.exp((logit[0] - logit.max()).clamp_min(WEIGHT_FLOOR))
            kept = torch.cat([features[0] * weight, weight]).contiguous()
            self._finish()
            return kept

    def splat(self, kept: torch.Tensor, throws: tuple[Throw, Throw]) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (1, C, H, W) and mask (1, 1, H, W)."""
        import torch

        with torch.inference_mode():
            sums = torch.zeros_like(kept)
            for displacement, share in throws:
                add_thrown(sums, kept, torch.from_numpy(displacement).to(kept.device), share)
            mask = (sums[-1:] != 0).to(kept.dtype)
            features = sums[:-1] / sums[-1:].clamp_min(LEAST_WEIGHT)
            self._finish()
            return features[None], mask[None]

    def decode(self, landed: tuple[torch.Tensor, torch.Tensor]) -> ByteArray:
        """(H, W, 3) uint8."""
        import torch

        with torch.inference_mode():
            features, mask = landed
            frame, _ = self._decoder(features.to(memory_format=self._format), mask)
            levels = ((frame[0].float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
            return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())

    def _finish(self) -> None:
        """Let a stage end where it says it does."""
        import torch

        if self._place.device != "cpu":
            torch.cuda.synchronize(self._place.device)


def add_thrown(sums: torch.Tensor, kept: torch.Tensor, displacement: torch.Tensor, share: float) -> None:
    """Add what lands of one throw.

    Args:
        sums: (C, H, W), added to.
        kept: (C, H, W), what is thrown.
        displacement: (H, W, 2) float32, x and y in pixels.
        share: factor of all of it.
    """
    import torch

    channels, height, width = kept.shape
    flat, thrown = sums.view(channels, -1), kept.view(channels, -1)
    y, x = torch.meshgrid(
        *(torch.arange(n, device=kept.device, dtype=torch.float32) for n in (height, width)), indexing="ij"
    )
    x, y = (x + displacement[..., 0]).reshape(-1), (y + displacement[..., 1]).reshape(-1)
    left, top = x.floor(), y.floor()
    fx, fy = x - left, y - top
    terms = torch.empty_like(thrown)
    for column, wx in ((left, 1 - fx), (left + 1, fx)):
        for row, wy in ((top, 1 - fy), (top + 1, fy)):
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            factor = torch.where(inside, wx * wy * share, 0.0).to(kept.dtype)
            at = torch.where(inside, row * width + column, 0.0).to(torch.int64)
            torch.mul(thrown, factor, out=terms)
            flat.index_add_(1, at, terms)
