# SPDX-License-Identifier: Apache-2.0
"""``stillflow assess``: will this photo make a good loop, and why not."""

from __future__ import annotations

import json

import click

from stillflow.cli.options import guidance_options, network_options, tell, to_guidance

EPILOG = """\b
Examples:
  stillflow assess waterfall.jpg
  stillflow assess lake.jpg --mask water.png --json
  for f in *.jpg; do stillflow assess "$f" >/dev/null && stillflow animate "$f" -o "${f%.jpg}.mp4"; done

\b
Exit codes: 0 for a good or a risky photo, 2 for one that will not work (0 with --force), 2 also for
a mistake, with a message on stderr.
"""

WORDS = ("unsuitable", "poor", "good", "very good")


@click.command(epilog=EPILOG)
@click.argument("photo")
@guidance_options
@network_options
@click.option("--force", is_flag=True, help="Exit with 0 whatever the verdict.")
@click.option("--json", "as_json", is_flag=True, help="Print one object on stdout.")
def assess(
    *,
    photo: str,
    mask: str | None,
    still: str | None,
    arrows: tuple[str, ...],
    velocity: str | None,
    context: str | None,
    strength: float | None,
    seed: int,
    bundle: str | None,
    device: str,
    engine: str,
    precision: str | None,
    allow_fallback: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Say how well PHOTO lends itself to a loop, from 0 (unsuitable) to 3 (very good), and why not."""
    guidance = to_guidance(mask, still, arrows, strength, seed, velocity, context)
    from stillflow.animator import Animator
    from stillflow.cli.building import told_orders

    animator = Animator(bundle, engine, precision, device, allow_fallback, building=told_orders)
    found = animator.assess(photo, guidance)
    tell(animator.warnings)
    if as_json:
        from stillflow.cli.summary import verdict

        told = {"photo": photo, **verdict(found), "measures": found.measures, "runs": animator.networks.ran()}
        click.echo(json.dumps(told))
    else:
        click.echo(
            f"{found.score} of 3, {WORDS[found.score]} (chance of a good loop: {100 * found.chance:.0f} %)"
        )
        for reason in found.reasons:
            click.echo(f"  - {reason}")
        if found.strength < 1:
            click.echo(
                f"  strength {found.strength:g} would look clean; animate takes it unless told otherwise"
            )
    click.get_current_context().exit(2 if found.verdict == "unsuitable" and not force else 0)
