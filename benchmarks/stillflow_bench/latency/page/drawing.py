# SPDX-License-Identifier: Apache-2.0
"""Figures of matplotlib as parts of a page: SVG in the page's own ink and letters, the same for the same figures."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stillflow.errors import StillflowError
from stillflow_export.markup import safe

Figure = Any
Axes = Any
Values = NDArray[np.float64]

WIDTH = 8.6
"""Inches of a figure; at 100 pixels an inch as wide as the page's text."""

INK, FAINT = "#010203", "#010204"
"""What matplotlib is told, to be replaced by the page's own ink in light and in dark."""

EARLY = "#9aa0a8"
"""Warm-up, grey in both."""

SETTINGS = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "text.color": INK,
    # A title with two dollar signs is a title, not a formula.
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    # Strokes of no length are dots, and must not be taken for superfluous.
    "path.simplify": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "figure.constrained_layout.use": True,
}

_BARE = {"Date": None, "Creator": None, "Format": None, "Type": None}


def require() -> Any:
    """Return matplotlib with a backend that opens no window.

    Raises:
        StillflowError: it is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise StillflowError(
            "cannot draw the page", "matplotlib is not installed", "pip install 'stillflow[bench]'"
        ) from error
    matplotlib.use("agg")
    return matplotlib


@contextmanager
def figure(height: float, rows: int = 1, columns: int = 1, **more: Any) -> Iterator[tuple[Figure, Any]]:
    """A figure in the page's style, closed afterwards.

    Args:
        height: in inches; the width is the page's.
        rows: of axes.
        columns: of axes.
        more: for ``matplotlib.pyplot.subplots``.

    Yields:
        The figure and its axes: always an array (rows, columns).
    """
    matplotlib = require()
    with matplotlib.rc_context(SETTINGS):
        from matplotlib import pyplot

        made, axes = pyplot.subplots(rows, columns, figsize=(WIDTH, height), squeeze=False, **more)
        try:
            yield made, axes
        finally:
            pyplot.close(made)


def as_svg(made: Figure, name: str, label: str) -> str:
    """The figure as an element of a page.

    Args:
        made: by ``figure``, whose context must still be open.
        name: unique on the page: letters, digits and "-". All ids begin with it.
        label: what it shows, for who does not see it.
    """
    matplotlib = require()
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    out = io.StringIO()
    # Laid out once and drawn once: savefig does both twice.
    made.get_layout_engine().execute(made)
    made.set_layout_engine("none")
    with matplotlib.rc_context({"svg.hashsalt": "stillflow"}):
        FigureCanvasSVG(made).print_svg(out, metadata=_BARE)  # type: ignore[no-untyped-call]
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # The style sheet in it would hold for the whole page.
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;\"]*(; )?", "", text)
    text = re.sub(r' (?:d|x|y|transform)="[^"]*"', lambda found: re.sub(r"(\.\d)\d+", r"\1", found[0]), text)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(xlink:href="|url\()#', rf"\g<1>#{name}-", text)
    text = text.replace(INK, "currentColor").replace(FAINT, "var(--grid)")
    opened = re.match(r'<svg[^>]*viewBox="([^"]*)"[^>]*>', text)
    assert opened is not None
    head = f'<svg viewBox="{opened[1]}" role="img" aria-label="{safe(label)}">'
    return head + re.sub(r"\s*\n\s*", "\n", text[opened.end() :]).strip()


def framed(svg: str, caption: str) -> str:
    """The plot with its caption, both HTML; on a narrow screen it can be moved sideways."""
    return f'<figure><div class="plot">{svg}</div><figcaption>{caption}</figcaption></figure>'


def plot(
    name: str, height: float, label: str, caption: str, draw: Callable[[Figure, Any], None], **more: Any
) -> str:
    """Draw one plot.

    Args:
        name: see ``as_svg``.
        height: see ``figure``.
        label: see ``as_svg``.
        caption: HTML.
        draw: is given the figure and its axes.
        more: for ``figure``.
    """
    with figure(height, **more) as (made, axes):
        draw(made, axes)
        return framed(as_svg(made, name, label), caption)


def legend_below(made: Figure, axes: Axes, columns: int = 2) -> None:
    """The legend of some axes, below the whole figure and outside of the data."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        made.legend(handles, labels, loc="outside lower left", ncols=columns)


def plain_log(axis: Any) -> None:
    """Write 0.5, 1, 2 at a logarithmic axis on which all is drawn already, not powers of ten."""
    from matplotlib import ticker

    low, high = axis.get_view_interval()
    # Few decades need more marks between them; LogLocator finds its own below a factor of about two.
    subs = (1.0, 2.0, 5.0) if high > 12 * low else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
    axis.set_major_locator(ticker.LogLocator(subs=subs, numticks=16))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_locator(ticker.NullLocator())


def marks(axes: Axes, x: Values, low: Values, high: Values, color: str, size: float) -> None:
    """Draw strokes from low to high, dots where both are the same: one path for all, a quarter of a marker's bytes.

    Args:
        axes: to draw on.
        x: of each.
        low: of each.
        high: of each.
        color: of all.
        size: points.
    """
    gap = np.full(len(x), np.nan)
    across, up = (np.column_stack(columns).ravel() for columns in ((x, x, gap), (low, high, gap)))
    axes.plot(across, up, color=color, linewidth=size, solid_capstyle="round", alpha=0.8)
