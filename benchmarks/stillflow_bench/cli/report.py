# SPDX-License-Identifier: Apache-2.0
"""``stillflow-bench report``."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The page, or a full table where it ends in .md. DIR/report.html when left out.",
)
@click.option("--markdown", "as_table", is_flag=True, help="Print the table for a README; no page unless -o.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON; no page unless -o.")
def report(folder: Path, out: Path | None, as_table: bool, as_json: bool) -> None:
    """Judge the run in DIR and show it: one page of HTML that needs no network."""
    from stillflow_bench.latency.judge import judge
    from stillflow_bench.latency.markdown import for_programs, markdown, readme_table
    from stillflow_bench.latency.page import write_page
    from stillflow_bench.latency.record import read_record
    from stillflow_bench.report import write_for

    if as_table or as_json:
        record, verdict = read_record(folder), judge(folder)
        click.echo(
            readme_table(record, verdict) if as_table else json.dumps(for_programs(record, verdict)),
            nl=as_json,
        )
        if out is None:
            return
    if out is not None and out.suffix == ".md":
        write_for(out, markdown(folder))
        click.echo(f"wrote {out}", err=True)
    else:
        click.echo(f"wrote {write_page(folder, out)}", err=True)
