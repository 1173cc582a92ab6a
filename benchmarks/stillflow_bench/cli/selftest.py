# SPDX-License-Identifier: Apache-2.0
"""``stillflow-bench selftest``."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.option("--loadgen", is_flag=True, help="Also compare with MLPerf's LoadGen (extra: loadgen).")
@click.option(
    "-o", "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for selftest.json."
)
def selftest(loadgen: bool, out: Path | None) -> None:
    """Measure a fake engine whose delays are known: does the suite find them within 2 %? Exit code 1 if not.

    Every distribution under every scenario, in real time and through the drivers that measure real engines; and what
    the drivers themselves cost. With --loadgen the same fake under MLPerf's LoadGen, within 5 %. It needs a machine
    that does nothing else, as every measurement does.
    """
    from stillflow_bench.latency.selftest import selftest as test
    from stillflow_bench.latency.selftest_report import told, write
    from stillflow_bench.machine import provenance

    about = provenance()
    result = test(loadgen=loadgen)
    click.echo(told(result, about))
    if out is not None:
        click.echo(f"wrote {write(out, result, about)}", err=True)
    sys.exit(0 if result.holds else 1)
