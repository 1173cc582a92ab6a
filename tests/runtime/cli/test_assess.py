# SPDX-License-Identifier: Apache-2.0
"""``stillflow assess``: a score with reasons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.usefixtures("default_bundle")


def test_words(stillflow: Callable, photo_file: Path) -> None:
    ended = stillflow("assess", photo_file)
    assert ended.code == 0, ended.err
    assert " of 3, " in ended.out


def test_json(stillflow: Callable, photo_file: Path) -> None:
    found = stillflow("assess", photo_file, "--json").summary
    assert set(found) == {"photo", "score", "reasons", "measures"}
    assert 0 <= found["score"] <= 3
    assert all(isinstance(reason, str) for reason in found["reasons"])


def test_nothing_to_move_scores_low_and_says_so(stillflow: Callable, tmp_path: Path) -> None:
    Image.fromarray(np.full((256, 256, 3), 128, np.uint8)).save(tmp_path / "flat.png")
    found = stillflow("assess", tmp_path / "flat.png", "--json").summary
    assert found["score"] < 1.5
    assert found["reasons"]


def test_bad_photo(stillflow: Callable, bad_pictures: dict[str, Path]) -> None:
    stillflow("assess", bad_pictures["truncated"]).refused("cut short")
