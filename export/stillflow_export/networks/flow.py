# SPDX-License-Identifier: Apache-2.0
"""The flow network: what moves in a photo and which way, from the photo and the user's hints.

A residual U-Net of plain layers (Conv, BatchNorm, ReLU, Add, AveragePool, Resize by 2, one global mean),
under 1.5 million weights: the labelled photos are few, and the network runs on a CPU once a photo.

Velocity is a direction times the exponential of a log-speed, since speeds span two orders of magnitude.
Where the user drew arrows, a gate chooses per pixel between their closed form (it comes with the hints)
and the network's own opinion, so the network starts as good as the closed form.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from stillflow.errors import StillflowError
from torch import Tensor, nn

CLASSES = 10
"""Classes of ``stillflow.motion.CLASS_NAMES``."""

WIDTHS = (24, 40, 64, 96, 128)
"""Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input."""


def conv_block(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """3x3 convolution, batch norm (folded on export), ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions beside an identity."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = conv_block(width, width, dilation=dilation)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to the same shape."""
        return torch.relu(x + self.second(self.first(x)))


def read_arrows(hints: Tensor) -> Tensor:
    """What the closed form makes of the user's arrows, in the terms of this network's outputs.

    Args:
        hints: (n, 6, H, W), laid out by ``stillflow.flow.hint_planes``.

    Returns:
        (n, 4, H/2, W/2): unit direction x and y, log-speed, and 1 where any arrow exists; all 0 without.
    """
    told = nn.functional.avg_pool2d(hints[:, 2:5], 2)
    exists = torch.clamp(told[:, :1] * 20.0, 0.0, 1.0)
    velocity = told[:, 1:]
    # Large enough for half precision; the slowest clouds are at 0.03 here.
    speed = torch.sqrt((velocity * velocity).sum(1, keepdim=True) + 1e-5)
    return torch.cat([velocity / speed, torch.log(speed) * exists, exists], 1)


class FlowNetwork(nn.Module):
    """Photo and hints to classes, moves, velocity and spread, at half the input's size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_block(3 + 6, WIDTHS[0], stride=2), Residual(WIDTHS[0]))
        self.down = nn.ModuleList(
            nn.Sequential(conv_block(a, b, stride=2), Residual(b)) for a, b in zip(WIDTHS, WIDTHS[1:], strict=False)
        )
        deep = WIDTHS[-1]
        self.context = nn.Sequential(Residual(deep, dilation=2), nn.Dropout2d(0.1), Residual(deep))
        self.whole = nn.Sequential(nn.Conv2d(deep, deep, 1), nn.ReLU(inplace=True), nn.Conv2d(deep, deep, 1))
        self.lateral = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in zip(WIDTHS, WIDTHS[1:], strict=False))
        self.up = nn.ModuleList([conv_block(WIDTHS[0], 32), *(Residual(a) for a in WIDTHS[1:-1])])
        self.heads = nn.Conv2d(32, CLASSES + 1 + 2 + 1 + 1 + 1, 3, padding=1)

    def opinions(self, photo: Tensor, hints: Tensor) -> tuple[Tensor, ...]:
        """Return classes, moves, direction (n, 2, h, w; any length), log-speed and spread, each at half size."""
        told = read_arrows(hints)
        x = self.stem(torch.cat([photo - 0.5, hints], 1))
        skips = []
        for stage in self.down:
            skips.append(x)
            x = stage(x)
        x = self.context(x)
        x = x + self.whole(x.mean((2, 3), keepdim=True))
        for lateral, up, skip in zip(reversed(self.lateral), reversed(self.up), reversed(skips), strict=True):
            x = up(skip + nn.functional.interpolate(lateral(x), scale_factor=2.0, mode="nearest"))
        out = self.heads(x)
        follow = torch.sigmoid(out[:, 15:16] + 2.0) * told[:, 3:4]
        # The arrows' direction has length 2, as a sure one of the network: rounding does not turn it.
        direction = out[:, 11:13] + follow * (2.0 * told[:, 0:2] - out[:, 11:13])
        log_speed = out[:, 13:14] - 1.5
        log_speed = log_speed + follow * (told[:, 2:3] - log_speed)
        return out[:, :CLASSES], out[:, CLASSES : CLASSES + 1], direction, log_speed, out[:, 14:15]

    def forward(self, photo: Tensor, hints: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Run the network.

        Args:
            photo: (n, 3, H, W) RGB 0..1, H and W multiples of 32.
            hints: (n, 6, H, W), laid out by ``stillflow.flow.hint_planes``.

        Returns:
            classes (n, 10, H/2, W/2) logits; moves (n, 1, H/2, W/2) logit; velocity (n, 2, H/2, W/2)
            widths a second times 10; spread (n, 1, H/2, W/2), log of the velocity's expected error.
        """
        classes, moves, direction, log_speed, spread = self.opinions(photo, hints)
        return classes, moves, join_velocity(direction, log_speed), spread


def join_velocity(direction: Tensor, log_speed: Tensor) -> Tensor:
    """Velocity from a direction of any length and the log of the speed (0.0025..7.4 in tenths of a width).

    A direction much shorter than 0.1 is no direction: the velocity shrinks with it.
    """
    length = torch.sqrt((direction * direction).sum(1, keepdim=True) + 0.01)
    return direction / length * torch.exp(torch.clamp(log_speed, -6.0, 2.0))


def build_flow_network() -> FlowNetwork:
    """Return an untrained flow network."""
    return FlowNetwork()


def load_flow_network(weights: str | Path) -> FlowNetwork:
    """Return the flow network with trained weights (safetensors), in eval mode.

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
