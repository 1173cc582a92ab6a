# SPDX-License-Identifier: Apache-2.0
"""The parts of the suite "quality", each figure beside its baseline: which there are, and one run over them.

A part that cannot run here (no labelled photos, no torch) becomes a row that says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stillflow.animator import Animator
from stillflow.errors import StillflowError
from stillflow_bench import (
    direction,
    labelled_loops,
    labelled_sheet,
    networks,
    regions,
    uncovered,
    velocity,
    verdict,
)
from stillflow_bench.report import Row
from stillflow_bench.truth import Answers, Split, read_truth, textures
from stillflow_training.labels import LabelledPhoto

PARTS = {
    "labels": "what moves and what it is, against hand-made labels",
    "direction": "which way, at the labels' arrows",
    "verdict": "worth animating or not, against the labels' suitability",
    "velocity": "velocity on procedural scenes with arrows given",
    "generator": "the generator against the closed forms on procedural loops",
    "time": "what the networks cost at 720p",
    "loops": "seam, stillness, detail, flash and flicker of every photo's loop",
}
"""Name -> what it measures, in the order in which parts run."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        data: folder of labelled photos; None when there is none.
        split: "val", "train" or "all".
        sample: at most so many photos; None takes all.
        only: names of ``PARTS``.
        sheets: folder for contact sheets; None draws none.
        size: longest side of loops in pixels, at most that of the label masks.
        seconds: length of a loop.
        fps: frames a second.
        scenes: procedural scenes for each figure that needs them.
    """

    data: Path | None = None
    split: Split = "val"
    sample: int | None = None
    only: tuple[str, ...] = tuple(PARTS)
    sheets: Path | None = None
    size: int = 640
    seconds: float = 4.0
    fps: float = 30.0
    scenes: int = 24


class _Run:
    """One run: photos are read once and asked about once, whatever the parts."""

    def __init__(self, plan: Plan, animator: Animator, report: Report) -> None:
        self.plan, self.animator, self.report = plan, animator, report
        self.answers = Answers(animator.motion)
        self.why = "no labelled photos were given; name their folder with --data"
        self.items: list[LabelledPhoto] = []
        if plan.data is not None:
            try:
                self.items = read_truth(plan.data, plan.split, plan.sample)
            except StillflowError as error:
                self.why = f"{error.why}; {error.fix}"

    def part(self, name: str) -> list[Row]:
        """Measure one part, or say why it cannot be."""

        def say(line: str) -> None:
            self.report(f"{name}: {line}")

        try:
            found = self._measure(name, say)
        except ImportError as error:
            return [
                self._missing(name, f"{error.name or 'a package'} is not installed or does not fit: {error}")
            ]
        except StillflowError as error:
            return [self._missing(name, f"{error.why}; {error.fix}")]
        return found or [self._missing(name, "nothing in these photos can be measured")]

    def _measure(self, name: str, say: Report) -> list[Row]:
        plan, items, animator = self.plan, self.items, self.animator
        if name == "time":
            return networks.measure(animator, report=say)
        if name == "velocity":
            return velocity.measure(animator, textures(items), scenes=plan.scenes, report=say)
        if name == "generator":
            return uncovered.measure(animator, items, scenes=plan.scenes, report=say)
        if not items:
            return [self._missing(name, self.why)]
        if name == "labels":
            return regions.measure(items, self.answers, say)
        if name == "direction":
            return direction.measure(items, self.answers, say)
        if name == "verdict":
            say("every photo")
            return verdict.measure(items, animator)
        return self.loops(measured=True)

    def loops(self, *, measured: bool) -> list[Row]:
        """Animate every photo, measure the loops where asked to, and draw a sheet of each where asked to."""
        plan, figures = self.plan, []
        for item, loop in labelled_loops.loops(
            *(self.items, self.animator),
            size=plan.size,
            seconds=plan.seconds,
            fps=plan.fps,
            report=lambda line: self.report(f"loops: {line}"),
        ):
            if measured:
                figures.append(labelled_loops.figures_of(item, loop))
            if plan.sheets is not None:
                drawn = labelled_sheet.draw(item, self.answers.of(item), loop)
                labelled_sheet.write(plan.sheets / f"{item.name}.jpg", drawn)
        return labelled_loops.loop_rows(figures)

    def overview(self, folder: Path) -> Path:
        """Write the picture of all photos, from the worst on."""
        answers = [self.answers.of(item) for item in self.items]
        return labelled_sheet.write(folder / "overview.png", labelled_sheet.overview(self.items, answers))

    def _missing(self, name: str, why: str) -> Row:
        return Row("quality", PARTS[name], "", (), part=name, missing=" ".join(why.split()))


def measure(
    plan: Plan,
    animator: Animator,
    report: Report = lambda _: None,
    keep: Callable[[list[Row]], None] = lambda _: None,
) -> list[Row]:
    """Measure what a plan asks for.

    Args:
        plan: parts, photos, sizes.
        animator: the pipeline as it is shipped, or with another bundle.
        report: is told what is being measured.
        keep: is given the rows of each part as soon as it is done, so that an interruption costs one part only.

    Returns:
        Rows of the suite "quality", each with its part; at least one for each part.

    Raises:
        StillflowError: a part is unknown.
    """
    unknown = [name for name in plan.only if name not in PARTS]
    if unknown:
        raise StillflowError(
            f"cannot measure the part {unknown[0]!r}",
            "the suite quality has no such part",
            f"name some of: {', '.join(PARTS)}",
        )
    run = _Run(plan, animator, report)
    rows: list[Row] = []
    for name in (name for name in PARTS if name in plan.only):
        found = run.part(name)
        keep(found)
        rows += found
    if plan.sheets is not None and run.items:
        if "loops" not in plan.only:
            run.loops(measured=False)
        report(f"wrote {run.overview(plan.sheets)}")
    return rows


def named(text: str) -> tuple[str, ...]:
    """Split names with commas between them; see ``measure``."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
