# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np

from stillflow_bench.latency.page.drawing import FAINT, INK, as_svg, figure, marks, plain_log, plot


def drawn(name: str = "one") -> str:
    with figure(2.0) as (made, axes):
        axes[0, 0].plot([1, 2], [3, 4], "o-", label="a")
        axes[0, 0].set_title('<b>&"$x$')
        return as_svg(made, name, 'a "label" <b>')


def test_a_figure_is_an_element_of_a_page() -> None:
    text = drawn()
    root = ET.fromstring(text.replace("xlink:href", "href"))
    assert root.tag == "svg"
    assert root.attrib["aria-label"] == 'a "label" <b>'
    assert '<b>&"$x$' in "".join(root.itertext())
    assert all(name.startswith("one-") for name in re.findall(r'\bid="([^"]*)"', text))
    assert not re.search("http|<style|<!--|metadata|font-family", text)


def test_it_takes_the_ink_and_the_grid_of_the_page() -> None:
    text = drawn()
    assert INK not in text
    assert FAINT not in text
    assert "currentColor" in text
    assert "var(--grid)" in text


def test_the_same_figure_is_the_same_text_but_for_its_name() -> None:
    assert drawn() == drawn()
    assert drawn("two") == drawn().replace("one-", "two-")


def test_dots_and_strokes_are_one_path() -> None:
    def draw(_: Any, axes: Any) -> None:
        at = np.arange(200.0)
        marks(axes[0, 0], at, at, np.where(at % 2, at, at + 3), "#123456", 2.0)

    text = plot("dots", 2.0, "dots", "caption", draw)
    paths = re.findall(r'<path d="([^"]*)"[^>]*#123456', text)
    assert len(paths) == 1
    assert paths[0].count("M") == 200
    assert "caption" in text


def test_logarithmic_axes_are_written_in_plain_figures() -> None:
    def draw(_: Any, axes: Any) -> None:
        axes[0, 0].plot([0.5, 2000], [3, 7])
        for axis, scale in (
            (axes[0, 0].xaxis, axes[0, 0].set_xscale),
            (axes[0, 0].yaxis, axes[0, 0].set_yscale),
        ):
            scale("log")
            plain_log(axis)

    text = plot("log", 2.0, "log", "", draw)
    assert {"1", "10", "100", "1,000", "4", "5"} <= set(re.findall(">([^<>]+)</text>", text))
