# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share, and what becomes of them."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from stillflow.guidance import Guidance

Command = TypeVar("Command", bound=Callable[..., Any])


class Amount(click.FloatRange):
    """A number in a range. click's own takes NaN, which is neither below nor above anything."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the number; a wrong usage where it is none."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


def guidance_options(command: Command) -> Command:
    """Add --mask, --still, --arrow, --velocity, --context, --strength and --seed."""
    for option in reversed(
        (
            click.option(
                "--mask", metavar="PICTURE", help="White moves. Any size, same aspect ratio as the photo."
            ),
            click.option("--still", metavar="PICTURE", help="White never moves. Wins over --mask."),
            click.option(
                "--arrow",
                "arrows",
                multiple=True,
                metavar="X0,Y0,X1,Y1[,SECONDS]",
                help="What lies at the tail moves to the head in SECONDS (2). Fractions of width and height. "
                "May be given several times.",
            ),
            click.option(
                "--velocity",
                metavar="FIELD.npy|.flo",
                help="Play this motion field: (h, w, 2), x and y in pixels a frame at its own size. Not with --arrow.",
            ),
            click.option(
                "--context",
                metavar="FILE.npz",
                help="What a text encoder said, for bundles whose flow network reads a text.",
            ),
            click.option(
                "--strength",
                type=float,
                help="Factor on every speed, 0 to 3.  [default: 1, or less where the loop would show artefacts]",
            ),
            click.option(
                "--seed",
                default=0,
                show_default=True,
                help="Which future: 0 is the most probable motion, others are other plausible ones.",
            ),
        )
    ):
        command = option(command)
    return command


def place_options(command: Command) -> Command:
    """Add --device, --engine, --precision and --allow-fallback."""
    for option in reversed(
        (
            click.option(
                "--device",
                default="auto",
                show_default=True,
                metavar="auto|cpu|cuda|cuda:N",
                help="Where it is computed. auto: a GPU that can be used, else the CPU.",
            ),
            click.option(
                "--engine",
                default="auto",
                show_default=True,
                metavar="auto|tensorrt|rtx|onnxruntime|openvino",
                help="What runs the networks; see: stillflow doctor.",
            ),
            click.option(
                "--precision",
                metavar="auto|fp32|fp16|int8",
                help="Which file of each network.  [default: auto, fp16 on a GPU where it passed its gates, else the "
                "bundle's]",
            ),
            click.option(
                "--allow-fallback",
                is_flag=True,
                help="Let the CPU run what the GPU cannot, and say what that was.",
            ),
        )
    ):
        command = option(command)
    return command


def network_options(command: Command) -> Command:
    """Add --bundle, --device, --engine, --precision and --allow-fallback."""
    bundle = click.option(
        "--bundle", metavar="PATH", help="Networks to use. The default bundle when left out."
    )
    return bundle(place_options(command))


def session_options(command: Command) -> Command:
    """Add --device, --engine, --precision, --allow-fallback and --threads."""
    threads = click.option("--threads", type=click.IntRange(1, 1024), help="[default: all cores]")
    return place_options(threads(command))


def tell(warnings: Iterable[str]) -> None:
    """Say on stderr what did not run as asked, or not as fast as it could."""
    for line in warnings:
        click.echo(f"stillflow: warning: {line}", err=True)


def timing_options(command: Command) -> Command:
    """Add --seconds and --fps."""
    seconds = click.option("--seconds", default=4.0, show_default=True, help="Length of one loop.")
    fps = click.option("--fps", default=30.0, show_default=True, help="Frames a second.")
    return seconds(fps(command))


def file_options(command: Command) -> Command:
    """Add --loops, --format and --alpha."""
    loops = click.option(
        "--loops", default=1, show_default=True, help="Repeats in the file, without rendering again."
    )
    format_ = click.option(
        "--format",
        "format_",
        metavar="NAME",
        help="mp4, webm, webp, gif, apng, png (numbered) or raw, when the name does not say it.",
    )
    alpha = click.option("--alpha", is_flag=True, help="Only the moving layer, transparent elsewhere (webm).")
    return loops(format_(alpha(command)))


def overwrite_option(command: Command) -> Command:
    """Add --overwrite."""
    return click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")(command)


def to_guidance(
    mask: str | None,
    still: str | None,
    arrows: tuple[str, ...],
    strength: float | None,
    seed: int,
    velocity: str | None = None,
    context: str | None = None,
) -> Guidance:
    """Build the Guidance of the seven options."""
    # Imported here: NumPy comes with it, and --help must not wait for that.
    from stillflow.guidance import Arrow, Guidance

    return Guidance(
        mask, still, tuple(Arrow.parse(text) for text in arrows), strength, seed, velocity, context
    )


@contextlib.contextmanager
def progress_bar(*, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """Give a function to call with (done, total); it draws on stderr when that is a terminal."""
    if not shown or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    bar: Any = click.progressbar(length=1, label="Rendering", file=sys.stderr, show_pos=True)
    with bar:

        def show(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield show
