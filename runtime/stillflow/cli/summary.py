# SPDX-License-Identifier: Apache-2.0
"""What ``stillflow animate`` says while it saves loops and when it is done: a few lines, or one JSON object."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stillflow.animator import Loop
from stillflow.cli.options import progress_bar

if TYPE_CHECKING:
    from stillflow.assess import Suitability

PARTS = ("velocity", "matte", "sway", "light", "plate", "blend")
"""What a network or a closed form may make, in the order of the pipeline."""


class Report:
    """Saves the loops of one command and tells what came of it.

    Args:
        names: an output for each loop, as the user will find it.
        loops: repeats in each file.
        as_json: one object instead of lines.
        quiet: nothing but errors.
    """

    def __init__(self, names: list[str], loops: int, *, as_json: bool, quiet: bool) -> None:
        self._names = names
        self._loops = loops
        self._as_json = as_json
        self._quiet = quiet
        self._told: set[str] = set()
        # With the frames on stdout everything else goes to stderr.
        self._aside = names == ["-"]

    def save(self, found: Iterator[Loop], *, format: str | None, alpha: bool, encoder: str = "auto") -> None:
        """Save every loop under its name, and say so. Several appear together, or none of them does.

        Args:
            found: the loops, in the order of the names.
            format: as for ``Loop.save``.
            alpha: as for ``Loop.save``.
            encoder: as for ``Loop.save``.
        """
        # Imported here: it brings PyAV, which a refused photo need not wait for.
        from stillflow.video import Batch

        summaries, lines = [], []
        total = len(self._names)
        shown = not self._quiet and not self._as_json
        with Batch() as batch, progress_bar(shown=shown) as progress:
            for number, name in enumerate(self._names):
                loop = next(found)
                self._warn(loop, f"{name}: " if number else "")
                written = loop.save(
                    name,
                    loops=self._loops,
                    format=format,
                    alpha=alpha,
                    encoder=encoder,
                    progress=_part(progress, number, total),
                    batch=batch if total > 1 else None,
                )
                summaries.append(summary(loop, name, self._loops, written))
                lines += describe(loop, name, self._loops, written)
                del loop  # a scene in 4K takes hundreds of megabytes, and the next one is made now
            batch.commit()
        if self._as_json:
            click.echo(json.dumps(summaries[0] if total == 1 else {"futures": summaries}), err=self._aside)
        elif not self._quiet:
            for line in lines:
                click.echo(line, err=self._aside)

    def _warn(self, loop: Loop, name: str) -> None:
        """Tell what is risky before the loop is rendered, on stderr; what futures share is told once."""
        # The JSON object tells it too; where that goes to stderr, nothing else may.
        if self._quiet or (self._as_json and self._aside):
            return
        for line in warnings(loop):
            if line not in self._told:
                click.echo(f"stillflow: warning: {name}{line}", err=True)
            self._told.add(line)


def warnings(loop: Loop) -> list[str]:
    """What is risky about a loop or slower than it could be, in plain words, and what was done about it."""
    found = [*loop.warnings, *loop.suitability.warnings]
    if loop.strength_why not in ("natural", "given"):
        found = [line for line in found if line != loop.strength_why]
        found.append(
            f"slowed down to a strength of {loop.strength:g}: {loop.strength_why}; --strength 1 overrules it"
        )
    if loop.runs.get("velocity") == "file" and loop.scene.speed_scale < 1:
        share = f"{loop.scene.speed_scale:.2g} of its speed where it is fastest"
        found.append(f"the velocity field is played at {share}: a cross-fade carries no further")
    return found


def verdict(found: Suitability) -> dict[str, Any]:
    """The verdict on a photo as JSON has it."""
    return {
        "score": found.score,
        "verdict": found.verdict,
        "chance": round(found.chance, 4),
        "reasons": list(found.reasons),
        "clean_strength": found.strength,
    }


def summary(loop: Loop, output: str, loops: int, written: int) -> dict[str, Any]:
    """Collect what is worth knowing about a finished loop.

    Args:
        loop: saved already.
        output: as the user finds it.
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
        "seed": loop.seed,
        "strength": loop.strength,
        "strength_why": loop.strength_why,
        "seconds": {name: round(value, 4) for name, value in loop.seconds.items()},
        "runs": loop.runs,
        "speed_scale": round(loop.scene.speed_scale, 4),
        "moving_share": round(loop.moving_share, 4),
        "suitability": verdict(loop.suitability),
        "warnings": warnings(loop),
    }


def describe(loop: Loop, output: str, loops: int, written: int) -> list[str]:
    """The same in lines for people."""
    name = "standard output" if output == "-" else str(Path(output))
    length = len(loop) * loops / loop.fps
    times = ", ".join(f"{stage} {value:.2f}" for stage, value in loop.seconds.items())
    made = ", ".join(f"{part} by {loop.runs[part]}" for part in PARTS if part in loop.runs)
    size = f"{loop.scene.width}x{loop.scene.height}"
    lines = [
        f"{name}: {len(loop)} frames at {loop.fps:g} fps, {size}, {length:.1f} s, {file_size(written)}",
        f"  moving: {100 * loop.moving_share:.0f} % of the picture, seed {loop.seed}, strength {loop.strength:g}",
        f"  bundle {loop.runs['bundle']} on {loop.runs['engine']} ({loop.runs['provider']}), {loop.runs['precision']}",
        f"  device {loop.runs['device']}, frames by {loop.runs['frames']}: {loop.runs['why']}",
        f"  parts: {made}",
        f"  suitability: {loop.suitability.score:g} of 3",
        *(f"    - {reason}" for reason in loop.suitability.reasons),
    ]
    if loop.runs.get("encoder") == "h264_nvenc" or "encoder_why" in loop.runs:
        # x264 on the CPU goes without saying where nothing else was tried.
        why = f": {loop.runs['encoder_why']}" if "encoder_why" in loop.runs else ""
        lines.append(f"  encoded by {loop.runs['encoder']}{why}")
    if loop.moving_share == 0:
        lines.append("  nothing moves: say what should with --mask, or which way with --arrow")
    lines.append(f"  took {sum(loop.seconds.values()):.2f} s: {times}")
    return lines


def _part(progress: Callable[[int, int], None], number: int, total: int) -> Callable[[int, int], None]:
    """Progress of one loop among several, as progress of them all."""
    return lambda done, frames: progress(number * frames + done, total * frames)


def file_size(count: int) -> str:
    """Bytes in words."""
    if count < 1_000_000:
        return f"{count / 1000:.0f} kB"
    return f"{count / 1_000_000:.1f} MB"
