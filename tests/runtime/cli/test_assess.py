# SPDX-License-Identifier: Apache-2.0
"""``stillflow assess``: a score with reasons, and an exit code that scripts can ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.usefixtures("default_bundle")


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """A gray picture in which nothing could move."""
    path = tmp_path / "flat.png"
    Image.fromarray(np.full((256, 256, 3), 128, np.uint8)).save(path)
    return path


def test_words(stillflow: Callable, sample_photo: Path) -> None:
    ended = stillflow("assess", sample_photo)
    assert ended.code == 0, ended.err
    assert " of 3, " in ended.out
    assert "chance of a good loop" in ended.out


def test_json(stillflow: Callable, sample_photo: Path) -> None:
    ended = stillflow("assess", sample_photo, "--json")
    found = ended.summary
    assert ended.code == 0
    assert set(found) == {
        "photo",
        "score",
        "verdict",
        "chance",
        "reasons",
        "clean_strength",
        "measures",
        "runs",
    }
    assert found["runs"]["provider"] and found["runs"]["why"]
    assert 2 <= found["score"] <= 3
    assert found["verdict"] in ("good", "risky")
    assert all(isinstance(reason, str) for reason in found["reasons"])


def test_nothing_to_move_is_unsuitable_and_says_so(stillflow: Callable, flat: Path) -> None:
    ended = stillflow("assess", flat, "--json")
    assert ended.code == 2
    assert (ended.summary["score"], ended.summary["verdict"]) == (0, "unsuitable")
    assert ended.summary["reasons"]
    ended = stillflow("assess", flat)
    assert ended.code == 2
    assert "0 of 3, unsuitable" in ended.out and "  - " in ended.out
    assert ended.err == ""


def test_force_ends_well(stillflow: Callable, flat: Path) -> None:
    assert stillflow("assess", flat, "--force").code == 0


def test_what_the_user_says_moves_is_not_in_question(stillflow: Callable, flat: Path, tmp_path: Path) -> None:
    mask = np.zeros((256, 256), np.uint8)
    mask[64:192, 64:192] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    ended = stillflow("assess", flat, "--mask", tmp_path / "mask.png", "--arrow", "0.5,0.3,0.5,0.6", "--json")
    assert ended.code == 0
    assert ended.summary["chance"] == 1


def test_bad_photo(stillflow: Callable, bad_pictures: dict[str, Path]) -> None:
    stillflow("assess", bad_pictures["truncated"]).refused("cut short")
