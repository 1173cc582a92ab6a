# SPDX-License-Identifier: Apache-2.0
"""What the commands print at the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from stillflow_export.gates import Judged


def progress(text: str) -> None:
    """Say what is being done, for those who wait."""
    click.echo(f"{text} ...", err=True)


def say(as_json: bool, summary: dict[str, Any], receipts: Sequence[Judged]) -> None:
    """Print the summary and the gates' figures."""
    if as_json:
        click.echo(json.dumps({**summary, "gates": [receipt.as_json() for receipt in receipts]}))
        return
    for key, value in summary.items():
        click.echo(f"{key}: {value}")
    for receipt in receipts:
        for line in receipt.lines:
            click.echo(line)
