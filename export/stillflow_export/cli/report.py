# SPDX-License-Identifier: Apache-2.0
"""``stillflow-export report``: one HTML page about a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import click

from stillflow_export.cli.inputs import FILE


@click.command()
@click.argument("bundle", metavar="BUNDLE")
@click.option("-o", "--out", type=FILE, default=Path("report.html"), show_default=True, help="Page to write.")
@click.option("--engines", type=click.Path(path_type=Path, file_okay=False, exists=True),
              help="Folder of built engines.  [default: the cache of stillflow build]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the main figures as one object on stdout.")
def report(bundle: str, out: Path, engines: Path | None, as_json: bool) -> None:
    """Write one HTML page about BUNDLE: sizes, MACs, precision by layer, gates, receipts, engines, licences.

    The page fetches nothing and runs no script. Nothing of the bundle is run either.
    """
    from stillflow.build.cache import cache_root
    from stillflow.bundle import Bundle
    from stillflow_export.engine_layers import find_engines
    from stillflow_export.report import gather
    from stillflow_export.report_page import page
    from stillflow_export.whole_file import check_text_file, write_text

    check_text_file(out, (".html", ".htm"))
    with Bundle.open(bundle) as opened:
        found = gather(opened, find_engines([engines or cache_root()], opened.manifest))
    write_text(out, page(found))
    if as_json:
        click.echo(json.dumps({**found.summary(), "file": str(out)}))
        return
    for graph in found.graphs:
        for variant in graph.variants:
            name = f"{graph.graph.name} {variant.precision}"
            if variant.cost is None:
                click.echo(f"{name}: {variant.bytes / 1e6:.2f} MB, not measured: {variant.problem}")
                continue
            click.echo(
                f"{name}: {variant.bytes / 1e6:.2f} MB, {len(variant.cost.layers)} layers, "
                f"{variant.cost.parameters:,} parameters, {variant.cost.macs / 1e6:,.1f} MMAC "
                f"at {graph.width}x{graph.height}"
            )
    failed = [row for row in found.gates if not row.passed]
    click.echo(f"gates: {len(found.gates) - len(failed)} of {len(found.gates)} outputs passed")
    click.echo(f"engines: {len(found.engines)}")
    click.echo(f"written to {out}")
