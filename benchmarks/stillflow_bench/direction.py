# SPDX-License-Identifier: Apache-2.0
"""Which way: the pipeline's velocity at the labels' arrows, with nothing told and with one arrow given."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from stillflow.bend import rbf_velocity
from stillflow_bench.report import Row
from stillflow_bench.truth import Answers, aspect
from stillflow_training.arrows import Miss, as_arrow, misses
from stillflow_training.labels import LabelledPhoto

FREE_AIM, GIVEN_AIM = 30.0, 15.0
"""Degrees, median over arrows: with nothing told, and at a photo's other arrows with one given."""

NEAR, NEAR_AIM = 60.0, 0.8
"""Degrees within which a direction is not wrong, and the share of arrows that should be."""

FIELD_ROWS = 60
"""Rows of the field in which the closed form is evaluated: each arrow is read at its middle only."""


def measure(
    items: Sequence[LabelledPhoto], answers: Answers, report: Callable[[str], None] = lambda _: None
) -> list[Row]:
    """Measure directions and speeds at the labels' arrows in what flows.

    Args:
        items: labelled photos; those without such arrows are passed over.
        answers: of the pipeline.
        report: is told which photo is looked at.

    Returns:
        Rows of the part "direction"; none when there is no arrow at all.
    """
    free: dict[str, list[Miss]] = {}
    either: list[bool] = []
    given: list[Miss] = []
    closed: list[Miss] = []
    speeds: list[float] = []
    for item in items:
        if not len(item.arrows):
            continue
        report(item.name)
        free[item.name] = misses(answers.of(item).velocity, item.arrows, aspect(item))
        either += [_either(item, arrow) for arrow in item.arrows]
        speeds += [float(arrow[4]) for arrow in item.arrows]
        if len(item.arrows) > 1:
            given += misses(answers.given_first_arrow(item), item.arrows[1:], aspect(item))
            closed += misses(_rbf(item), item.arrows[1:], aspect(item))
    if not free:
        return []
    return [*_free_rows(free, either, items), *_given_rows(given, closed), _speed_row(free, speeds)]


def _free_rows(
    free: dict[str, list[Miss]], either: Sequence[bool], items: Sequence[LabelledPhoto]
) -> list[Row]:
    """Rows about what is said with nothing told, beside "to the right everywhere"."""
    found = [miss for those in free.values() for miss in those]
    right = [miss for i in items for miss in misses(np.array([[[0.01, 0]]], np.float32), i.arrows, aspect(i))]
    angles, trivial = ([miss.angle for miss in those] for those in (found, right))
    alike, trivial_alike = (
        [min(m.angle, m.mirrored) if e else m.angle for m, e in zip(those, either, strict=True)]
        for those in (found, right)
    )
    median = float(np.median(trivial))
    rows = [
        _row("angular error", "degrees", angles, {RIGHT: median}, FREE_AIM),
        _share("share under 60 degrees", angles, {RIGHT: trivial}, NEAR_AIM),
        _row(
            "angular error, either side alike for what drifts sideways",
            "degrees",
            alike,
            {RIGHT: float(np.median(trivial_alike))},
        ),
    ]
    by_photo = [float(np.median([miss.angle for miss in those])) for those in free.values()]
    about = {"photos": list(free), "by photo only": True}
    return [*rows, _row("angular error by photo", "degrees", by_photo, {RIGHT: median}, None, about)]


def _given_rows(given: Sequence[Miss], closed: Sequence[Miss]) -> list[Row]:
    """Rows about a photo's other arrows when its first is given, beside the closed form given the same."""
    if not given:
        return []
    angles, others = ([miss.angle for miss in those] for those in (given, closed))
    return [
        _row("angular error, one arrow given", "degrees", angles, {RBF: float(np.median(others))}, GIVEN_AIM),
        _share("share under 60 degrees, one arrow given", angles, {RBF: others}, None),
    ]


def _speed_row(free: dict[str, list[Miss]], speeds: Sequence[float]) -> Row:
    """By which factor speeds are off, beside the labels' own median speed everywhere."""
    factors = [math.exp(miss.factor) for those in free.values() for miss in those]
    usual = float(np.median(speeds))
    trivial = float(np.median([math.exp(abs(math.log(usual / speed))) for speed in speeds]))
    return _row("speed off by a factor", "x", factors, {"the labels' median speed": trivial})


def _either(item: LabelledPhoto, arrow: Any) -> bool:
    """Whether an arrow lies where the opposite sideways direction would be as true."""
    height, width = item.either.shape
    x, y = (arrow[0] + arrow[2]) / 2, (arrow[1] + arrow[3]) / 2
    i, j = int(np.clip(y * height, 0, height - 1)), int(np.clip(x * width, 0, width - 1))
    return bool(item.either[i, j])


def _rbf(item: LabelledPhoto) -> Any:
    """The closed form's field when the label's first arrow is given."""
    ratio = aspect(item)
    return rbf_velocity([as_arrow(item.arrows[0], ratio)], FIELD_ROWS, round(FIELD_ROWS / ratio), ratio)


RIGHT, RBF = "to the right everywhere", "rbf"


def _row(
    name: str,
    unit: str,
    samples: Sequence[float],
    baselines: dict[str, float],
    limit: float | None = None,
    about: dict[str, Any] | None = None,
) -> Row:
    values = tuple(samples)
    return Row("quality", name, unit, values, about or {}, limit, part="direction", baselines=baselines)


def _share(
    name: str, angles: Sequence[float], others: dict[str, Sequence[float]], limit: float | None
) -> Row:
    """Share of angles under ``NEAR``, as a mean of zeros and ones."""
    near = tuple(float(angle < NEAR) for angle in angles)
    baselines = {who: float(np.mean([a < NEAR for a in those])) for who, those in others.items()}
    return Row(
        *("quality", name, "", near, {}, limit, "at least"),
        part="direction",
        summary="mean",
        baselines=baselines,
    )
