# SPDX-License-Identifier: Apache-2.0
"""``stillflow-bench judge``."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=VALUE",
    help="Draw a line elsewhere, such as windows_stable=15; nothing is measured again.",
)
@click.option("--json", "as_json", is_flag=True, help="The whole verdict as JSON.")
@click.option("--all", "everything", is_flag=True, help="Also what holds.")
def judge(folder: Path, limits: tuple[str, ...], as_json: bool, everything: bool) -> None:
    """Say whether the run in FOLDER is VALID or INVALID, and why: exit code 0 or 1.

    The verdict comes from the files alone, every sample is read again, and it is kept in FOLDER/verdict.json.
    """
    import msgspec

    from stillflow_bench.latency.judge import judge as judge_run
    from stillflow_bench.latency.judge import told
    from stillflow_bench.latency.limits import parse_limits

    verdict = judge_run(folder, parse_limits(",".join(limits)))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(verdict), indent=1).decode())
    else:
        click.echo(told(verdict, everything=everything))
    sys.exit(0 if verdict.valid else 1)
