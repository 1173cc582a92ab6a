# SPDX-License-Identifier: Apache-2.0
"""The flow network: shapes at any size, what hints do to it, and weights that are not its own."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="export needs the extra: pip install 'stillflow[export]'")

from safetensors.torch import save_file  # noqa: E402

from stillflow.errors import StillflowError  # noqa: E402
from stillflow_export.networks.flow import (  # noqa: E402
    AROUND,
    BASE,
    COLOURS,
    LOCAL,
    FlowNetwork,
    build_flow_network,
    join_velocity,
    load_flow_network,
)


@pytest.fixture(scope="module")
def network() -> FlowNetwork:
    torch.manual_seed(1)
    return build_flow_network().eval()


@pytest.mark.parametrize("size", [(32, 32), (64, 160), (192, 96)])
def test_outputs_have_half_the_size(network: FlowNetwork, size: tuple[int, int]) -> None:
    with torch.no_grad():
        out = network(torch.rand(2, 3, *size), torch.zeros(2, 6, *size))
    half = (size[0] // 2, size[1] // 2)
    assert [tuple(o.shape) for o in out] == [(2, channels, *half) for channels in (10, 1, 2, 1)]
    assert all(bool(torch.isfinite(o).all()) for o in out)


def test_measures_have_the_channels_they_say_and_see_up_and_down(network: FlowNetwork) -> None:
    photo = torch.zeros(1, 3, 128, 64)
    photo[:, :, :32] = 1.0
    row = torch.linspace(0, 1, 128)[None, None, :, None].expand(1, 1, 128, 64)
    place, line, whole = network.measures(photo, row)
    assert (place.shape[1], line.shape[1], whole.shape[1]) == (LOCAL, AROUND, BASE + COLOURS)
    # Luma of what is above and below, 48 pixels away: the white quarter lies above the picture's middle.
    above = place[0, 4 * BASE + COLOURS]
    below = place[0, 4 * BASE + COLOURS + AROUND]
    assert above[16, 8] > 0.4 > below[16, 8]


def test_arrows_are_followed_and_masks_outweigh(network: FlowNetwork) -> None:
    photo = torch.rand(1, 3, 64, 64)
    hints = torch.zeros(1, 6, 64, 64)
    with torch.no_grad():
        free = network(photo, hints)
        hints[:, 0] = 1
        hints[:, 1, :, 32:] = 1
        hints[:, 2] = 0.1
        hints[:, 3] = 0.7
        guided = network(photo, hints)
    assert torch.allclose(guided[2][:, 0], torch.full((1, 32, 32), 0.7), atol=1e-4)
    assert torch.allclose(guided[2][:, 1], torch.zeros(1, 32, 32), atol=1e-4)
    assert bool((guided[1][..., 16:] > free[1][..., 16:] + 7).all())
    assert bool((guided[1][..., :16] < free[1][..., :16] - 7).all())
    assert torch.equal(guided[0], free[0])


def test_velocity_is_direction_times_speed_and_small_without_a_direction() -> None:
    direction = torch.tensor([[3.0, 4.0]])[:, :, None, None]
    velocity = join_velocity(direction, torch.full((1, 1, 1, 1), -1.0))
    assert torch.allclose(
        velocity.flatten(), torch.exp(torch.tensor(-1.0)) * torch.tensor([0.6, 0.8]), rtol=1e-3
    )
    assert float(join_velocity(direction * 0.0, torch.zeros(1, 1, 1, 1)).abs().max()) == 0.0


def test_weights_return_the_same_network(network: FlowNetwork, tmp_path: Path) -> None:
    path = tmp_path / "flow.safetensors"
    save_file(network.state_dict(), path)
    loaded = load_flow_network(path)
    photo, hints = torch.rand(1, 3, 32, 64), torch.zeros(1, 6, 32, 64)
    with torch.no_grad():
        assert all(
            torch.equal(a, b) for a, b in zip(network(photo, hints), loaded(photo, hints), strict=True)
        )


def test_other_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StillflowError, match="no such file"):
        load_flow_network(tmp_path / "missing.safetensors")
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(StillflowError, match="not those of this version"):
        load_flow_network(path)


def test_shipped_weights_load(source_tree: Path) -> None:
    path = source_tree / "training" / "weights" / "flow.safetensors"
    network = load_flow_network(path)
    assert all(bool(torch.isfinite(v).all()) for v in network.state_dict().values())
    assert not network.training
