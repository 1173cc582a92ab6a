# SPDX-License-Identifier: Apache-2.0
"""``stillflow-bench guard``."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for guard.json and guard.md.",
)
@click.option("--accept", is_flag=True, help="Make these counts the accepted ones: benchmarks/guard.json.")
@click.option("--json", "machine_readable", is_flag=True, help="Print one line of JSON, not the table.")
def guard(out: Path | None, accept: bool, machine_readable: bool) -> None:
    """Count instructions, allocations and bytes of a frame, and hold them against the accepted counts.

    The exit code is 1 when a count changed by more than 2 %, up or down, and --accept was not given. It takes cmake
    and valgrind; without them the kernels in C are not counted, and the table says so.
    """
    from stillflow_bench.guard import baseline, suite

    counted = suite.count(lambda text: click.echo(text, err=True))
    if accept:
        baseline.accept(suite.BASELINE, counted)
    accepted = baseline.read_baseline(suite.BASELINE)
    lines = baseline.compared(counted, accepted)
    told = suite.as_json(counted, lines)
    click.echo(told if machine_readable else suite.table(lines))
    if out is not None:
        for path in suite.keep(out, told, lines):
            click.echo(f"wrote {path}", err=True)
    failed = baseline.failures(lines)
    for sentence in (*baseline.unknown(counted, accepted), *(line.sentence for line in failed)):
        click.echo(sentence, err=True)
    if failed:
        sys.exit(1)
