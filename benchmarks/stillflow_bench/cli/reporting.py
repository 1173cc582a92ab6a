# SPDX-License-Identifier: Apache-2.0
"""What commands that measure rows share: the folder of the report, running, telling, and photos to measure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from stillflow.errors import StillflowError
from stillflow_bench import machine
from stillflow_bench.report import Row, as_json, write_report
from stillflow_bench.tables import markdown

Keep = Callable[[list[Row]], None]
"""Writes rows into the report as soon as they are there."""

OUT = click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for <machine>-<date>.json and .md; without it the table goes to stdout only.",
)


def some(photos: tuple[Path, ...], command: str) -> tuple[Path, ...]:
    """Return photos that there are.

    Raises:
        StillflowError: there are none.
    """
    if not photos:
        raise StillflowError(
            "there is no photo to measure",
            "none was named, and the package is not installed from a source tree with samples/",
            f"name photos: stillflow-bench {command} waterfall.jpg",
        )
    return photos


def run(measure: Callable[[Keep], list[Row]], out: Path | None, *, quiet: bool = False) -> None:
    """Measure, print the table and, with a folder, write the report.

    Args:
        measure: is given a function that writes rows at once, for what takes long.
        out: folder of the report.
        quiet: without the table.
    """
    about = machine.provenance()  # before the work, so that the load is that of the machine at rest

    def keep(rows: list[Row]) -> None:
        if out is not None:
            write_report(out, rows, about)

    rows = measure(keep)
    if not quiet:
        click.echo(markdown(as_json(rows, about)))
    if out is not None:
        for path in write_report(out, rows, about):
            say(f"wrote {path}")


def say(line: str) -> None:
    """Tell the person at the terminal what is going on, on stderr."""
    click.echo(line, err=True)
