# SPDX-License-Identifier: Apache-2.0
"""A scene made in C is the one that Python makes of the same photo and motion, and plays the same frames."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from stillflow.generator import generator_from
from stillflow.kernels.arrays import SceneArrays
from stillflow.motion import Motion
from stillflow.photo import Photo
from stillflow.scene import Scene, build_scene

from ..raster.pictures import plain_opencv
from .calls import Run, build

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
NETWORK = {"plate": "network", "blend": "network"}
PSNR_LEAST = 45.0
"""dB of every frame; what was measured is in each test's own limits."""


@dataclass(frozen=True)
class Case:
    """A photo, its motion and what the generator says of it."""

    photo: Photo
    motion: Motion
    run: Run


@pytest.fixture(scope="module", params=["waterfall", "smoke"])
def case(request: pytest.FixtureRequest) -> Case:
    if importlib.util.find_spec("stillflow_engines") is None:
        pytest.fail("the package stillflow_engines is not installed: run make test")
    from stillflow.animator import Animator
    from stillflow_engines import bundle_path

    animator = Animator(bundle_path("edge"), device="cpu")
    photo = animator_photo(SAMPLES / f"{request.param}.jpg")
    return Case(photo, animator.motion(photo), animator.session("generator").run)


def animator_photo(path: Path) -> Photo:
    """A sample at 400 pixels."""
    from stillflow.photo import load_photo

    return load_photo(path).fitted(400)


def by_python(case: Case, outputs: dict[str, str] | None = None) -> SceneArrays:
    with plain_opencv():
        generator = generator_from(case.run) if outputs else None
        return build_scene(case.photo, case.motion, generator=generator, outputs=outputs).arrays


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = float(((a.astype(np.float64) - b) ** 2).mean())
    return np.inf if error == 0 else 10 * np.log10(255**2 / error)


def assert_alike(found: SceneArrays, expected: SceneArrays) -> None:
    for name in ("matte", "flow", "cycles"):
        differing = getattr(found, name) != getattr(expected, name)
        assert differing.mean() < 1e-4, name
    assert (found.plate != expected.plate).mean() < 1e-3
    for name in ("velocity", "inside", "sway", "light", "low"):
        a, b = getattr(found, name), getattr(expected, name)
        assert a.shape == b.shape, name
        if a.size:
            assert (np.abs(a - b) > 2e-3).mean() < 1e-3, name
    assert found.sway_periods.tolist() == expected.sway_periods.tolist()
    assert found.light_periods.tolist() == expected.light_periods.tolist()


def test_arrays_and_frames_are_those_of_python(case: Case) -> None:
    status, found, why = build(case.photo, case.motion, case.run)
    assert status == 0, why
    assert found is not None
    expected = by_python(case, NETWORK)
    assert_alike(found, expected)
    ours, theirs = Scene(found, 30.0), Scene(expected, 30.0)
    assert ours.frames == theirs.frames
    for t in (7.0, 31.5, 77.0):
        assert psnr(ours.frame(t), theirs.frame(t)) >= PSNR_LEAST
