# SPDX-License-Identifier: Apache-2.0
"""``stillflow animate``: a photo becomes a loop."""

from __future__ import annotations

import click

from stillflow.cli.options import guidance_options, network_options, progress_bar, to_guidance

EPILOG = """\b
Examples:
  stillflow animate waterfall.jpg -o loop.mp4
  stillflow animate lake.jpg -o loop.webm --mask water.png --arrow 0.2,0.6,0.5,0.6,3
  stillflow animate sea.jpg -o loop.gif --size 480 --seconds 3 --fps 15
  stillflow animate sea.jpg -o frames/%04d.png --force
  stillflow animate sea.jpg -o - --size 640 > frames.rgb
"""


@click.command(epilog=EPILOG)
@click.argument("photo")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    help="Where to: .mp4 .webm .webp .gif .apng .png (animated), a folder/ or a pattern like f/%04d.png for "
    "numbered pictures, .rgb or - for raw RGB on a file or stdout.",
)
@guidance_options
@click.option("--seconds", default=4.0, show_default=True, help="Length of one loop.")
@click.option("--fps", default=30.0, show_default=True, help="Frames a second.")
@click.option(
    "--size",
    default=3840,
    show_default=True,
    metavar="LONG_SIDE",
    help="Longest side in pixels. A larger photo is scaled down, since few players show more; a smaller one "
    "is never enlarged.",
)
@click.option("--loops", default=1, show_default=True, help="Repeats in the file, without rendering again.")
@click.option(
    "--format",
    "format_",
    metavar="NAME",
    help="mp4, webm, webp, gif, apng, png (numbered) or raw, when the name does not say it.",
)
@click.option("--alpha", is_flag=True, help="Only the moving layer, transparent elsewhere (webm).")
@network_options
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print one summary object on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No summary, no progress bar.")
def animate(
    *,
    photo: str,
    output: str,
    mask: str | None,
    still: str | None,
    arrows: tuple[str, ...],
    strength: float,
    seed: int,
    seconds: float,
    fps: float,
    size: int,
    loops: int,
    format_: str | None,
    alpha: bool,
    bundle: str | None,
    engine: str,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Turn PHOTO into a seamless loop.

    With nothing else said the network decides what moves and which way. A mask, a still map and arrows
    overrule it.
    """
    guidance = to_guidance(mask, still, arrows, strength, seed)
    from stillflow.animator import Animator, check_timing
    from stillflow.cli.summary import print_summary
    from stillflow.output import check_loop_target

    check_timing(seconds, fps)
    check_loop_target(output, format=format_, source=photo, force=force)
    loop = Animator(bundle, engine).animate(photo, guidance, seconds=seconds, fps=fps, size=size)
    with progress_bar(shown=not quiet and not as_json) as progress:
        written = loop.save(output, loops=loops, format=format_, alpha=alpha, progress=progress)
    print_summary(loop, output, loops, written, as_json=as_json, quiet=quiet)
