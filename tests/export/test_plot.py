# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow_export.plot import Bar, Curve, columns, depth_plot, rows

SVG = "{http://www.w3.org/2000/svg}"


def rects(text: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(text).findall(f"{SVG}rect")


def test_columns_are_as_high_as_their_values() -> None:
    found = rects(columns([Bar(1, "fp32", "one"), Bar(2, "fp16", "two"), Bar(0, "int8", "none")], "MMAC"))
    heights = [float(rect.get("height", "")) for rect in found]
    assert heights[0] == pytest.approx(heights[1] / 2)
    assert heights[2] == 0
    assert len({rect.get("fill") for rect in found}) == 3


def test_rows_are_as_long_as_their_values() -> None:
    widths = [float(rect.get("width", "")) for rect in rects(rows([Bar(3, "fp32", "3"), Bar(6, "?", "6")]))]
    assert widths[0] == pytest.approx(widths[1] / 2, abs=0.1)


def test_depth_plot_marks_a_place_and_leaves_gaps() -> None:
    plot = depth_plot(
        [Curve([1e-6, None, 1e-3, 0.0], "relative", "#123456")], ["a", "b", "c", "<d>"], marked=2
    )
    root = ElementTree.fromstring(plot)
    line = root.find(f"{SVG}polyline")
    assert line is not None
    points = [tuple(map(float, pair.split(","))) for pair in line.get("points", "").split()]
    assert len(points) == 3
    assert points[1][1] < points[0][1] <= points[2][1], "larger is higher, zero is at the foot"
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "c" in texts
    assert "relative" in texts


def test_nothing_at_all_still_draws() -> None:
    for text in (
        columns([], "MMAC"),
        rows([]),
        depth_plot([], []),
        depth_plot([Curve([0.0], "x", "red")], ["a"]),
    ):
        ElementTree.fromstring(text)


@given(
    st.lists(st.floats(0, 1e30), max_size=5), st.text(st.characters(codec="utf-8", exclude_categories=["C"]))
)
def test_any_text_stays_text(values: list[float], text: str) -> None:
    bars = [Bar(value, text, text, text) for value in values]
    for plot in (
        columns(bars, text),
        rows(bars),
        depth_plot([Curve(values, text, "red")], [text] * len(values)),
    ):
        root = ElementTree.fromstring(plot)
        assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
            "svg", "style", "rect", "text", "line", "title", "polyline",
        }  # fmt: skip
