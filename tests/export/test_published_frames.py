# SPDX-License-Identifier: Apache-2.0
"""From a published checkpoint to finished frames: imported, folded and thrown, against the formulas as written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="export needs the extra: pip install 'stillflow[export]'")

from stillflow.features.feature_scene import build_feature_scene  # noqa: E402
from stillflow.features.networks import FeatureNetworks  # noqa: E402
from stillflow.features.tiles import TiledGraph  # noqa: E402
from stillflow.photo import Photo  # noqa: E402
from stillflow_export.checkpoints.importer import import_checkpoint  # noqa: E402
from stillflow_export.load import load_trained  # noqa: E402

from ..runtime.features import naive  # noqa: E402
from ..runtime.features.generators import as_run  # noqa: E402
from ..runtime.scenes import textured  # noqa: E402
from . import published_reference as published  # noqa: E402
from .published_checkpoints import Tensors, random_checkpoint  # noqa: E402

FRAMES, WIDTH = 60, 4
HEIGHT, COLUMNS = 32, 44


def imported(
    family: str, source: str, folder: Path, options: dict[str, Any] | None = None
) -> tuple[Tensors, FeatureNetworks]:
    """The tensors of a random checkpoint as it was published, and the networks that a scene has of it."""
    path, tensors = random_checkpoint(family, folder, WIDTH, source=source, options=options)
    (made,) = import_checkpoint(path, folder / "weights")
    trained = load_trained(made.weights)
    graphs = {
        plan.name: TiledGraph(
            as_run(plan.network, tuple(t.name for t in plan.outputs)), plan.multiple, plan.halo, 1 << 40
        )
        for plan in trained.plans
    }
    layers = None
    if family == "layered":
        layers = (graphs["background"], graphs["alpha_encoder"], graphs["alpha_decoder"])
    loop = trained.loop
    assert loop["rule"] == "symmetric_splat"
    networks = FeatureNetworks(
        encoder=graphs["encoder"],
        decoder=graphs["decoder"],
        layers=layers,
        multiple=4,
        weight_floor=loop.get("weight_floor"),
        edge_share=loop.get("edge_share", 0.0),
        memory=1 << 28,
        alpha_weight=loop.get("alpha_weight", "share"),
    )
    return tensors, networks


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def run(network, *arrays: np.ndarray | str) -> list[np.ndarray]:
    """A network of the published formulas, in torch, on arrays without a batch."""
    tensors, *words = arrays
    with torch.no_grad():
        given = [torch.from_numpy(w[None]) if isinstance(w, np.ndarray) else w for w in words]
        return [made[0].numpy() for made in network(tensors, *given)]


@pytest.mark.parametrize("source", ["slr", "t2c"])
def test_frames_of_a_generator(source: str, tmp_path: Path) -> None:
    tensors, networks = imported("generator", source, tmp_path)
    photo = textured(HEIGHT, COLUMNS)
    velocity = np.random.default_rng(1).normal(0.1, 0.3, (HEIGHT, COLUMNS, 2)).astype(np.float32)
    scene = build_feature_scene(Photo.from_array(photo), velocity, networks, seconds=2, fps=30)
    planar = photo.astype(np.float32).transpose(2, 0, 1) / 127.5 - 1
    features, z = run(published.encode, tensors, planar)
    for t in (0, 15, 30, 45, 59) if source == "slr" else (30,):
        landed = naive.warped(features, z[0], velocity, t, FRAMES)
        frame, _ = run(published.decode, tensors, landed)
        assert np.abs(scene.decoded(t) - np.tanh(frame).transpose(1, 2, 0)).max() <= 2e-5, t


@pytest.mark.parametrize("by_share", [True, False])
def test_frames_of_a_layered_generator(by_share: bool, tmp_path: Path) -> None:
    options = {"use_alpha0_as_blending_weight": by_share}
    tensors, networks = imported("layered", "slr", tmp_path, options)
    assert networks.edge_share == pytest.approx(1 / 600)
    photo = textured(HEIGHT, COLUMNS, 2)
    velocity = np.random.default_rng(1).normal(0.1, 0.3, (HEIGHT, COLUMNS, 2)).astype(np.float32)
    scene = build_feature_scene(Photo.from_array(photo), velocity, networks, seconds=2, fps=30)
    planar = photo.astype(np.float32).transpose(2, 0, 1) / 127.5 - 1
    features, z = run(published.encode, tensors, planar)
    (ab,), (af,) = run(published.encode, tensors, planar, "net_alpha_encoder")
    with torch.no_grad():
        background = published.background(tensors, torch.from_numpy(planar[None]))[0].numpy()
    standing = sigmoid(ab)
    weight = np.exp(z[0].astype(np.float64) - z.max())
    own = np.exp(sigmoid(af) / np.maximum(sigmoid(af) + standing, 1e-8)) if by_share else weight
    values = np.concatenate([features * weight, (af * own)[None], own[None], weight[None]])
    for t in (0, 31, 59) if by_share else (31,):
        sums = naive.both_ways(values, velocity, t, FRAMES, 1 / 600)
        landed = (sums[:-3] / np.maximum(sums[-1], 1e-8)).astype(np.float32)
        fluid_logit = (sums[-3] / np.maximum(sums[-2], 1e-8)).astype(np.float32)
        fluid, _ = run(published.decode, tensors, landed)
        both = np.concatenate([landed, fluid_logit[None]])
        alpha = sigmoid(run(published.decode, tensors, both, "net_alpha_decoder")[0])
        mixed = alpha * np.tanh(fluid) + standing * background
        expected = mixed / np.maximum(alpha + standing, 1e-8)
        assert np.abs(scene.decoded(t) - expected.transpose(1, 2, 0)).max() <= 2e-5, t
