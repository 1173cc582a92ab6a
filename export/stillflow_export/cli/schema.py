# SPDX-License-Identifier: Apache-2.0
"""``stillflow-export schema``: the manifest's JSON Schema."""

from __future__ import annotations

from pathlib import Path

import click

from stillflow_export.cli.inputs import FILE


@click.command()
@click.option("-o", "--out", type=FILE, required=True, help="File to write.")
def schema(out: Path) -> None:
    """Write the JSON Schema of a bundle's manifest."""
    from stillflow.bundle import json_schema
    from stillflow_export.whole_file import check_text_file, write_whole

    check_text_file(out, (".json",))
    write_whole(out, json_schema())
