# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stillflow_bench.growth import growth
from stillflow_bench.growth_plot import EARLY, HEIGHT, LINE, SAMPLE, WIDTH, Series, draw, write

DONE = tuple(range(5, 501, 5))


def series(slope: float, name: str = "host memory") -> Series:
    noise = np.random.default_rng(0).normal(0, 0.1, len(DONE))
    values = 80 + slope * np.array(DONE) + noise
    values[:20] -= 30  # the warm-up
    return Series(name, "MB", tuple(values), growth(DONE, values, limit=0.008), "kB a photo", 1e3)


def has(panel: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((panel == colour).all(axis=-1).any())


@pytest.mark.parametrize(("slope", "verdict"), [(0.0, "steady"), (0.02, "grows")])
def test_a_panel_shows_samples_warm_up_and_verdict_in_its_colour(slope: float, verdict: str) -> None:
    one = series(slope)
    assert one.growth.verdict == verdict
    panel = draw(DONE, one)
    assert panel.shape == (HEIGHT, WIDTH, 3)
    assert has(panel, SAMPLE) and has(panel, EARLY)
    assert [name for name, colour in LINE.items() if has(panel, colour)] == [verdict]


def test_a_rising_line_rises() -> None:
    rows = np.nonzero(
        (draw(DONE, series(0.02)) == LINE["grows"]).all(axis=-1) & (np.arange(HEIGHT) > 40)[:, None]
    )
    left, right = (rows[0][rows[1] == edge].mean() for edge in (rows[1].min(), rows[1].max()))
    assert left - right > HEIGHT / 3


def test_slopes_are_told_with_their_sign() -> None:
    assert re.fullmatch(r"\+(19|20)\.\d+ kB a photo", series(0.02).slope)
    assert re.fullmatch(r"-(19|20)\.\d+ kB a photo", series(-0.02).slope)


def test_all_panels_stand_in_one_file(tmp_path: Path) -> None:
    path = write(tmp_path / "new" / "soak.png", DONE, [series(0.0), series(0.02, "device memory")])
    with Image.open(path) as picture:
        assert picture.size == (WIDTH, 2 * HEIGHT)
