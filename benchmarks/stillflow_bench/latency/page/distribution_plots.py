# SPDX-License-Identifier: Apache-2.0
"""How long queries take: every share of them, and the slow ones on a scale of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stillflow_bench.latency.page.derived import tail
from stillflow_bench.latency.page.drawing import legend_below, plain_log, plot
from stillflow_bench.latency.page.labels import decimated, short, told_apart
from stillflow_bench.latency.page.material import Shown
from stillflow_bench.latency.page.palette import pens


def distribution(name: str, members: Sequence[Shown], points: int) -> str:
    """Draw blocks that do comparable work: share answered on the left, share that takes longer on the right.

    Args:
        name: unique on the page.
        members: at least one, each with samples.
        points: drawn of each at most.
    """
    styles = pens(one.block for one in members)
    titles = told_apart(one.block for one in members)

    def draw(made: Any, axes: Any) -> None:
        whole, slow = axes[0]
        for one in members:
            style = styles[one.block.name]
            values, above = tail(one.latencies, points)
            # The largest sample has none above it: it stands where half a sample would.
            drawn = np.where(above > 0, above, 0.5 / len(one.latencies))
            label = f"{short(titles[one.block.name])} (n = {len(one.latencies):,})"
            lines = {"color": style.colour, "linestyle": style.dash, "linewidth": 1.6}
            whole.step(
                np.r_[values[:1], values], np.r_[0, 100 * (1 - above)], where="post", label=label, **lines
            )
            slow.step(values, 100 * drawn, where="post", **lines)
            slow.plot(values[-1], 100 * drawn[-1], style.marker, color=style.colour, markersize=4)
        for one in (whole, slow):
            one.set_xscale("log")
            plain_log(one.xaxis)
            one.set_xlabel("ms, logarithmic")
        slow.set_yscale("log")
        plain_log(slow.yaxis)
        whole.set_title("how many are done")
        whole.set_ylabel("% of queries done within")
        whole.set_ylim(0, 100)
        slow.set_title("how many take longer")
        slow.set_ylabel("% that take longer, logarithmic")
        legend_below(made, whole)

    caption = (
        "Further left is faster; a line that leans right at the bottom of the right plot is a "
        "long tail. Every measured sample is in it; the mark is the slowest."
        f"{decimated(max(len(one.latencies) for one in members), points)}"
    )
    lines = (len(members) + 1) // 2
    return plot(
        name,
        3.1 + 0.2 * lines,
        f"latency distribution of {', '.join(titles.values())}",
        caption,
        draw,
        columns=2,
    )
