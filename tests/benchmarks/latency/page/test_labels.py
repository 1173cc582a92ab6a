# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow_bench.latency.boundary import BOUNDARIES
from stillflow_bench.latency.page.labels import (
    FEW_WORDS,
    boundary_name,
    clean,
    decimated,
    figure,
    lacking,
    lasting,
    meaning,
    short,
)
from stillflow_bench.latency.percentile import summarise


def test_every_boundary_has_words() -> None:
    assert set(FEW_WORDS) == set(BOUNDARIES)
    for boundary in BOUNDARIES:
        assert FEW_WORDS[boundary] in boundary_name(boundary)
        assert meaning(boundary).startswith("From when ")


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0123456, "0.0123"), (1.0, "1"), (99.94, "99.9"), (999.6, "1000"), (54_981.4, "54,981"), (0.0, "0")],
)
def test_figures_have_three_digits_and_no_exponent(value: float, words: str) -> None:
    assert figure(value) == words


@given(st.floats(1e-4, 1e7))
def test_a_figure_is_the_value_to_half_a_per_cent(value: float) -> None:
    assert float(figure(value).replace(",", "")) == pytest.approx(value, rel=0.0051)


def test_durations_have_the_unit_that_suits_them() -> None:
    assert [lasting(v) for v in (0.31, 1, 399, 2640)] == ["310 µs", "1 ms", "399 ms", "2.64 s"]


def test_a_missing_percentile_says_what_it_needs() -> None:
    assert lacking(summarise([1.0] * 100), "p99") == "needs 459, has 100"


@given(st.text())
def test_texts_of_plots_hold_nothing_that_an_svg_may_not(text: str) -> None:
    assert clean(text).isprintable()
    assert len(short(text, 10)) <= 10


def test_a_caption_says_when_points_are_left_out() -> None:
    assert decimated(400, 400) == ""
    assert "400 points" in decimated(401, 400)
