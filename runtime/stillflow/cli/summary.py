# SPDX-License-Identifier: Apache-2.0
"""What ``stillflow animate`` says when it is done: a few lines, or one JSON object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from stillflow.animator import Loop


def summary(loop: Loop, output: str, loops: int, written: int) -> dict[str, Any]:
    """Collect what is worth knowing about a finished loop.

    Args:
        loop: saved already.
        output: as the user named it.
        loops: repeats in the file.
        written: bytes in the file or files.
    """
    return {
        "output": output,
        "bytes": written,
        "frames": len(loop),
        "loops": loops,
        "fps": loop.fps,
        "width": loop.scene.width,
        "height": loop.scene.height,
        "seconds": {name: round(value, 4) for name, value in loop.seconds.items()},
        "runs": loop.runs,
        "speed_scale": round(loop.scene.speed_scale, 4),
        "moving_share": round(loop.moving_share, 4),
        "suitability": {"score": loop.suitability.score, "reasons": list(loop.suitability.reasons)},
    }


def print_summary(loop: Loop, output: str, loops: int, written: int, *, as_json: bool, quiet: bool) -> None:
    """Print the summary to stdout, or to stderr when stdout carries the frames."""
    found = summary(loop, output, loops, written)
    aside = output == "-"
    if as_json:
        click.echo(json.dumps(found), err=aside)
        return
    if quiet:
        return
    name = "standard output" if aside else str(Path(output))
    length = len(loop) * loops / loop.fps
    times = ", ".join(f"{stage} {value:.2f}" for stage, value in loop.seconds.items())
    click.echo(
        f"{name}: {len(loop)} frames at {loop.fps:g} fps, {found['width']}x{found['height']}, "
        f"{length:.1f} s, {_size(written)}",
        err=aside,
    )
    click.echo(f"  moving: {100 * loop.moving_share:.0f} % of the picture", err=aside)
    made = ", ".join(f"{part} by {loop.runs[part]}" for part in PARTS if part in loop.runs)
    click.echo(
        f"  bundle {loop.runs['bundle']} on {loop.runs['engine']} ({loop.runs['provider']})", err=aside
    )
    click.echo(f"  parts: {made}", err=aside)
    click.echo(f"  suitability: {loop.suitability.score:g} of 3", err=aside)
    for reason in loop.suitability.reasons:
        click.echo(f"    - {reason}", err=aside)
    if loop.moving_share == 0:
        click.echo("  nothing moves: say what should with --mask, or which way with --arrow", err=aside)
    click.echo(f"  took {sum(loop.seconds.values()):.2f} s: {times}", err=aside)


PARTS = ("velocity", "matte", "sway", "plate", "blend")
"""What a network or a closed form may make, in the order of the pipeline."""


def _size(count: int) -> str:
    if count < 1_000_000:
        return f"{count / 1000:.0f} kB"
    return f"{count / 1_000_000:.1f} MB"
