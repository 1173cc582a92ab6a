# SPDX-License-Identifier: Apache-2.0
"""A scene made in C is the one that Python makes of the same photo and motion, and plays the same frames."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from stillflow.field_steps import rounded
from stillflow.generator import generator_from
from stillflow.kernels.arrays import SceneArrays
from stillflow.motion import Motion
from stillflow.photo import Photo, load_photo
from stillflow.scene import Scene, build_scene

from ..raster.pictures import plain_opencv
from .calls import Run, build
from .invented import invented_answer, invented_motion, invented_photo

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
NETWORK = {"plate": "network", "blend": "network"}
PSNR_LEAST = 45.0
"""dB of every frame: a tie that falls the other way may move a speck of a few pixels, no more."""

ERROR_ARGUMENT, ERROR_LIMIT, ERROR_ENGINE = 1, 9, 10


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
    photo = load_photo(SAMPLES / f"{request.param}.jpg").fitted(400)
    return Case(photo, animator.motion(photo), animator.session("generator").run)


def by_python(case: Case, outputs: dict[str, str] | None = None) -> SceneArrays:
    with plain_opencv():
        generator = generator_from(case.run) if outputs else None
        return build_scene(case.photo, case.motion, generator=generator, outputs=outputs).arrays


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = float(((a.astype(np.float64) - b) ** 2).mean())
    return np.inf if error == 0 else 10 * np.log10(255**2 / error)


MOST_APART = {
    "matte": 1.0,
    "flow": 0.05,
    "cycles": 0.02,
    "plate": 1.0,
    "velocity": 1e-3,
    "inside": 5e-3,
    "sway": 1e-3,
    "light": 1e-4,
    "low": 1.0,
}
"""Mean absolute difference where one pixel's side was a tie, and it went to the other one, with what follows."""

ONE_STEP = {
    "matte": 0,
    "flow": 0,
    "cycles": 0,
    "plate": 1,
    "velocity": 2e-3,
    "inside": 2e-3,
    "sway": 2e-3,
    "light": 3e-4,
    "low": 0.05,
}
"""Largest difference where no tie went to the other side."""


def apart(found: SceneArrays, expected: SceneArrays) -> bool:
    """Whether a tie went to another side; fails where more than that differs."""
    differs = False
    for name, most in MOST_APART.items():
        a, b = getattr(found, name), getattr(expected, name)
        assert a.shape == b.shape, name
        away = np.abs(a.astype(np.float64) - b)
        if away.size:
            assert away.mean() <= most, name
            differs |= bool(away.max() > ONE_STEP[name])
    for kind in ("velocity", "inside", "sway", "light"):
        values = getattr(found, kind)
        assert np.array_equal(rounded(kind, values, found.frames), values), f"{kind} is not on its steps"
    assert found.sway_periods.tolist() == expected.sway_periods.tolist()
    assert found.light_periods.tolist() == expected.light_periods.tolist()
    return differs


def test_arrays_and_frames_are_those_of_python(case: Case) -> None:
    status, found, why = build(case.photo, case.motion, case.run)
    assert status == 0, why
    assert found is not None
    expected = by_python(case, NETWORK)
    apart(found, expected)
    ours, theirs = Scene(found, 30.0), Scene(expected, 30.0)
    assert ours.frames == theirs.frames
    for t in (7.0, 31.5, 77.0):
        assert psnr(ours.frame(t), theirs.frame(t)) >= PSNR_LEAST


TONES = ("colours", "gray", "sepia")
OUTPUTS: tuple[dict[str, str], ...] = ({}, {"plate": "network"}, {"blend": "network"}, NETWORK)


def test_any_motion_of_any_photo() -> None:
    """Logarithms and sums differ in their last bits from processor to processor, so a few ties may fall apart."""
    cases = 24
    ties = 0
    for seed in range(cases):
        rng = np.random.default_rng(seed)
        # Some are as wide as pictures are whose ramps are many pixels long.
        size = (int(rng.integers(16, 150)), 1280 if seed % 6 == 5 else int(rng.integers(16, 150)))
        photo = invented_photo(rng, *size, TONES[seed % len(TONES)])
        case = Case(photo, invented_motion(rng, *size), invented_answer)
        outputs = OUTPUTS[seed % len(OUTPUTS)]
        status, found, why = build(
            case.photo,
            case.motion,
            case.run if outputs else None,
            plate="plate" in outputs,
            blend="blend" in outputs,
        )
        assert status == 0, why
        assert found is not None
        ties += apart(found, by_python(case, outputs))
    assert ties <= cases // 6


def test_a_photo_in_which_nothing_moves() -> None:
    rng = np.random.default_rng(0)
    photo, motion = invented_photo(rng, 40, 50, "colours"), invented_motion(rng, 40, 50)
    still = replace(
        motion, matte=np.zeros_like(motion.matte), sway=motion.sway[:0], sway_hz=motion.sway_hz[:0]
    )
    still = replace(still, light=motion.light[:0], light_hz=motion.light_hz[:0])
    asked: list[object] = []
    status, found, _ = build(photo, still, lambda given: asked.append(given) or {})
    assert status == 0
    assert found is not None
    assert not asked, "the generator was asked about nothing"
    assert not found.matte.any()
    assert np.array_equal(found.plate, photo.pixels)


def small_case() -> Case:
    rng = np.random.default_rng(8)
    photo, motion = invented_photo(rng, 96, 128, "colours"), invented_motion(rng, 96, 128)
    flowing = np.ones_like(motion.classes)
    return Case(photo, replace(motion, classes=flowing), invented_answer)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"trust": np.zeros((1, 2, 32, 32))}, "plate is missing"),
        ({"plate": np.zeros((1, 3, 32, 32)), "trust": np.zeros((1, 1, 32, 32))}, "trust is of a shape"),
        ({"plate": np.zeros((2, 3, 32, 32)), "trust": np.zeros((1, 2, 32, 32))}, "plate is of a shape"),
        (
            {"plate": np.full((1, 3, 32, 32), np.nan), "trust": np.zeros((1, 2, 32, 32))},
            "plate is not finite",
        ),
    ],
)
def test_an_answer_that_is_none_is_told(answer: dict[str, np.ndarray], why: str) -> None:
    case = small_case()
    status, _, told = build(case.photo, case.motion, lambda _: answer)
    assert status == ERROR_ENGINE
    assert why in told


def test_an_older_graph_without_trust_is_not_followed() -> None:
    case = small_case()
    status, found, _ = build(case.photo, case.motion, lambda _: {"plate": np.zeros((1, 3, 32, 32))})
    assert status == 0
    assert found is not None
    assert not apart(
        found, by_python(replace(case, run=lambda _: {"plate": np.zeros((1, 3, 32, 32))}), NETWORK)
    )


@pytest.mark.parametrize(
    ("seconds", "fps"), [(0, 30), (4, 0), (np.nan, 30), (np.inf, 30), (1e5, 200), (-1, -9)]
)
def test_lengths_that_make_no_loop_are_refused(seconds: float, fps: float) -> None:
    case = small_case()
    status, _, _ = build(case.photo, case.motion, None, seconds=seconds, fps=fps)
    assert status == ERROR_ARGUMENT


def test_memory_stays_below_80_bytes_a_pixel_and_a_lower_limit_is_told() -> None:
    rng = np.random.default_rng(4)
    size = (288, 512)
    photo, motion = invented_photo(rng, *size, "colours"), invented_motion(rng, *size)
    status, _, why = build(photo, motion, invented_answer, limit=80 * size[0] * size[1])
    assert status == 0, why
    status, _, why = build(photo, motion, invented_answer, limit=20 * size[0] * size[1])
    assert status == ERROR_LIMIT
    assert "limit" in why
