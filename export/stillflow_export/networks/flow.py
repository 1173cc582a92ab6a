# SPDX-License-Identifier: Apache-2.0
"""The flow network: what moves in a photo and which way, from the photo and the user's hints.

Fixed measures of the surface (colours, edges at three scales, their means over ever wider surroundings,
over the row and over the whole picture), then three learned 1x1 convolutions at a quarter of the input.
With 183 labelled photos this learns more than a convolutional pyramid: its training shuffles single
places of all photos, where a pyramid sees eight whole photos a step. Plain layers only (Conv, AveragePool,
ReduceMean, Abs, Log, Resize by 2 and 4), 54,000 weights.

Velocity is a direction times the exponential of a log-speed, since speeds span two orders of magnitude.
Where the user drew arrows, the velocity is their closed form, which comes with the hints; where a mask or
a still map speaks, it outweighs the network's opinion of what moves.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from stillflow.errors import StillflowError

CLASSES = 10
"""Classes of ``stillflow.motion.CLASS_NAMES``."""

STRIDE = 4
"""The network's own grid is this many times coarser than its input."""

COLOURS, EDGES = 7, 15
"""Channels of the two measures at a place: colours, and five edge filters at three scales."""

BASE = COLOURS + EDGES

AROUND = 12
"""Channels of the base that are also measured above, below and along the row: colours and finest edges."""

LOCAL = 4 * BASE + COLOURS + 2 * AROUND + 1
"""Channels at a place: base and three surroundings, unrest of the colours, above, below, height in the picture."""

HIDDEN = 160

OUTPUTS = CLASSES + 1 + 2 + 1 + 1
"""Classes, moves, direction, log-speed, spread."""

MASK_WEIGHT = 8.0
"""Logits that the user's mask adds to moves."""


def _mean_around(x: Tensor, size: int) -> Tensor:
    """Mean over a square of odd size; at the border over the part of it inside."""
    return functional.avg_pool2d(x, size, 1, size // 2, count_include_pad=False)


def _mean_of_all(x: Tensor) -> Tensor:
    """Mean over the whole picture, in two steps; both sides are multiples of 8.

    Engines add up in float32: one running sum over 70,000 places is off by 1e-6, and the logarithm of the
    edges of a foggy sky makes 2e-4 of it in the logits. Sums of 64, then of 1,000, keep it at 5e-6.
    """
    return functional.avg_pool2d(x, 8).mean((2, 3), keepdim=True)


def _grow(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=4.0, mode="bilinear", align_corners=False)


class SurfaceMeasures(nn.Module):
    """What a photo's surface is like, place by place; nothing here is learned."""

    edges: Tensor
    shifts: Tensor

    def __init__(self) -> None:
        super().__init__()
        filters = torch.tensor(
            [
                [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
                [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
                [[0, 2, 0], [2, -8, 2], [0, 2, 0]],
                [[-2, -1, 0], [-1, 0, 1], [0, 1, 2]],
                [[0, -1, -2], [1, 0, -1], [2, 1, 0]],
            ],
            dtype=torch.float32,
        )
        self.register_buffer("edges", filters[:, None] / 8, persistent=False)
        # Two column filters that fetch the place three rows up and three rows down.
        shifts = torch.zeros(2, AROUND, 1, 7, 1)
        shifts[0, :, 0, 0], shifts[1, :, 0, 6] = 1, 1
        self.register_buffer("shifts", shifts, persistent=False)

    def forward(self, photo: Tensor, row: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Measure.

        Args:
            photo: (n, 3, H, W) RGB 0..1, H and W multiples of 32.
            row: (n, 1, H, W), 0 at the top to 1 at the bottom.

        Returns:
            per place (n, LOCAL, H/4, W/4), per row (n, AROUND, H/4, 1), of the whole (n, BASE + COLOURS, 1, 1).
        """
        red, green, blue = photo[:, 0:1], photo[:, 1:2], photo[:, 2:3]
        luma = 0.3 * red + 0.6 * green + 0.1 * blue
        spread = 0.5 * ((red - green).abs() + (green - blue).abs() + (blue - red).abs())
        chroma = 3.0 * photo / (red + green + blue + 0.1)
        colours = torch.cat([luma, red - green, blue - 0.5 * (red + green), spread, chroma], 1)
        colours = functional.avg_pool2d(colours, STRIDE)
        parts = [colours]
        # Edges against the mean, so that the zeros beyond the border are not dark.
        level = luma - _mean_of_all(luma)
        for pool in (4, 2, 1):
            edges = functional.conv2d(level, self.edges, padding=1).abs()
            parts.append(torch.log(functional.avg_pool2d(edges, pool) + 0.003))
            level = functional.avg_pool2d(level, 2)
        base = torch.cat(parts, 1)
        coarse = functional.avg_pool2d(base, 4)
        near = _mean_around(coarse, 3)
        unrest = _mean_around((colours - _mean_around(colours, 9)).abs(), 9)
        around = near[:, :AROUND]
        above, below = (
            _grow(functional.conv2d(around, s, padding=(3, 0), groups=AROUND)) for s in self.shifts
        )
        local = [
            base,
            _mean_around(base, 3),
            _grow(near),
            _grow(_mean_around(coarse, 7)),
            unrest,
            above,
            below,
        ]
        whole = _mean_of_all(base)
        variety = _mean_of_all((colours - whole[:, :COLOURS]).abs())
        return (
            torch.cat([*local, functional.avg_pool2d(row, STRIDE)], 1),
            base[:, :AROUND].mean(3, keepdim=True),
            torch.cat([whole, variety], 1),
        )


class FlowNetwork(nn.Module):
    """Photo and hints to classes, moves, velocity and spread, at half the input's size."""

    centre: Tensor
    scale: Tensor

    def __init__(self, dropout: float = 0.4) -> None:
        super().__init__()
        self.measures = SurfaceMeasures()
        total = LOCAL + AROUND + BASE + COLOURS
        # Mean and deviation of the measures over the training photos.
        self.register_buffer("centre", torch.zeros(1, total, 1, 1))
        self.register_buffer("scale", torch.ones(1, total, 1, 1))
        self.place = nn.Conv2d(LOCAL, HIDDEN, 1)
        self.line = nn.Conv2d(AROUND, HIDDEN, 1, bias=False)
        self.whole = nn.Conv2d(BASE + COLOURS, HIDDEN, 1, bias=False)
        self.middle = nn.Conv2d(HIDDEN, HIDDEN, 1)
        self.heads = nn.Conv2d(HIDDEN, OUTPUTS, 1)
        self.dropout = nn.Dropout(dropout)

    def judge(self, place: Tensor, line: Tensor, whole: Tensor) -> Tensor:
        """Turn measures (each (n, channels, h or 1, w or 1)) into the outputs, (n, OUTPUTS, h, w)."""
        cuts = [LOCAL, AROUND, BASE + COLOURS]
        parts = zip((place, line, whole), self.centre.split(cuts, 1), self.scale.split(cuts, 1), strict=True)
        place, line, whole = ((x - centre) * scale for x, centre, scale in parts)
        x = self.dropout(torch.relu(self.place(place) + self.line(line) + self.whole(whole)))
        x = self.dropout(torch.relu(self.middle(x)))
        out: Tensor = self.heads(x)
        return out

    def forward(self, photo: Tensor, hints: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Run the network.

        Args:
            photo: (n, 3, H, W) RGB 0..1, H and W multiples of 32.
            hints: (n, 6, H, W), laid out by ``stillflow.flow.hint_planes``.

        Returns:
            classes (n, 10, H/2, W/2) logits; moves (n, 1, H/2, W/2) logit; velocity (n, 2, H/2, W/2)
            widths a second times 10; spread (n, 1, H/2, W/2), log of the velocity's expected error.
        """
        out = self.judge(*self.measures(photo, hints[:, 5:6]))
        out = functional.interpolate(out, scale_factor=2.0, mode="bilinear", align_corners=False)
        classes, moves, direction, log_speed, spread = split_outputs(out)
        told = functional.avg_pool2d(hints[:, :5], 2)
        moves = moves + MASK_WEIGHT * (2.0 * told[:, 1:2] - told[:, 0:1])
        exists = torch.clamp(told[:, 2:3] * 20.0, 0.0, 1.0)
        velocity = join_velocity(direction, log_speed)
        return classes, moves, velocity + exists * (told[:, 3:5] - velocity), spread


def split_outputs(out: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Cut (n, OUTPUTS, h, w) into classes, moves, direction, log-speed and spread."""
    return out[:, :10], out[:, 10:11], out[:, 11:13], out[:, 13:14], out[:, 14:15]


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
