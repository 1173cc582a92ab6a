# SPDX-License-Identifier: Apache-2.0
"""All counters in turn, and their table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from stillflow.errors import StillflowError
from stillflow_bench.guard import callgrind, device_bytes, interpreter
from stillflow_bench.guard.baseline import SAYS, Line
from stillflow_bench.guard.counts import Counted
from stillflow_bench.report import replace_file

TREE = Path(__file__).resolve().parents[3]
"""Root of the source tree, where there is one."""

BASELINE = TREE / "benchmarks" / "guard.json"
"""Accepted counts."""

BUILD = TREE / "build" / "guard"
"""Where the program is built that callgrind counts: what did not change is not built again."""


def count(announce: Callable[[str], None] = lambda _: None) -> list[Counted]:
    """Count what can be counted here.

    Args:
        announce: is told what is counted.

    Raises:
        StillflowError: there is no source tree, or it does not compile.
    """
    if not (TREE / "CMakeLists.txt").is_file():
        raise StillflowError(
            "there is nothing to guard",
            "the package is not installed from a source tree, so its kernels cannot be built and counted",
            "clone the repository, then: make test",
        )
    why = callgrind.missing()
    if why:
        native = Counted("native", "none", {}, left_out={"kernels": why})
    else:
        announce("native: building")
        program = callgrind.build(TREE, BUILD)
        announce("native: two runs under callgrind")
        native = callgrind.count(program)
    announce("python")
    python = interpreter.count()
    announce("cuda")
    return [native, python, device_bytes.count()]


def table(lines: Sequence[Line]) -> str:
    """Write lines as a Markdown table."""
    rows = [
        ("by", "what", "counted", "accepted", "change", "standing"),
        ("---", "---", "---:", "---:", "---:", "---"),
    ]
    for line in lines:
        change = "" if line.change is None else f"{line.change:+.1%}"
        said = SAYS[line.standing] + (f": {line.why}" if line.why else "")
        rows.append((line.by, line.what, _number(line.counted), _number(line.accepted), change, said))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}".replace(",", " ")


def as_json(counted: Iterable[Counted], lines: Iterable[Line]) -> str:
    """Everything in one line of JSON."""
    return json.dumps({
        "counted": [asdict(one) for one in counted],
        "lines": [{**asdict(line), "change": line.change} for line in lines],
    })  # fmt: skip


def keep(folder: Path, told: str, lines: Sequence[Line]) -> tuple[Path, Path]:
    """Write guard.json and guard.md into a folder, which is made when missing; return both."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "guard.json", folder / "guard.md"
    replace_file(paths[0], told + "\n")
    replace_file(paths[1], table(lines) + "\n")
    return paths
