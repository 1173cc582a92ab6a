# SPDX-License-Identifier: Apache-2.0
"""Whether a photo is worth animating: the verdict against the suitability that a person gave."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stillflow.animator import Animator
from stillflow_bench.report import Row
from stillflow_training.labels import LabelledPhoto
from stillflow_training.verdict_check import Judged, judge

AGREEMENT_AIM = 0.85
"""Share of photos on whose side (suitability 0-1 or 2-3) verdict and label should agree."""


def measure(items: Sequence[LabelledPhoto], animator: Animator) -> list[Row]:
    """Ask ``assess`` about labelled photos.

    Args:
        items: labelled photos.
        animator: whose networks say what moves.

    Returns:
        Rows of the part "verdict".
    """
    return verdict_rows(judge(list(items), animator))


def verdict_rows(judged: Sequence[Judged]) -> list[Row]:
    """Rows of verdicts: agreement beside "always good", and how often each kind of mistake happens.

    Args:
        judged: at least one.
    """
    suits = np.array([one.label >= 2 for one in judged])
    always = float(suits.mean())
    rows = [
        _row("verdict agrees", [one.agrees for one in judged], always, AGREEMENT_AIM, "at least", judged),
    ]
    good, bad = ([one for one in judged if (one.label >= 2) == side] for side in (True, False))
    if good:
        refused = [one.found.verdict == "unsuitable" for one in good]
        rows.append(_row("good photos refused", refused, 0.0, None, "at most"))
    if bad:
        passed = [one.found.score >= 2 for one in bad]
        rows.append(_row("bad photos called good", passed, 1.0, None, "at most"))
    about = {"photos": [one.name for one in judged], "by photo only": True}
    for name, values in (
        ("suitability by the label", [float(one.label) for one in judged]),
        ("chance by the verdict", [float(one.found.chance) for one in judged]),
    ):
        rows.append(Row("quality", name, "", tuple(values), about, part="verdict"))
    return rows


def _row(
    name: str,
    values: Sequence[bool],
    always: float,
    limit: float | None,
    side: str,
    judged: Sequence[Judged] = (),
) -> Row:
    """A share of photos beside that of always saying good."""
    return Row(
        "quality",
        name,
        "",
        tuple(float(value) for value in values),
        {"photos": [one.name for one in judged]} if judged else {},
        limit,
        side,  # type: ignore[arg-type]
        part="verdict",
        summary="mean",
        baselines={"always good": always},
    )
