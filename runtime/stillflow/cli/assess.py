# SPDX-License-Identifier: Apache-2.0
"""``stillflow assess``: will this photo make a good loop, and why not."""

from __future__ import annotations

import json

import click

from stillflow.cli.options import guidance_options, network_options, to_guidance

VERDICTS = ("unsuitable", "doubtful", "good", "very good")


@click.command()
@click.argument("photo")
@guidance_options
@network_options
@click.option("--json", "as_json", is_flag=True, help="Print one object on stdout.")
def assess(
    *,
    photo: str,
    mask: str | None,
    still: str | None,
    arrows: tuple[str, ...],
    strength: float,
    seed: int,
    bundle: str | None,
    engine: str,
    as_json: bool,
) -> None:
    """Say how well PHOTO lends itself to a loop, from 0 (unsuitable) to 3 (very good), and why not."""
    guidance = to_guidance(mask, still, arrows, strength, seed)
    from stillflow.animator import Animator

    found = Animator(bundle, engine).assess(photo, guidance)
    if as_json:
        summary = {
            "photo": photo,
            "score": found.score,
            "reasons": list(found.reasons),
            "measures": found.measures,
        }
        click.echo(json.dumps(summary))
        return
    click.echo(f"{found.score} of 3, {VERDICTS[round(found.score)]}")
    for reason in found.reasons:
        click.echo(f"  - {reason}")
