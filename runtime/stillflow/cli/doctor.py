# SPDX-License-Identifier: Apache-2.0
"""``stillflow doctor``: what this machine can run, why not, and the line that fixes it."""

from __future__ import annotations

import dataclasses
import json

import click

import stillflow

MARKS = {"ok": "ok", "absent": "--", "broken": "FAIL"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one object on stdout.")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Say what this machine can run, and how to fix what it cannot.

    Everything is found by trying: encoders encode, engines run a network, the default bundle is verified.
    Exit code 0 when photos can be animated, 2 otherwise.
    """
    from stillflow.doctor import examine, healthy

    findings = examine()
    fine = healthy(findings)
    if as_json:
        rows = [dataclasses.asdict(finding) for finding in findings]
        click.echo(
            json.dumps({"version": stillflow.__version__, "healthy": fine, "findings": rows}, indent=2)
        )
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            click.echo(f"{MARKS[finding.state]:>4}  {finding.name:<{width}}  {finding.detail}")
            if finding.fix is not None and finding.state != "ok":
                click.echo(f"{'':>4}  {'':<{width}}  fix: {finding.fix}")
        click.echo()
        click.echo(
            "This machine can animate photos."
            if fine
            else "This machine cannot animate photos yet: see FAIL."
        )
    context.exit(0 if fine else 2)
