# SPDX-License-Identifier: Apache-2.0
"""What the check of a GPU machine leaves: ``<gpu>-<date>.json`` and a table, written anew after every step.

So that what is there when a machine is taken away says what was done until then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stillflow.gpu.description import Gpu
from stillflow_bench.gpu.stage import Outcome
from stillflow_bench.gpu.versions import gpu_versions
from stillflow_bench.machine import Provenance, slug
from stillflow_bench.report import file_text, joined, read_report, replace_file
from stillflow_bench.tables import markdown, number

STAND_IN = "stand-in"
"""Part of the name of a device that is none: a library of the tests that answers in the driver's place."""


MET = {True: "met", False: "**not met**", None: ""}


def is_stand_in(name: str) -> bool:
    """Whether a device's name says that there is no device, so that its figures mean nothing."""
    return STAND_IN in name.lower()


def described(gpu: Gpu, about: Provenance, *, tiny: bool = False) -> dict[str, Any]:
    """What a file of results says of the machine.

    Args:
        gpu: that was used.
        about: of the run.
        tiny: whether sizes were used at which figures mean nothing.
    """
    return {
        "gpu": asdict(gpu),
        "date": about.date,
        "machine": {
            "cpu": about.cpu,
            "cores": about.cores,
            "memory_gib": about.memory_gib,
            "system": about.system,
        },
        "python": about.python,
        "versions": gpu_versions(),
        "commit": about.commit,
        "tiny": tiny,
    }


def write_check(
    folder: Path,
    machine: Mapping[str, Any],
    outcomes: Sequence[Outcome],
    rows: Sequence[Mapping[str, Any]],
) -> tuple[Path, Path]:
    """Write the outcome of a check; steps and parts of this GPU of the same day that were not done now stay.

    Args:
        folder: is made when missing.
        machine: see ``described``.
        outcomes: of the steps, in order.
        rows: as ``report.as_json`` makes them.

    Returns:
        Paths of the .json and the .md.

    Raises:
        ValueError: the device is a stand-in of the tests.
    """
    name = str(machine["gpu"]["name"])
    if is_stand_in(name):
        raise ValueError(f"{name} is no device: nothing of it is kept")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{slug(name)}-{str(machine['date'])[:10]}.json"
    old_rows: Sequence[Mapping[str, Any]] = []
    old_steps: list[dict[str, Any]] = []
    if path.is_file():
        old_rows = read_report(path)
        old_steps = json.loads(path.read_text(encoding="utf-8")).get("check", {}).get("steps", [])
    steps = _steps(old_steps, [_plain(outcome) for outcome in outcomes])
    every = joined(old_rows, rows)
    replace_file(path, file_text(every, {"check": {**machine, "steps": steps}}))
    table = path.with_suffix(".md")
    figures = f"\n{targets_table(every)}\n{_figures(every)}" if every else ""
    replace_file(table, check_table(machine, steps) + figures)
    return path, table


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {**asdict(outcome), "found": dict(outcome.found)}


def _steps(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """New outcomes in the place of old ones of the same name; what was not run now keeps what it had."""
    done = {step["name"]: step for step in old}
    for step in new:
        if step["state"] != "not run" or step["name"] not in done:
            done[step["name"]] = step
    return list(done.values())


def check_table(machine: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> str:
    """The steps as Markdown, under what the machine is."""
    gpu = machine["gpu"]
    versions = ", ".join(f"{name} {version}" for name, version in machine.get("versions", {}).items())
    said = (
        f"{gpu['name']}, compute capability {gpu['compute_capability']}, {gpu['multiprocessors']} multiprocessors, "
        f"{gpu['memory_mib'] / 1024:.0f} GiB, driver {gpu['driver']}; commit {machine.get('commit', 'unknown')}; "
        f"{versions}."
    )
    lines = [f"# {gpu['name']}, {str(machine['date'])[:10]}", "", said, ""]
    lines += ["| step | what | outcome | seconds |", "|---|---|---|---:|"]
    for step in steps:
        why = f": {_one_line(step['why'])}" if step["why"] else ""
        state = f"**{step['state']}**" if step["state"] in ("failed", "out of time") else step["state"]
        told = step["found"].get("says", "") if isinstance(step["found"], Mapping) else ""
        lines.append(
            f"| {step['name']} | {step['what']} | {state}{why}{f' ({_one_line(told)})' if told else ''} "
            f"| {step['seconds']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def targets_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Figures that have something to reach as Markdown, with what became of each."""
    lines = ["## Targets", "", "| figure | measured | to reach | outcome |", "|---|---:|---|---|"]
    for row in rows:
        if row["limit"] is None:
            continue
        unit = f" {row['unit']}" if row["unit"] else ""
        value = "" if row["missing"] else f"{number(row['value'])}{unit}"
        outcome = f"not run: {_one_line(row['missing'])}" if row["missing"] else MET[row["holds"]]
        name = f"{row['part']}: {row['name']}"
        lines.append(f"| {name} | {value} | {row['side']} {number(row['limit'])}{unit} | {outcome} |")
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join(str(text).replace("|", "/").split())[:300]


def _figures(rows: Sequence[Mapping[str, Any]]) -> str:
    """The report's own tables, without their title: this file has one."""
    lines = markdown(rows).splitlines()
    return "\n".join(lines[1:]).lstrip("\n") + "\n"
