# SPDX-License-Identifier: Apache-2.0
"""The picture's plane: positions, gathers, traces, and the velocity that moves a pattern uniformly.

Positions and velocities are in picture widths, x right and y down. A steady flow is told by *material
coordinates* m(p): the pattern seen at p at time t is the texture at m(p) - e(p) t, with a drift e that is constant
along each stream line. Then the flow's velocity is v = J⁻¹ e with J the Jacobian of m, and the true picture is
known at any time, without following a single particle.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

DOUBLINGS = 4
"""A trace is one midpoint step over time/16 and four doublings, as in ``stillflow.kernels.reference``."""

FASTEST = 1.5
"""Widths a second; near a horizon J has no inverse, and what is computed there is cut to this."""


def positions(height: int, width: int, device: torch.device) -> Tensor:
    """Centres of all pixels in picture widths, (2, h, w): x 0..1, y 0..h/w."""
    y, x = torch.meshgrid(
        (torch.arange(height, device=device) + 0.5) / width,
        (torch.arange(width, device=device) + 0.5) / width,
        indexing="ij",
    )
    return torch.stack([x, y])


def gather(image: Tensor, at: Tensor, mode: str = "bilinear") -> Tensor:
    """Read images (n, c, h, w) at positions (n, 2, h', w') in picture widths, clamped at the border."""
    height, width = image.shape[2:]
    x = at[:, 0] * 2 - 1
    y = at[:, 1] * (2 * width / height) - 1
    return functional.grid_sample(
        image, torch.stack([x, y], -1), mode=mode, padding_mode="border", align_corners=False
    )


def trace(velocity: Tensor, seconds: Tensor) -> Tensor:
    """Follow a steady velocity from every pixel for some time.

    Args:
        velocity: (n, 2, h, w) widths a second.
        seconds: (n,), may be negative.

    Returns:
        (n, 2, h, w) displacement in widths.
    """
    xy = positions(*velocity.shape[2:], velocity.device)
    step = (seconds / 2**DOUBLINGS)[:, None, None, None]
    d = gather(velocity, xy + velocity * (step / 2)) * step
    for _ in range(DOUBLINGS):
        d = d + gather(d, xy + d)
    return d


def slopes(values: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of (..., h, w) along x and y, per picture width."""
    y, x = torch.gradient(values, dim=(-2, -1))
    width = values.shape[-1]
    return x * width, y * width


def uniform_velocity(material: Tensor, drift: Tensor) -> Tensor:
    """Velocity under which material coordinates move with their drift: J⁻¹ e.

    Args:
        material: (n, 2, h, w).
        drift: (n, 2, h, w), or broadcast to it; a second.

    Returns:
        (n, 2, h, w) widths a second, at most ``FASTEST``.
    """
    ax, ay = slopes(material[:, 0])
    bx, by = slopes(material[:, 1])
    determinant = ax * by - ay * bx
    sign = torch.where(determinant < 0, -1.0, 1.0)
    inverse = sign / determinant.abs().clamp_min(1e-4)
    drift = drift.expand_as(material)
    x = (by * drift[:, 0] - ay * drift[:, 1]) * inverse
    y = (ax * drift[:, 1] - bx * drift[:, 0]) * inverse
    velocity = torch.stack([x, y], 1)
    length = velocity.square().sum(1, keepdim=True).sqrt()
    return velocity * (FASTEST / length.clamp_min(FASTEST))


def level_of(material: Tensor, size: int) -> Tensor:
    """Pyramid level at which a texture of ``size`` samples a unit is neither coarse nor aliased, (n, h, w)."""
    ax, ay = slopes(material[:, 0])
    bx, by = slopes(material[:, 1])
    pixel = size / material.shape[-1]
    wide = torch.sqrt(torch.maximum(ax * ax + bx * bx, ay * ay + by * by)) * pixel
    narrow = torch.sqrt(torch.minimum(ax * ax + bx * bx, ay * ay + by * by)) * pixel
    # Between the long and the short side of a pixel's footprint: all long would blur, all short flicker.
    return (0.65 * torch.log2(wide.clamp_min(1e-3)) + 0.35 * torch.log2(narrow.clamp_min(1e-3))).clamp_min(0)


def smoothstep(x: Tensor) -> Tensor:
    """0 below 0, 1 above 1, smooth between."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def blur(maps: Tensor, sigma: float) -> Tensor:
    """Gaussian mean of (n, c, h, w), border repeated."""
    radius = max(1, round(3 * sigma))
    taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=maps.device) / sigma) ** 2)
    taps = (taps / taps.sum()).to(maps.dtype)
    n, c, h, w = maps.shape
    flat = maps.reshape(n * c, 1, h, w)
    flat = functional.conv2d(
        functional.pad(flat, (radius, radius, 0, 0), mode="replicate"), taps[None, None, None]
    )
    flat = functional.conv2d(
        functional.pad(flat, (0, 0, radius, radius), mode="replicate"), taps[None, None, :, None]
    )
    return flat.reshape(n, c, h, w)
