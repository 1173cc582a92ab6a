# SPDX-License-Identifier: Apache-2.0
"""What moves, and what it is: the pipeline's matte and classes against hand-made labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from stillflow.motion import CLASS_NAMES
from stillflow_bench.report import Row
from stillflow_bench.truth import Answers, BoolArray, overlap, something_moves
from stillflow_training.labels import LabelledPhoto

MATTE_AIM, CLASS_AIM, FALSE_AIM = 0.75, 0.6, 0.02
"""IoU of what moves, IoU of a class, share of a still picture called moving."""

CLOUD_OR_SMOKE = "cloud or smoke"

AIMED = ("water", CLOUD_OR_SMOKE, "foliage")
"""Classes with an aim. Soft cloud and soft smoke are one class to the eye: they are judged together."""


def measure(
    items: Sequence[LabelledPhoto], answers: Answers, report: Callable[[str], None] = lambda _: None
) -> list[Row]:
    """Measure matte and classes with nothing told.

    Args:
        items: labelled photos.
        answers: of the pipeline.
        report: is told which photo is looked at.

    Returns:
        Rows of the part "labels".
    """
    for number, item in enumerate(items, start=1):
        report(f"{number}/{len(items)} {item.name}")
        answers.of(item)
    return [*matte_rows(items, answers), *class_rows(items, answers)]


def matte_rows(items: Sequence[LabelledPhoto], answers: Answers) -> list[Row]:
    """Rows about what moves: IoU where something does, false motion where nothing does or should."""
    moving = [item for item in items if something_moves(item)]
    rows = []
    if moving:
        truths = [_truth(item) for item in moving]
        trivial = {"everything moves": float(np.mean([t.mean() for t in truths])), "nothing moves": 0.0}
        for name, found, limit in (
            ("IoU of what moves", [answers.of(item).moves for item in moving], MATTE_AIM),
            ("the same, as a loop cuts it", [answers.of(item).cut for item in moving], None),
        ):
            values = [overlap(f, t) for f, t in zip(found, truths, strict=True)]
            rows.append(_by_photo(name, moving, values, trivial, limit, "at least"))
    still = [item for item in items if not something_moves(item)]
    unsuited = [item for item in items if item.suitability == 0]
    for name, those, limit in (
        ("false motion where nothing moves", still, FALSE_AIM),
        ("false motion at suitability 0", unsuited, None),
    ):
        if those:
            values = [float((answers.of(item).moves & ~_truth(item)).mean()) for item in those]
            most = float(np.mean([(~_truth(item)).mean() for item in those]))
            trivial = {"everything moves": most, "nothing moves": 0.0}
            rows.append(_by_photo(name, those, values, trivial, limit, "at most"))
    return rows


def class_rows(items: Sequence[LabelledPhoto], answers: Answers) -> list[Row]:
    """One row a class that labels or answers know: IoU over all pixels of all photos together."""
    groups: dict[str, tuple[int, ...]] = {name: (c,) for c, name in enumerate(CLASS_NAMES)}
    groups[CLOUD_OR_SMOKE] = (CLASS_NAMES.index("cloud"), CLASS_NAMES.index("smoke"))
    rows = []
    for name in (*AIMED, *(n for n in groups if n not in AIMED)):
        meet = join = labelled = pixels = photos = 0
        for item in items:
            found, truth = (np.isin(m, groups[name]) for m in (answers.of(item).classes, item.classes))
            meet += int((found & truth).sum())
            join += int((found | truth).sum())
            labelled += int(truth.sum())
            photos += bool(truth.any())
            pixels += truth.size
        if not join:
            continue
        about = {"photos with it": photos}
        share = labelled / pixels
        limit = CLASS_AIM if name in AIMED else None
        rows.append(
            Row(
                *("quality", f"IoU of {name}, all pixels", "", (meet / join,), about, limit, "at least"),
                part="labels",
                baselines={"all of it": share},
            )
        )
    return rows


def _truth(item: LabelledPhoto) -> BoolArray:
    return np.asarray(item.moves > 0)


def _by_photo(
    name: str,
    items: Sequence[LabelledPhoto],
    values: Sequence[float],
    baselines: dict[str, float],
    limit: float | None,
    side: Any,
) -> Row:
    """A mean over photos that keeps each photo's value and name."""
    photos = {"photos": [item.name for item in items]}
    return Row(
        "quality",
        name,
        "",
        tuple(values),
        photos,
        limit,
        side,
        part="labels",
        summary="mean",
        baselines=baselines,
    )
