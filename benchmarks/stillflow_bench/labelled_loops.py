# SPDX-License-Identifier: Apache-2.0
"""Loops of labelled photos: the figures of ``stillflow_bench.quality`` summed up over photos, and a sheet for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from stillflow.animator import Animator, Loop
from stillflow.photo import Photo
from stillflow_bench.loops import measure_loop
from stillflow_bench.report import Row, Summary
from stillflow_training.labels import LabelledPhoto

SUMMED: dict[str, Summary] = {
    "moving share": "mean",
    "frame 0, inside": "largest",
    "frame 0, outside": "largest",
    "frame N to 0": "largest",
    "outside, worst frame": "largest",
    "detail, least": "smallest",
    "detail, most": "largest",
    "flash 0 to 1": "median",
    "detail jump 0 to 1": "median",
    "flicker": "median",
    "flicker along the path": "median",
    "uncovered": "mean",
    "uncovered, most": "largest",
}
"""Figures of a loop, and what stands for all photos: limits must hold for each of them."""

SHOWN = ("moving share", "detail, least", "detail, most", "flicker")
"""Figures that are told photo by photo too."""


def loops(
    items: Sequence[LabelledPhoto],
    animator: Animator,
    *,
    size: int,
    seconds: float,
    fps: float,
    report: Callable[[str], None] = lambda _: None,
) -> Iterator[tuple[LabelledPhoto, Loop]]:
    """Animate labelled photos one by one with nothing told, also those that the verdict refuses.

    Args:
        items: labelled photos.
        animator: makes the loops.
        size: longest side in pixels, at most the photos' own.
        seconds: length of a loop.
        fps: frames a second.
        report: is told what is animated.
    """
    for number, item in enumerate(items, start=1):
        report(f"{number}/{len(items)} {item.name}")
        photo = Photo.from_array(item.photo).fitted(size)
        yield item, animator.animate(photo, seconds=seconds, fps=fps)


def loop_rows(measured: Sequence[tuple[str, Sequence[Row]]]) -> list[Row]:
    """Sum up the figures of loops, each method's beside stillflow's.

    Args:
        measured: name of a photo, and the rows of its loop.

    Returns:
        Rows of the part "loops".
    """
    values: dict[tuple[str, str], dict[str, float]] = {}
    known: dict[str, Row] = {}
    for photo, rows in measured:
        for row in rows:
            method = str(row.parameters["method"])
            values.setdefault((row.name, method), {})[photo] = row.value
            if method == "stillflow":
                known.setdefault(row.name, row)
    summed = []
    for name, how in SUMMED.items():
        if name not in known:
            continue
        photos = values[name, "stillflow"]
        about = {"photos": list(photos)} if name in SHOWN else {}
        others = {
            method: Row("quality", name, "", tuple(found.values()), summary=how).value
            for (row, method), found in values.items()
            if row == name and method != "stillflow"
        }
        own = known[name]
        summed.append(
            Row(
                *("quality", name, own.unit, tuple(photos.values()), about, own.limit, own.side),
                part="loops",
                summary=how,
                baselines=others,
            )
        )
    return summed


def figures_of(item: LabelledPhoto, loop: Loop) -> tuple[str, list[Row]]:
    """Measure one loop and its baselines; see ``loop_rows``."""
    return item.name, measure_loop(item.name, loop)
