# SPDX-License-Identifier: Apache-2.0
"""What the networks cost: flow and generator, once a photo, on a photo of 1280x720."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stillflow.animator import Animator
from stillflow.photo import Photo
from stillflow_bench.latency.inputs import network_inputs
from stillflow_bench.photos import SIZES, of_size, sample_photos
from stillflow_bench.report import Row

TOGETHER_AIM = 600.0
"""Milliseconds for both networks at 720p on two cores."""

REPEATS = 15

WHOLE_REPEATS = 3
"""The whole way to a loop is only there for comparison."""


@dataclass(frozen=True)
class Cost:
    """Seconds of one run: in the flow network, in the generator, and the processor's in both together."""

    flow: float
    generator: float
    processor: float

    @property
    def both(self) -> float:
        """Seconds that passed in both."""
        return self.flow + self.generator


def measure(
    animator: Animator, *, repeats: int = REPEATS, report: Callable[[str], None] = lambda _: None
) -> list[Row]:
    """Time both networks, each on an input of the size that it sees at a user's.

    The first run, which allocates, is a row of its own. The processor's time says what the networks need also on a
    machine that does other things besides. The generator runs also where the manifest plays closed forms instead;
    ``played`` names what does.

    Args:
        animator: whose networks are timed.
        repeats: runs after the first.
        report: is told what is measured.

    Returns:
        Rows of the part "time".
    """
    report(f"{repeats + 1} runs at 720p")
    photo = of_size(next(iter(sample_photos()), None), *SIZES["720p"])
    first, *later = [cost(animator, photo) for _ in range(repeats + 1)]
    report("the whole way to a loop")
    whole = [_whole(animator, photo) for _ in range(WHOLE_REPEATS)]
    outputs = animator.bundle.manifest.outputs
    about: dict[str, Any] = {
        "size": "1280x720",
        "engine": animator.session("flow").engine,
        "played": {name: outputs.get(name, "closed form") for name in ("velocity_guided", "plate", "blend")},
    }
    beside = {"the whole way to a loop": 1000 * statistics.median(whole)}

    def row(name: str, seconds: Sequence[float], limit: float | None = None) -> Row:
        values = tuple(1000 * second for second in seconds)
        return Row("quality", name, "ms", values, about, limit, part="time", baselines=beside)

    return [
        row("flow and generator networks", [c.both for c in later], TOGETHER_AIM),
        row("flow network", [c.flow for c in later]),
        row("generator network", [c.generator for c in later]),
        row("both, the processor's time", [c.processor for c in later]),
        row("both, the first time", [first.both]),
    ]


def cost(animator: Animator, photo: Photo) -> Cost:
    """Run each network once on what a loop of this photo would give it.

    Args:
        animator: whose networks are timed.
        photo: the picture.
    """
    inputs = network_inputs(animator.bundle, photo)
    flow, generator = animator.session("flow"), animator.session("generator")
    worked, began = time.process_time(), time.perf_counter()
    flow.run(inputs["flow"])
    between = time.perf_counter()
    generator.run(inputs["generator"])
    ended = time.perf_counter()
    return Cost(between - began, ended - between, time.process_time() - worked)


def _whole(animator: Animator, photo: Photo) -> float:
    """Seconds of all that ``animate`` does before the first frame."""
    started = time.perf_counter()
    animator.animate(photo)
    return time.perf_counter() - started
