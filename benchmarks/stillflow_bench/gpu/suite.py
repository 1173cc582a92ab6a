# SPDX-License-Identifier: Apache-2.0
"""The suite "gpu": ``python -m stillflow_bench.gpu.suite PART`` measures a part, ``stillflow-bench gpu`` some or all.

What a part needs and does not find becomes a row that says so, beside the limit that was to be reached.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import traceback
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu
from stillflow_bench import machine
from stillflow_bench.gpu.plan import Plan, brought_generator, tiny_plan
from stillflow_bench.gpu.samples import missing
from stillflow_bench.gpu.stage import NOTHING_TO_DO
from stillflow_bench.gpu.steps import PARTS
from stillflow_bench.gpu.surroundings import surroundings
from stillflow_bench.gpu.versions import gpu_versions
from stillflow_bench.machine import Provenance
from stillflow_bench.report import Row, as_json

MODULES = {"copy": "bandwidth"}
"""Part -> module that measures it, where its name is another."""


def measure(part: str, plan: Plan) -> list[Row]:
    """Measure one part.

    Args:
        part: from ``steps.PARTS``.
        plan: how much of it.

    Returns:
        Its rows; one that says why, where the part cannot be measured at all.

    Raises:
        StillflowError: there is no such part, or no such GPU.
    """
    if part not in PARTS:
        raise StillflowError(
            f"cannot measure '{part}'", "there is no such part", f"use some of: {', '.join(PARTS)}"
        )
    from stillflow.gpu.open import open_device

    module = importlib.import_module(f"stillflow_bench.gpu.{MODULES.get(part, part)}")
    before = surroundings(plan.device)
    with closing(open_device(plan.device)) as device:
        try:
            rows: list[Row] = module.measure(device, plan)
        except Exception as error:  # a part of its own kind of trouble must not cost the others their rows
            traceback.print_exc()
            broken = missing(part, PARTS[part], f"{type(error).__name__}: {error}")
            return [replace(broken, parameters={"broke": True})]
    around = {"before": before, "after": surroundings(plan.device)}
    first = replace(rows[0], parameters={**rows[0].parameters, "surroundings": around})
    return [first, *rows[1:]]


def gpu_provenance(index: int, command: str | None = None) -> Provenance:
    """Where figures of a GPU come from: named after it, with the versions that matter there.

    Raises:
        StillflowError: there is no such GPU.
    """
    gpu = find_gpu(index)
    if gpu is None:
        fix = "run it on a machine with one; `stillflow doctor` says what is here"
        raise StillflowError("cannot measure a GPU", f"there is no CUDA device {index} on this machine", fix)
    about = machine.provenance(command)
    versions = {**gpu_versions(), "driver": gpu.driver}
    return replace(about, machine=machine.slug(gpu.name), versions=versions)


def run_part(part: str, plan: Plan, rows: Path | None) -> int:
    """Measure a part in this process and hand its rows over.

    Args:
        part: from ``steps.PARTS``.
        plan: how much of it.
        rows: JSON file to write them to; None: they are only summed up.

    Returns:
        0; 1 where the part broke; ``NOTHING_TO_DO`` where this machine has nothing of what it measures.
    """
    about = gpu_provenance(plan.device, f"python -m stillflow_bench.gpu.suite {part}")
    found = measure(part, plan)
    if rows is not None:
        rows.parent.mkdir(parents=True, exist_ok=True)
        rows.write_text(json.dumps({"rows": as_json(found, about)}), encoding="utf-8")
    sys.stdout.write(json.dumps({"says": summed_up(found)}) + "\n")
    if any(row.parameters.get("broke") for row in found):
        return 1
    if not all(row.missing for row in found):
        return 0
    sys.stderr.write(f"{found[-1].missing}\n")
    return NOTHING_TO_DO


def keep(folder: Path, rows: Sequence[Row], plan: Plan, about: Provenance) -> tuple[Path, Path]:
    """Write rows into the results of this GPU and day.

    Args:
        folder: of the results.
        rows: of some parts.
        plan: that they were measured by.
        about: see ``gpu_provenance``.

    Returns:
        Paths of the .json and the .md.

    Raises:
        StillflowError: the device is a stand-in of the tests.
    """
    from stillflow_bench.gpu.record import described, is_stand_in, write_check

    gpu = find_gpu(plan.device)
    if gpu is None or is_stand_in(gpu.name):
        why = "the device is a stand-in for one, and its figures mean nothing"
        raise StillflowError("cannot write results", why, "leave out --out")
    return write_check(folder, described(gpu, about, tiny=plan.tiny), [], as_json(rows, about))


def summed_up(rows: Sequence[Row]) -> str:
    """One line about rows: how many limits are kept, and which are not."""
    limits = [row for row in rows if row.limit is not None]
    kept, lost = [row for row in limits if row.holds], [row.name for row in limits if row.holds is False]
    absent = [row for row in rows if row.missing]
    said = f"{len(kept)} of {len(limits)} targets met" if limits else f"{len(rows)} figures"
    said += f"; missed: {'; '.join(lost)}" if lost else ""
    return said + (
        f"; {len(absent)} not run, such as {absent[0].name}: {absent[0].missing}" if absent else ""
    )


def parser() -> argparse.ArgumentParser:
    """The command line of one part."""
    made = argparse.ArgumentParser(prog="python -m stillflow_bench.gpu.suite", description=__doc__)
    made.add_argument("part", choices=list(PARTS))
    made.add_argument("--device", type=int, default=0)
    made.add_argument("--rows", type=Path)
    made.add_argument("--tiny", action="store_true")
    made.add_argument("--repeats", type=int, default=Plan.repeats)
    made.add_argument("--bundle")
    made.add_argument("--imported", type=Path, default=brought_generator())
    return made


def plan_of(arguments: Any) -> Plan:
    """The plan that a command line asks for."""
    plan = Plan(
        arguments.device, repeats=arguments.repeats, bundle=arguments.bundle, imported=arguments.imported
    )
    return tiny_plan(plan) if arguments.tiny else plan


def main() -> int:
    """Measure one part; exit code 2 for what a person can put right."""
    arguments = parser().parse_args()
    try:
        return run_part(arguments.part, plan_of(arguments), arguments.rows)
    except StillflowError as error:
        sys.stderr.write(f"gpu: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
