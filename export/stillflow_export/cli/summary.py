# SPDX-License-Identifier: Apache-2.0
"""What the commands print at the end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from stillflow_export.gates import GateReceipt


def progress(text: str) -> None:
    """Say what is being done, for those who wait."""
    click.echo(f"{text} ...", err=True)


def say(as_json: bool, summary: dict[str, Any], receipts: list[GateReceipt]) -> None:
    """Print the summary and the gates' figures."""
    if as_json:
        click.echo(json.dumps({**summary, "gates": [receipt.as_json() for receipt in receipts]}))
        return
    for key, value in summary.items():
        click.echo(f"{key}: {value}")
    for receipt in receipts:
        gate = " ".join((receipt.gate, *filter(None, [receipt.more.get("precision")])))
        for output, report in receipt.outputs.items():
            click.echo(
                f"gate {gate} {receipt.graph}.{output}: max {report.max_abs:.2e} of {report.scale:.3g}, "
                f"worst sample '{report.worst_sample}', {len(receipt.samples)} samples"
            )
