# SPDX-License-Identifier: Apache-2.0
"""The class network: it sees the whole picture, and edges whatever their brightness."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="export needs the extra: pip install 'stillflow[export]'")

from stillflow_export.networks.classes import EDGES, ClassNetwork, edge_energy  # noqa: E402


def test_the_whole_picture_is_seen() -> None:
    torch.manual_seed(1)
    network = ClassNetwork().eval()
    # What happens at one end of a picture reaches the other, by way of the mean over it.
    photo = torch.rand(1, 3, 64, 512)
    other = photo.clone()
    other[..., 480:] = 0
    row = torch.zeros(1, 1, 64, 512)
    with torch.no_grad():
        first, second = network(photo, row), network(other, row)
    assert float((first[0][..., :8] - second[0][..., :8]).abs().max()) > 0


def test_edge_energy_hardly_depends_on_brightness_and_tells_directions_apart() -> None:
    filters = ClassNetwork().edges
    stripes = 0.5 + 0.4 * torch.sin(torch.arange(64) * 1.2)
    across = stripes[None, None, None].expand(1, 3, 64, 64)
    along = across.transpose(2, 3)
    bright, dark = edge_energy(across, filters), edge_energy(across * 0.5, filters)
    assert bright.shape == (1, EDGES, 16, 16)
    inner = (..., slice(2, -2), slice(2, -2))
    assert float((bright[inner] - dark[inner]).abs().max()) < 0.4 * 0.7 + 0.05  # log 2 times the scale
    turned = edge_energy(along, filters)
    assert float(bright[inner][:, 0].mean() - turned[inner][:, 0].mean()) > 0.5
    assert float(turned[inner][:, 1].mean() - bright[inner][:, 1].mean()) > 0.5
