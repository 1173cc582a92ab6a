# SPDX-License-Identifier: Apache-2.0
"""The check of a GPU machine: ``python -m stillflow_bench.gpu.check``, or ``make gpu-check``.

Every step runs in a process of its own with a time limit; one that fails or hangs is written down and the next one
starts. Results are written after each step. From a source tree it needs nothing but PYTHONPATH on its room
benchmarks and on runtime; what a step needs and does not find is that step's failure.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from stillflow.gpu.description import find_gpu
from stillflow_bench import machine
from stillflow_bench.gpu.record import check_table, described, is_stand_in, write_check
from stillflow_bench.gpu.stage import Outcome, not_run, run_stage
from stillflow_bench.gpu.steps import PARTS, Order, finding, rows_file, steps
from stillflow_bench.gpu.surroundings import smi_index
from stillflow_bench.report import Row, as_json

ROOMS = ("runtime", "engines", "export", "training", "benchmarks")
"""Folders of the source tree that hold a package."""

NO_GPU = 2
"""Exit code where there is no CUDA device."""

PHOTOS = 1000
TINY_PHOTOS = 24
"""Of the soak. The fewer are too few for a verdict on memory."""

SPARE = 20.0
"""Seconds of the budget under which no step is started."""


def source_tree() -> Path | None:
    """The source tree that this file lies in; None where it is installed elsewhere."""
    root = Path(__file__).resolve().parents[3]
    return root if (root / "pyproject.toml").is_file() else None


def environment(root: Path | None, device: int = 0) -> dict[str, str]:
    """What steps run with: this process's environment, with the packages of the source tree to be found.

    Args:
        root: of the source tree; None where there is none.
        device: the GPU that is checked. Steps see no other one, and see it as the first.
    """
    made = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if device:
        made["CUDA_VISIBLE_DEVICES"] = smi_index(device) or str(device)
    if root is not None:
        places = [str(root / room) for room in ROOMS]
        made["PYTHONPATH"] = os.pathsep.join([*places, *filter(None, [os.environ.get("PYTHONPATH")])])
    return made


def check(arguments: argparse.Namespace) -> int:
    """Do every step and write down what became of it.

    Returns:
        0: every step passed or has nothing to do here; 1: some step failed; 2: there is no GPU.
    """
    gpu = find_gpu(arguments.device)
    if gpu is None:
        say(f"there is no CUDA device {arguments.device} on this machine: nothing to check")
        return NO_GPU
    root = source_tree()
    logs = arguments.logs.resolve()
    logs.mkdir(parents=True, exist_ok=True)
    photos = arguments.photos or (TINY_PHOTOS if arguments.tiny else PHOTOS)
    order = Order(0, photos, arguments.tiny, logs, root)
    surrounding = environment(root, arguments.device)
    about = machine.provenance("python -m stillflow_bench.gpu.check")
    told = described(gpu, about, tiny=arguments.tiny)
    write = not (arguments.no_write or is_stand_in(gpu.name))
    if is_stand_in(gpu.name):
        say(f"{gpu.name} is no device: its figures mean nothing, and no results are written")
    ends = None if arguments.budget is None else time.monotonic() + arguments.budget
    outcomes: list[Outcome] = []
    rows: list[dict[str, Any]] = []
    every = steps(order)
    for stage in every:
        if not _asked(stage.name, arguments.only, arguments.skip):
            continue
        left = float("inf") if ends is None else ends - time.monotonic()
        if left < SPARE:
            outcomes.append(not_run(stage, "the time that the check was given is used up"))
            continue
        say(f"{stage.name}: {stage.what}")
        part = stage.name.removeprefix("bench ") if stage.name.startswith("bench ") else None
        if part is not None:
            rows_file(order, part).unlink(missing_ok=True)  # of an earlier check
        outcome = run_stage(
            replace(stage, limit=min(stage.limit, left)), logs, environment=surrounding, folder=root
        )
        outcomes.append(replace(outcome, found=finding(stage, logs)) if not stage.absent else outcome)
        say(f"  {outcome.state} {f'({outcome.why}) ' if outcome.why else ''}after {outcome.seconds:.1f} s")
        if part is not None:
            rows += read_rows(rows_file(order, part)) or as_json([_absent(part, outcome)], about)
        if write:
            write_check(arguments.results, told, outcomes, rows)
    sys.stdout.write(check_table(told, [asdict(outcome) for outcome in outcomes]))
    if write:
        for path in write_check(arguments.results, told, outcomes, rows):
            say(f"wrote {path}")
    return int(any(outcome.bad for outcome in outcomes))


def _absent(part: str, outcome: Outcome) -> Row:
    """The row of a part whose process left none."""
    return Row("gpu", PARTS.get(part, part), "", (), part=part, missing=outcome.why or "it left no rows")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows that a part of the suite left; none where it came to nothing."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    rows: list[dict[str, Any]] = told["rows"]
    return rows


def _asked(name: str, only: Sequence[str], skip: Sequence[str]) -> bool:
    """Whether a step is wanted; "bench" stands for every step whose name begins so."""
    words = {name, name.split()[0]}
    return (not only or bool(words & set(only))) and not words & set(skip)


def named(text: str) -> tuple[str, ...]:
    """Split names with commas between them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def say(line: str) -> None:
    """Tell the person at the terminal what is going on, on stderr."""
    sys.stderr.write(f"gpu-check: {line}\n")
    sys.stderr.flush()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m stillflow_bench.gpu.check", description=__doc__)
    made.add_argument("--device", type=int, default=0, help="index of the GPU [0]")
    made.add_argument("--photos", type=int, help=f"photos of the soak [{PHOTOS}, {TINY_PHOTOS} with --tiny]")
    made.add_argument(
        "--only", type=named, default=(), help="these steps, with commas: doctor,kernels,bench,soak"
    )
    made.add_argument("--skip", type=named, default=(), help="all but these steps")
    made.add_argument(
        "--budget", type=float, help="seconds for everything; steps that do not fit are not run"
    )
    made.add_argument(
        "--results", type=Path, default=Path("benchmarks/results"), help="folder of the results"
    )
    made.add_argument(
        "--logs", type=Path, default=Path("build/gpu-check"), help="folder of every step's output"
    )
    made.add_argument("--no-write", action="store_true", help="write no results")
    made.add_argument("--tiny", action="store_true", help="sizes at which figures mean nothing: does it run?")
    return made


if __name__ == "__main__":
    sys.exit(check(parser().parse_args()))
