# SPDX-License-Identifier: Apache-2.0
"""``stillflow motion``: arrays for programs, a picture for people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stillflow.motion import CLASS_NAMES, Motion

pytestmark = pytest.mark.usefixtures("default_bundle")


def test_arrays(stillflow: Callable, photo_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "motion.npz"
    ended = stillflow("motion", photo_file, "-o", out)
    assert ended.code == 0, ended.err
    assert "% of the picture moves" in ended.out
    with np.load(out) as data:
        assert data["velocity"].shape == (24, 32, 2)
        assert data["matte"].shape == data["classes"].shape == data["confidence"].shape == (24, 32)
        assert data["classes"].dtype == np.uint8
        assert tuple(data["class_names"]) == CLASS_NAMES
    assert Motion.load(out).width == 128


def test_picture(stillflow: Callable, photo_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "motion.png"
    assert stillflow("motion", photo_file, "-o", out, "--arrow", "0.2,0.7,0.6,0.7", "--size", 64).code == 0
    assert Image.open(out).size == (64, 48)


@pytest.mark.parametrize("name", ["motion.jpg", "motion", "no/motion.npz"])
def test_bad_output(
    stillflow: Callable, photo_file: Path, tmp_path: Path, name: str, leftovers: Callable
) -> None:
    stillflow("motion", photo_file, "-o", tmp_path / name).refused(name)
    assert leftovers() == set()


def test_existing_file_needs_overwrite(stillflow: Callable, photo_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "motion.npz"
    out.write_bytes(b"precious")
    stillflow("motion", photo_file, "-o", out).refused("--overwrite")
    assert out.read_bytes() == b"precious"
    for option in ("--overwrite", "--force"):
        assert stillflow("motion", photo_file, "-o", out, option).code == 0


def test_bad_photo(
    stillflow: Callable, bad_pictures: dict[str, Path], tmp_path: Path, leftovers: Callable
) -> None:
    stillflow("motion", bad_pictures["text"], "-o", tmp_path / "m.npz").refused("not those of a picture")
    assert leftovers() == set()
