# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np

from stillflow.photo import load_photo
from stillflow_bench.photos import data_photos, of_size, sample_photos, scenery, write_photo


def test_samples_are_there_and_only_photos_that_exist_are_named(tmp_path: Path) -> None:
    assert [path.stem for path in sample_photos()] == ["waterfall", "smoke", "fog", "coffee"]
    assert data_photos(tmp_path) == ()


def test_drawn_scene_is_the_same_every_time() -> None:
    a, b = scenery(160, 90), scenery(160, 90)
    assert a.pixels.shape == (90, 160, 3)
    assert np.array_equal(a.pixels, b.pixels)


def test_of_size_covers_and_cuts(sample_photo: Path, tmp_path: Path) -> None:
    for width, height in ((320, 180), (200, 300)):
        photo = of_size(sample_photo, width, height)
        assert (photo.width, photo.height) == (width, height)
    again = load_photo(write_photo(photo, tmp_path / "photo.jpg"))
    assert (again.width, again.height) == (200, 300)
