# SPDX-License-Identifier: Apache-2.0
"""``stillflow-export schema``: the manifest's JSON Schema."""

from __future__ import annotations

from pathlib import Path

import click

from stillflow.errors import StillflowError
from stillflow_export.cli.inputs import FILE


@click.command()
@click.option("-o", "--out", type=FILE, required=True, help="File to write.")
def schema(out: Path) -> None:
    """Write the JSON Schema of a bundle's manifest."""
    from stillflow.bundle import json_schema

    try:
        out.write_bytes(json_schema())
    except OSError as error:
        raise StillflowError(f"cannot write {out}", str(error), "choose a folder you may write to") from error
