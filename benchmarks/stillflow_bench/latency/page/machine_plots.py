# SPDX-License-Identifier: Apache-2.0
"""The machine while it measured: clocks, load, other programs' share, temperature, the GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from stillflow_bench.latency.page.derived import thinned
from stillflow_bench.latency.page.drawing import INK, plot
from stillflow_bench.latency.page.labels import decimated
from stillflow_bench.latency.page.material import Shown, Values
from stillflow_bench.latency.page.palette import COLOURS
from stillflow_bench.latency.record import Look

GPU = {
    "mhz": ("GPU: clock, GHz", 1000.0),
    "memory_mhz": ("GPU: clock of its memory, GHz", 1000.0),
    "celsius": ("GPU: temperature, °C", 1.0),
    "watts": ("GPU: draw, W", 1.0),
    "utilisation": ("GPU: busy, %", 1.0),
    "memory_bytes": ("GPU: memory in use, GB", 1e9),
}
"""Key of ``Look.gpu`` -> title, and what a value is divided by."""


class Strip(NamedTuple):
    """One line over time.

    Attributes:
        title: with the unit.
        values: one a look; NaN where the machine does not tell.
    """

    title: str
    values: Values


def machine_strip(
    name: str, telemetry: Sequence[Look], shown: Sequence[Shown], cores: int, points: int
) -> str:
    """Draw what telemetry tells, a strip a quantity; nothing where it tells nothing.

    Args:
        name: unique on the page.
        telemetry: looks, in their order.
        shown: blocks, whose turns stand on top in their role's colour.
        cores: of the machine.
        points: drawn of each line at most.
    """
    strips = [strip for strip in _strips(telemetry, cores) if np.isfinite(strip.values).sum() >= 2]
    if not strips:
        return ""
    at = np.asarray([look.at for look in telemetry], float) / 1e9

    def draw(_: Any, axes: Any) -> None:
        _who(axes[0, 0], shown)
        for panel, strip in zip(axes[1:, 0], strips, strict=True):
            there = np.isfinite(strip.values)
            x, low, high = thinned(at[there], strip.values[there], points)
            panel.plot(np.repeat(x, 2), np.column_stack((low, high)).ravel(), color=INK, linewidth=1.1)
            panel.set_title(strip.title)
            least, most = low.min(), high.max()
            room = max(0.1 * (most - least), 0.02 * abs(most), 0.05)
            panel.set_ylim(max(0.0, least - room) if least >= 0 else least - room, most + room)
        axes[-1, 0].set_xlabel("seconds since the run began")

    caption = (
        "On top: who had a turn, in the colours of the roles. A clock that falls, another program or heat meanwhile "
        f"makes a figure doubtful.{decimated(len(at), points)}"
    )
    height = 0.9 + 0.95 * len(strips)
    heights = {"height_ratios": [0.3, *(1.0 for _ in strips)]}
    return plot(
        name,
        height,
        "the machine over time",
        caption,
        draw,
        rows=1 + len(strips),
        sharex=True,
        gridspec_kw=heights,
    )


def _who(panel: Any, shown: Sequence[Shown]) -> None:
    """Who had a turn when."""
    for role, colour in COLOURS.items():
        turns = [turn for one in shown if one.block.role == role for turn in _turns(one)]
        panel.broken_barh([(begin, end - begin) for begin, end in turns], (0, 1), color=colour, linewidth=0)
    panel.set_ylim(0, 1)
    panel.set_yticks([])
    panel.grid(visible=False)
    panel.set_title("turns")


def _turns(one: Shown) -> list[tuple[float, float]]:
    """Seconds in which a block's rounds began and ended."""
    return [(turn[0].issued / 1e9, max(s.done for s in turn) / 1e9) for turn in one.turns.values()]


def _strips(telemetry: Sequence[Look], cores: int) -> list[Strip]:
    at = np.asarray([look.at for look in telemetry], float) / 1e9
    busy, own, steal = (_column(telemetry, read) for read in (_busy, _own, _steal))
    return [
        Strip("clock of the fastest core, GHz", _column(telemetry, lambda look: look.mhz) / 1000),
        Strip("processors busy with this run, cores", _rate(at, own)),
        Strip(
            f"processors busy with other programs, cores of {cores}",
            np.maximum(0, _rate(at, busy) - _rate(at, own)),
        ),
        Strip("processors taken by other guests, cores", _rate(at, steal)),
        Strip("load average", _column(telemetry, lambda look: look.load)),
        Strip("hottest sensor, °C", _column(telemetry, lambda look: look.celsius)),
        Strip("draw, W", _rate(at, _column(telemetry, lambda look: look.joules))),
        Strip("draw of the board, W", _column(telemetry, lambda look: look.watts)),
        *(Strip(title, _gpu(telemetry, key) / scale) for key, (title, scale) in GPU.items()),
    ]


def _busy(look: Look) -> float | None:
    return look.busy


def _own(look: Look) -> float | None:
    return look.own


def _steal(look: Look) -> float | None:
    return look.steal


def _gpu(telemetry: Sequence[Look], key: str) -> Values:
    return np.asarray([_figure(look.gpu.get(key)) for look in telemetry], float)


def _figure(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else np.nan


def _column(telemetry: Sequence[Look], read: Callable[[Look], float | None]) -> Values:
    return np.asarray([np.nan if (value := read(look)) is None else value for look in telemetry], float)


def _rate(at: Values, counted: Values) -> Values:
    """A counter's rise a second between looks; NaN for the first."""
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.diff(counted) / np.diff(at)
    return np.concatenate(([np.nan], np.where(np.isfinite(steps), steps, np.nan))) if len(at) else at
