# SPDX-License-Identifier: Apache-2.0
"""The flow network: what moves in a photo and which way, from the photo and the user's hints.

Two networks in one graph, trained apart: one says what each place is (``classes``), the other, which reads those
classes, how it moves (``velocity``). Where a mask or a still map speaks, it outweighs what the networks think moves.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from stillflow.errors import StillflowError
from stillflow_export.networks.classes import CLASSES, STRIDE, ClassNetwork
from stillflow_export.networks.velocity import VelocityNetwork, either_of, spread_of, velocity_of

MASK_WEIGHT = 12.0
"""Logits that the user's mask adds to moves."""


class FlowNetwork(nn.Module):
    """Photo and hints to classes, moves, velocity, spread, either and suited."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = ClassNetwork()
        self.velocity = VelocityNetwork()

    def forward(self, photo: Tensor, hints: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Run both networks.

        Args:
            photo: (n, 3, H, W) RGB 0..1, H and W multiples of 32.
            hints: (n, 6, H, W), laid out by ``stillflow.flow.hint_planes``.

        Returns:
            classes (n, 10, H/2, W/2) logits; moves (n, 1, H/2, W/2) logit; velocity (n, 2, H/2, W/2)
            widths a second times 10; spread (n, 1, H/2, W/2), log of the velocity's expected error; either
            (n, 1, H/2, W/2), logit of whether the opposite direction would be as true; suited (n, 1, 1, 1),
            logit of whether a loop of this photo can look right.
        """
        classes, moves, picture = self.classes(photo, hints[:, 5:6])
        out = self.velocity(photo, torch.softmax(classes, 1), hints)
        told = functional.avg_pool2d(hints, STRIDE)
        moves = moves + MASK_WEIGHT * (2.0 * told[:, 1:2] - told[:, 0:1])
        planes = torch.cat([classes, moves, velocity_of(out), spread_of(out), either_of(out)], 1)
        planes = functional.interpolate(planes, scale_factor=2.0, mode="bilinear", align_corners=False)
        return (
            planes[:, :CLASSES],
            planes[:, 10:11],
            planes[:, 11:13],
            planes[:, 13:14],
            planes[:, 14:15],
            picture[:, CLASSES:],
        )


def build_flow_network() -> FlowNetwork:
    """Return an untrained flow network."""
    return FlowNetwork()


def load_flow_network(weights: str | Path) -> FlowNetwork:
    """Return the flow network with trained weights (safetensors, float16 or float32), in eval mode.

    Raises:
        StillflowError: the file is missing, or is not this network's.
    """
    path = Path(weights)
    if not path.is_file():
        raise StillflowError(
            f"cannot load the flow network from {path}",
            "there is no such file",
            "train it with `python -m stillflow_training flow`, or give the path of its weights",
        )
    network = FlowNetwork()
    try:
        network.load_state_dict(load_file(path))
    except (RuntimeError, ValueError) as error:
        raise StillflowError(
            f"cannot load the flow network from {path}",
            f"its tensors are not those of this version of the network ({str(error).splitlines()[0]})",
            "train it again, or take weights of the same version",
        ) from error
    return network.eval()
