# SPDX-License-Identifier: Apache-2.0
"""The file of accepted counts, and what a count is beside the accepted one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from stillflow.errors import StillflowError
from stillflow_bench.guard.counts import Counted
from stillflow_bench.report import replace_file

SCHEMA = "1.0"

TOLERANCE = 0.02
"""A change that is let through: two compilers of one version may differ in a package's patches."""

ACCEPT = "stillflow-bench guard --accept"

LARGEST = 1 << 20
"""Bytes of the file; an environment takes about 4 kB."""

Environments = dict[str, dict[str, int]]
"""Environment -> what was counted -> how often a frame."""

Standing = Literal["same", "rose", "fell", "new", "gone", "differs", "unknown", "left out"]

SAYS: Mapping[Standing, str] = {
    "same": "as accepted",
    "rose": "ROSE",
    "fell": "FELL",
    "new": "NEW",
    "gone": "GONE",
    "differs": "NOT THE SAME TWICE",
    "unknown": "nothing accepted here",
    "left out": "not counted",
}

FAILING: frozenset[Standing] = frozenset(("rose", "fell", "new", "gone", "differs"))
"""A fall too: a baseline that is not lowered lets the next rise through."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    schema: str
    environments: Environments


@dataclass(frozen=True)
class Line:
    """One count beside the accepted one.

    Attributes:
        by: the counter.
        what: was counted.
        standing: what comes of it.
        counted: now; None where it was not.
        accepted: in the file; None where it is not.
        why: what else is to be said.
    """

    by: str
    what: str
    standing: Standing
    counted: int | None = None
    accepted: int | None = None
    why: str = ""

    @property
    def change(self) -> float | None:
        """Part of the accepted count that came on top; None where there is no such part."""
        if self.counted is None or not self.accepted:
            return None
        return self.counted / self.accepted - 1

    @property
    def sentence(self) -> str:
        """What happened, and what to do about it."""
        name = f"{self.by}: {self.what}"
        accept = f"if that is meant, accept it: {ACCEPT}"
        if self.standing in ("rose", "fell"):
            change = "" if self.change is None else f" by {abs(self.change):.1%}"
            values = f"from {self.accepted:,} to {self.counted:,}".replace(",", " ")
            return f"{name} {self.standing}{change}, {values} a frame; {accept}"
        if self.standing == "differs":
            return f"{name} was counted twice and differs: {self.counted} and {self.why}; find what it depends on"
        if self.standing in ("new", "gone"):
            told = "has no accepted count" if self.standing == "new" else "is not counted any more"
            return f"{name} {told}; {accept}"
        return f"{name}: {SAYS[self.standing]}{': ' + self.why if self.why else ''}"


def read_baseline(path: Path) -> Environments:
    """Read the file of accepted counts; none when there is no file.

    Raises:
        StillflowError: it is no such file.
    """
    if not path.is_file():
        return {}
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it is larger than {LARGEST} bytes")
        told = msgspec.json.decode(path.read_bytes(), type=_File)
        if told.schema.split(".")[0] != SCHEMA.split(".")[0]:
            raise ValueError(f"its schema is {told.schema!r}, this version reads {SCHEMA}")
    except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
        raise StillflowError(
            f"cannot read the accepted counts {path.name}",
            str(error),
            f"take it from the repository's history, or write it anew: {ACCEPT}",
        ) from error
    return told.environments


def accept(path: Path, counted: Iterable[Counted]) -> None:
    """Write counts into the file; those of other environments, and of what was not counted here, stay."""
    environments = read_baseline(path)
    environments |= {one.environment: dict(one.counts) for one in counted if one.counts}
    text = json.dumps({"schema": SCHEMA, "environments": dict(sorted(environments.items()))}, indent=1)
    replace_file(path, text + "\n")


def compared(counted: Iterable[Counted], accepted: Environments) -> list[Line]:
    """Hold counts against the accepted ones of the same environment, in the order they were counted."""
    lines = []
    for one in counted:
        known = accepted.get(one.environment)
        for what, value in one.counts.items():
            before = None if known is None else known.get(what)
            if what in one.differing:
                lines.append(Line(one.by, what, "differs", value, before, str(one.differing[what])))
            elif known is None:
                lines.append(Line(one.by, what, "unknown", value))
            else:
                lines.append(Line(one.by, what, _standing(value, before), value, before))
        lines += [Line(one.by, what, "differs", None, None, str(value))
                  for what, value in one.differing.items() if what not in one.counts]  # fmt: skip
        lines += [Line(one.by, what, "gone", None, value)
                  for what, value in (known or {}).items() if what not in one.counts]  # fmt: skip
        lines += [Line(one.by, what, "left out", why=why) for what, why in one.left_out.items()]
    return lines


def _standing(value: int, accepted: int | None) -> Standing:
    if accepted is None:
        return "new"
    if abs(value - accepted) <= TOLERANCE * accepted:
        return "same"
    return "rose" if value > accepted else "fell"


def unknown(counted: Iterable[Counted], accepted: Environments) -> list[str]:
    """Say of each counter whose environment the file does not know that its counts were compared with nothing."""
    return [
        f"{one.by}: nothing is accepted for {one.environment}, so only that both runs agree was checked; "
        f"where the tree is known to be good: {ACCEPT}"
        for one in counted
        if one.counts and one.environment not in accepted
    ]


def failures(lines: Iterable[Line]) -> list[Line]:
    """Those that end the command with exit code 1."""
    return [line for line in lines if line.standing in FAILING]
