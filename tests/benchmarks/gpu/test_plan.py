# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from stillflow_bench.gpu.plan import Plan, tiny_plan
from stillflow_bench.gpu.random_generator import NARROW, random_parts
from stillflow_bench.gpu.versions import gpu_versions


def test_a_tiny_plan_is_small_and_keeps_its_device() -> None:
    plan = tiny_plan(Plan(2, bundle="edge"))
    assert (plan.device, plan.bundle, plan.tiny) == (2, "edge", True)
    assert plan.size("4K") == (160, 96)
    assert Plan().size("4K") == (3840, 2160)
    assert Plan().shown("720p") == "1280x720"


def test_a_generator_that_a_pack_brought_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLFLOW_GENERATOR", str(tmp_path / "random.sfb"))
    assert Plan().imported is None
    (tmp_path / "random.sfb").write_bytes(b"")
    assert Plan().imported == tmp_path / "random.sfb"


def test_versions_are_of_what_is_there() -> None:
    assert gpu_versions()["numpy"]
    assert "" not in gpu_versions().values()


def test_random_weights_are_the_same_and_keep_activations_small() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    first, second = (random_parts(NARROW) for _ in range(2))
    photo = torch.rand((1, 3, 32, 48)) * 2 - 1
    with torch.no_grad():
        features, weight = first["encoder"](photo)
        again, _ = second["encoder"](photo)
        frame, closed = first["decoder"](features, torch.ones((1, 1, 32, 48)))
    assert torch.equal(features, again)
    assert features.shape == (1, 2 * NARROW, 32, 48)
    assert 0.05 < float(features.std()) < 50
    assert float(weight.abs().max()) < 100
    assert frame.shape == (1, 3, 32, 48)
    assert float(closed.min()) == 1
    assert float(frame.std()) > 0.01
