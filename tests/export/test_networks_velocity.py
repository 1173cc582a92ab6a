# SPDX-License-Identifier: Apache-2.0
"""The velocity network: what its output means, and what it makes of the arrows' strength."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="export needs the extra: pip install 'stillflow[export]'")

from stillflow_export.networks.velocity import (  # noqa: E402
    LOG_SPEED,
    OUTPUTS,
    VelocityNetwork,
    velocity_of,
)


def test_velocity_is_direction_times_speed_and_small_without_a_direction() -> None:
    out = torch.zeros(1, OUTPUTS, 1, 1)
    out[0, :3, 0, 0] = torch.tensor([3.0, 4.0, 1.0])
    expected = torch.exp(torch.tensor(1.0 - LOG_SPEED)) * torch.tensor([0.6, 0.8])
    assert torch.allclose(velocity_of(out).flatten(), expected, rtol=1e-3)
    out[0, :2] = 0
    assert float(velocity_of(out).abs().max()) == 0.0


def test_an_arrows_speed_is_told_apart_from_its_direction() -> None:
    torch.manual_seed(2)
    network = VelocityNetwork().eval()
    torch.nn.init.normal_(network.heads.weight, std=0.1)
    photo, classes = torch.rand(1, 3, 32, 64), torch.softmax(torch.randn(1, 10, 8, 16), 1)
    hints = torch.zeros(1, 6, 32, 64)
    hints[:, 2], hints[:, 3] = 0.1, 0.5
    faster = hints.clone()
    faster[:, 3:5] *= 4
    turned = hints.clone()
    turned[:, 3], turned[:, 4] = 0, 0.5
    with torch.no_grad():
        out, quick, other = (network(photo, classes, h) for h in (hints, faster, turned))
    assert float((out - quick).abs().max()) > 1e-4
    assert float((out - other).abs().max()) > 1e-4
