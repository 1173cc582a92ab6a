# SPDX-License-Identifier: Apache-2.0
"""``stillflow animate``: a photo becomes a loop, or several that could be."""

from __future__ import annotations

from functools import partial

import click

from stillflow.cli.options import (
    file_options,
    guidance_options,
    network_options,
    overwrite_option,
    timing_options,
    to_guidance,
)

EPILOG = """\b
Examples:
  stillflow animate waterfall.jpg -o loop.mp4
  stillflow animate lake.jpg -o loop.webm --mask water.png --arrow 0.2,0.6,0.5,0.6,3
  stillflow animate sky.jpg -o loop.mp4 --futures 4        loop-1.mp4 ... loop-4.mp4
  stillflow animate sky.jpg -o best.mp4 --seed 2           what loop-3.mp4 shows
  stillflow animate falls.jpg -o loop.mp4 --velocity falls.flo
  stillflow animate sea.jpg -o loop.gif --size 480 --seconds 3 --fps 15 --overwrite
  stillflow animate sea.jpg -o - --size 640 > frames.rgb

\b
Exit codes: 0 done, 2 the photo will not make a good loop or something else that you can fix.
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
@click.option(
    "--futures",
    default=1,
    show_default=True,
    metavar="COUNT",
    help="Write so many loops, each another way the photo could move: --seed and the seeds after it. OUT is numbered: "
    "loop-1.mp4, or where it says %d; folders likewise.",
)
@timing_options
@click.option(
    "--size",
    default=3840,
    show_default=True,
    metavar="LONG_SIDE",
    help="Longest side in pixels. A larger photo is scaled down, since few players show more; a smaller one "
    "is never enlarged.",
)
@file_options
@click.option(
    "--encoder",
    type=click.Choice(["auto", "software", "nvenc"]),
    default="auto",
    show_default=True,
    help="Who encodes mp4: x264, an NVIDIA GPU, or by itself: the GPU that makes the frames, where it can.",
)
@network_options
@overwrite_option
@click.option(
    "--force",
    is_flag=True,
    help="Make the loop whatever the verdict on the photo, at full strength, and replace OUT if it exists.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one summary object on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No summary, no warnings, no progress bar.")
def animate(
    *,
    photo: str,
    output: str,
    mask: str | None,
    still: str | None,
    arrows: tuple[str, ...],
    velocity: str | None,
    context: str | None,
    strength: float | None,
    seed: int,
    futures: int,
    seconds: float,
    fps: float,
    size: int,
    loops: int,
    format_: str | None,
    alpha: bool,
    encoder: str,
    bundle: str | None,
    device: str,
    engine: str,
    precision: str | None,
    allow_fallback: bool,
    overwrite: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Turn PHOTO into a seamless loop.

    With nothing else said the network decides what moves and which way. A mask, a still map, arrows and a
    velocity field overrule it. A photo that will not work is refused with the reason, unless --force is given;
    where the loop would show artefacts it is slowed down, unless --strength says how fast it should be.
    """
    strength = 1.0 if force and strength is None else strength
    guidance = to_guidance(mask, still, arrows, strength, seed, velocity, context)
    from stillflow.animator import Animator, check_timing
    from stillflow.cli.building import told_orders
    from stillflow.cli.summary import Report
    from stillflow.output import check_loop_targets

    check_timing(seconds, fps)
    names = check_loop_targets(
        output,
        futures,
        format=format_,
        source=photo,
        reads={"mask": mask, "still map": still, "velocity": velocity, "context": context},
        overwrite=overwrite or force,
    )
    if encoder == "nvenc":  # nothing else is refused, and the others need not wait for PyAV
        from stillflow.sessions.wish import Wish
        from stillflow.video import check_encoder

        check_encoder(output, encoder, format=format_, device=Wish.of(device).index or 0)
    building = None if quiet else partial(told_orders, drawn=not as_json)
    animator = Animator(bundle, engine, precision, device, allow_fallback, building=building)
    found = animator.futures(photo, guidance, futures, seconds=seconds, fps=fps, size=size, strict=not force)
    report = Report(names, loops, as_json=as_json, quiet=quiet)
    report.save(found, format=format_, alpha=alpha, encoder=encoder)
