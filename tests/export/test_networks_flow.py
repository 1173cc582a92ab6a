# SPDX-License-Identifier: Apache-2.0
"""The flow network: shapes at any size, what hints do to it, and weights that are not its own."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="export needs the extra: pip install 'stillflow[export]'")

from safetensors.torch import save_file  # noqa: E402

from stillflow.errors import StillflowError  # noqa: E402
from stillflow_export.graphs import FLOW_OUTPUTS  # noqa: E402
from stillflow_export.networks.flow import (  # noqa: E402
    FlowNetwork,
    build_flow_network,
    load_flow_network,
)


@pytest.fixture(scope="module")
def network() -> FlowNetwork:
    torch.manual_seed(1)
    return build_flow_network().eval()


@pytest.mark.parametrize("size", [(32, 32), (64, 160), (192, 96)])
def test_outputs_are_those_that_the_manifest_describes(network: FlowNetwork, size: tuple[int, int]) -> None:
    with torch.no_grad():
        out = network(torch.rand(2, 3, *size), torch.zeros(2, 6, *size))
    known = {"height/2": size[0] // 2, "width/2": size[1] // 2}
    assert [tuple(o.shape[1:]) for o in out] == [
        tuple(known.get(str(n), n) for n in tensor.shape[1:]) for tensor in FLOW_OUTPUTS
    ]
    assert all(bool(torch.isfinite(o).all()) for o in out)


def test_masks_outweigh(network: FlowNetwork) -> None:
    photo = torch.rand(1, 3, 64, 64)
    hints = torch.zeros(1, 6, 64, 64)
    with torch.no_grad():
        free = network(photo, hints)
        hints[:, 0] = 1
        hints[:, 1, :, 32:] = 1
        guided = network(photo, hints)
    assert bool((guided[1][..., 18:] > free[1][..., 18:] + 11).all())
    assert bool((guided[1][..., :14] < free[1][..., :14] - 11).all())
    assert torch.equal(guided[0], free[0])
    assert torch.equal(guided[5], free[5])


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
    assert all(v.dtype == torch.float32 for v in network.parameters())
    assert not network.training
