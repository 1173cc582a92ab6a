# SPDX-License-Identifier: Apache-2.0
"""``--velocity``, ``--context`` and ``--precision``: motion fields from elsewhere, and bundles of other generators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A field of 24x32 whose lower right quarter drifts to the right."""
    found = np.zeros((24, 32, 2), np.float32)
    found[12:, 16:, 0] = 0.5
    np.save(tmp_path / "v.npy", found)
    return tmp_path / "v.npy"


def test_what_cannot_be_used_is_refused(
    photo_file: Path, path: Path, stillflow: Callable, tmp_path: Path
) -> None:
    out = tmp_path / "loop.gif"
    short = ("--velocity", path, "--seconds", 0.4, "--fps", 10)
    stillflow("animate", photo_file, "-o", out, *short, "--arrow", "0,0,1,1").refused("--velocity")
    stillflow("animate", photo_file, "-o", out, *short, "--futures", 2).refused("futures of one velocity")
    stillflow("animate", photo_file, "-o", out, "--velocity", photo_file).refused("photo.png", ".flo")
    stillflow("animate", photo_file, "-o", out, "--context", path).refused("v.npy", "CLIP")
    assert not out.exists()


def test_the_program_plays_a_velocity(
    source_tree: Path, photo_file: Path, path: Path, stillflow: Callable, tmp_path: Path
) -> None:
    golden = source_tree / "tests" / "data" / "bundles" / "golden-1.1"
    common = (photo_file, "--velocity", path, "--bundle", golden, "--precision", "fp32")
    out = tmp_path / "loop.gif"
    ended = stillflow("animate", *common, "-o", out, "--seconds", 0.4, "--fps", 10, "--json")
    assert ended.code == 0, ended.err
    assert ended.summary["runs"]["plate"] == "decoder"
    assert ended.summary["moving_share"] == pytest.approx(0.25, abs=0.03)
    assert stillflow("assess", *common).code == 0
    assert stillflow("motion", *common, "-o", tmp_path / "motion.npz").code == 0


def test_a_field_too_fast_for_a_cross_fade_is_slowed_with_a_warning(
    photo_file: Path, stillflow: Callable, tmp_path: Path
) -> None:
    for speed, warned in ((0.2, 0), (40.0, 1)):
        field, out = tmp_path / "field.npy", tmp_path / f"{warned}.gif"
        np.save(field, np.full((36, 64, 2), (0, speed), np.float32))
        common = (
            "--velocity",
            field,
            "-o",
            out,
            "--seconds",
            1,
            "--fps",
            10,
            "--size",
            160,
            "--force",
            "--json",
        )
        ended = stillflow("animate", photo_file, *common)
        assert ended.code == 0, ended.err
        said = [line for line in ended.summary["warnings"] if "velocity field is played at" in line]
        assert len(said) == warned and (ended.summary["speed_scale"] < 1) == bool(warned)
