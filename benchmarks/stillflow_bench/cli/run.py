# SPDX-License-Identifier: Apache-2.0
"""``stillflow-bench run``."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from stillflow.errors import StillflowError

EPILOG = """\b
Examples:
  stillflow-bench run --quick -o run
  stillflow-bench run --standard --only networks,raw-onnxruntime -o run
  stillflow-bench run --target frame --subject engine=openvino,size=1080p --queries 459 -o run
  stillflow-bench run --target next --scenario server --rate 20 --queries 500 --lanes 2 -o run
"""

SCENARIOS = ("single_stream", "multi_stream", "offline", "server", "sustained", "cold")


@click.command(epilog=EPILOG)
@click.option("--quick", "plan", flag_value="quick", help="All boundaries at 640x360, in less than 45 s.")
@click.option("--standard", "plan", flag_value="standard",
              help="Scenarios and peers too, at 1280x720, in about 5 minutes. This is the default.")  # fmt: skip
@click.option("--full", "plan", flag_value="full", help="Everything, for an hour and more.")
@click.option("-o", "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the run.")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Folder of runs: this one goes into <machine>-<date>-<plan> there.")  # fmt: skip
@click.option("--target", metavar="KIND", help="One block of your own instead of a plan: frame, next, job...")
@click.option("--subject", metavar="NAME=VALUE,...",
              help="What runs: bundle, engine, precision, device, size, moving, threads, seconds, fps.")  # fmt: skip
@click.option("--device", help="Of the subject: cpu, cuda, cuda:N or auto.")
@click.option("--photos", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="Folder of photos; 32 come with the package.")  # fmt: skip
@click.option("--only", metavar="NAME,...", help="Only these blocks of the plan.")
@click.option("--scenario", type=click.Choice(SCENARIOS), help="How the own block is loaded.")
@click.option("--queries", type=click.IntRange(1), help="At least so many are measured.")
@click.option("--seconds", type=click.FloatRange(0), help="And for at least so long.")
@click.option("--warm-up", type=click.IntRange(0), help="Queries before those.")
@click.option("--audit", type=click.IntRange(0), help="Queries with one input again and again, after them.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Queries a second, of server.")
@click.option("--lanes", type=click.IntRange(1, 1024), help="That work at the same time.")
@click.option("--rounds", type=click.IntRange(1), help="Turns that the queries are shared out to.")
@click.option("--issue", type=click.Choice(("unique", "same")), help="Inputs in turn, or always the first.")
@click.option("--driver", type=click.Choice(("own", "loadgen")), help="Who makes the queries: us, or MLPerf.")
@click.option("--seed", type=click.IntRange(0), help="Of all that is drawn.")
@click.option("--overwrite", is_flag=True, help="Replace a run that is in the folder.")
@click.option("--compress", is_flag=True, help="Pack the samples.")
@click.option("--json", "as_json", is_flag=True, help="The verdict as one line of JSON instead of the table.")
def run(
    out: Path | None,
    into: Path | None,
    photos: Path | None,
    overwrite: bool,
    compress: bool,
    as_json: bool,
    **typed: Any,
) -> None:
    """Measure latency on this machine, beside peers and limits, judge it, and write report.html.

    Every sample is kept. Run it on a machine that does nothing else. The exit code says whether it was measured, not
    whether it is VALID: ask `stillflow-bench judge DIR` for that. 2: no block could be measured.
    """
    from stillflow_bench.latency.judge import judge
    from stillflow_bench.latency.markdown import full_table
    from stillflow_bench.latency.outcome import summed_up
    from stillflow_bench.latency.page.write import write_page
    from stillflow_bench.latency.run import run as measure
    from stillflow_bench.latency.run_folder import own_folder
    from stillflow_bench.latency.settings import Settings, plan_of

    plan = plan_of(Settings(photos=None if photos is None else str(photos), **typed))
    folder = own_folder(out, into, plan)
    record = measure(plan, folder, announce=say, overwrite=overwrite, compress=compress)
    verdict = judge(folder)
    found = summed_up(verdict, record)
    try:
        say(f"wrote {write_page(folder)}")
    except StillflowError as error:  # what was measured is there without a page, too
        say(f"no page: {error}")
    if as_json:
        click.echo(json.dumps({"folder": str(folder), **found}))
    else:
        click.echo(full_table(record, verdict))
        click.echo(found["says"])
    nothing = all(one.missing for one in record.measured)
    sys.exit(130 if record.interrupted else 2 if nothing else 0)


def say(line: str) -> None:
    """Tell the person at the terminal what is going on, on stderr; a terminal that was closed ends no run."""
    with suppress(OSError):
        click.echo(line, err=True)
