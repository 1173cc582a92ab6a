# SPDX-License-Identifier: Apache-2.0
"""What is constant at inference is worked out once, in float64: spectral norms and stored statistics."""

from __future__ import annotations

import torch
from torch import Tensor

EPS = 1e-5
"""Added to every stored variance, as in all published blocks."""


def spectral_weight(original: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """A weight divided by its spectral norm as the file has it: sigma = u . (W v).

    ``u`` and ``v`` are taken as they are. They need not have converged, and training ran with what they say: the
    largest singular value is another number (1.29 against 1e-6 on a random network).

    Args:
        original: (out, ...).
        u: (out,).
        v: (the rest,).

    Returns:
        float64, of the shape of ``original``.
    """
    original, u, v = original.double(), u.double(), v.double()
    return original / torch.dot(u, original.flatten(1) @ v)


def scale_and_shift(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """``(x - mean) / sqrt(variance + EPS)`` as ``x * scale + shift``, float64."""
    scale = (variance.double() + EPS).rsqrt()
    return scale, -mean.double() * scale


def after_convolution(weight: Tensor, bias: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution with a scale and a shift behind it, float64.

    Also right for a partial convolution: its renormalisation multiplies what the weight gave, before the bias, and
    where it masks its output the next partial convolution masks again.
    """
    return weight * scale[:, None, None, None], bias * scale + shift
