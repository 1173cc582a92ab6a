# SPDX-License-Identifier: Apache-2.0
"""``stillflow bake``: a photo becomes one file that plays without networks."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import click

from stillflow.cli.options import (
    guidance_options,
    network_options,
    overwrite_option,
    timing_options,
    to_guidance,
)

if TYPE_CHECKING:
    from stillflow.baked.baking import Baking

EPILOG = """\b
Examples:
  stillflow bake waterfall.jpg -o waterfall.sflow
  stillflow bake lake.jpg -o lake.sflow --mask water.png --alt "A lake at dusk" --credit "N. N., CC BY 4.0"
  stillflow bake sea.png -o sea.sflow --size 1280 --lossless --json
  stillflow bake waterfall.jpg -o waterfall.sflow --html

\b
The photo is kept as its own JPEG bytes (without EXIF and places) where it is not scaled, else
losslessly. Where the file would take more than 1.44 bytes a pixel (3 MB at 1920x1080), the photo is
compressed as JPEG of quality 88 to 95 before it is animated; --lossless forbids that.
"""

LEAST_TOLD = 1000
"""Bytes: smaller sections are left out of the lines for people; --json has them all."""


@click.command(epilog=EPILOG)
@click.argument("photo")
@click.option("-o", "--output", required=True, metavar="OUT", help="Where to: a file that ends in .sflow.")
@guidance_options
@timing_options
@click.option(
    "--size",
    default=1920,
    show_default=True,
    metavar="LONG_SIDE",
    help="Longest side in pixels. A larger photo is scaled down; a smaller one is never enlarged.",
)
@click.option("--lossless", is_flag=True, help="Keep the photo's very pixels, whatever they take.")
@click.option(
    "--raw", is_flag=True, help="The same, and nothing compressed: opens fastest, 11 bytes a pixel."
)
@click.option(
    "--html", is_flag=True, help="Write a page beside it that plays it by itself: photo.html of photo.sflow."
)
@click.option("--alt", metavar="TEXT", help="What the photo shows, for people who do not see it.")
@click.option("--credit", metavar="TEXT", help="Who made the photo, and under which licence.")
@network_options
@overwrite_option
@click.option("--force", is_flag=True, help="Bake whatever the verdict on the photo, at full strength.")
@click.option("--json", "as_json", is_flag=True, help="Print one summary object on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No summary, no warnings.")
def bake(
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
    seconds: float,
    fps: float,
    size: int,
    lossless: bool,
    raw: bool,
    html: bool,
    alt: str | None,
    credit: str | None,
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
    """Bake PHOTO into one file that holds everything a loop needs after the networks ran.

    stillflow play, the C library and the web component play it, without networks; docs/sflow.md tells every byte.
    """
    strength = 1.0 if force and strength is None else strength
    guidance = to_guidance(mask, still, arrows, strength, seed, velocity, context)
    from stillflow.animator import Animator, check_timing
    from stillflow.baked.baking import BYTES_A_PIXEL, QUALITIES, Wishes
    from stillflow.baked.baking import bake as baked
    from stillflow.baked.page import write_page
    from stillflow.baked.target import check_scene_target, page_of
    from stillflow.cli.building import told_orders
    from stillflow.cli.options import tell
    from stillflow.cli.summary import warnings
    from stillflow.photo import load_photo

    check_timing(seconds, fps)
    reads = {"mask": mask, "still map": still, "velocity": velocity, "context": context}
    check_scene_target(output, photo, reads=reads, overwrite=overwrite, page=html)
    building = None if quiet else partial(told_orders, drawn=not as_json)
    animator = Animator(bundle, engine, precision, device, allow_fallback, building=building)
    picture, wishes = load_photo(photo).fitted(size), Wishes(lossless, raw, alt, credit)
    made = baked(animator, picture, guidance, wishes, seconds=seconds, fps=fps, strict=not force)
    if not quiet:
        tell(warnings(made.loop))
        if made.bytes_a_pixel > BYTES_A_PIXEL and not (lossless or raw):
            tell([f"even at quality {QUALITIES[-1]} it takes {made.bytes_a_pixel:.2f} bytes a pixel"])
    made.save(output)
    if html:
        write_page(made.data, page_of(output))
    shown = page_of(output) if html else None
    if as_json:
        click.echo(json.dumps(_summary(made, output) | ({"page": str(shown)} if shown else {})))
    elif not quiet:
        for line in [*_lines(made, output), *([f"  see it: {shown}"] if shown else [])]:
            click.echo(line)


def _summary(made: Baking, output: str) -> dict[str, object]:
    from stillflow.cli.summary import verdict, warnings

    loop = made.loop
    return {
        "output": output,
        "bytes": len(made.data),
        "bytes_a_pixel": round(made.bytes_a_pixel, 4),
        "width": loop.scene.width,
        "height": loop.scene.height,
        "frames": len(loop),
        "fps": loop.fps,
        "photo": made.photo,
        "psnr": None if made.psnr is None else round(made.psnr, 2),
        "sections": [{"kind": k, "encoding": e, "bytes": size} for k, e, size in made.sizes],
        "seed": loop.seed,
        "strength": loop.strength,
        "moving_share": round(loop.moving_share, 4),
        "runs": loop.runs,
        "suitability": verdict(loop.suitability),
        "warnings": warnings(loop),
    }


def _lines(made: Baking, output: str) -> list[str]:
    from stillflow.cli.summary import file_size

    loop = made.loop
    size = f"{loop.scene.width}x{loop.scene.height}, {file_size(len(made.data))}"
    lossy = "" if made.psnr is None else f", {made.psnr:.1f} dB; --lossless keeps every pixel"
    parts = [f"{kind} {file_size(n)} ({encoding})" for kind, encoding, n in made.sizes if n >= LEAST_TOLD]
    return [
        f"{output}: {len(loop)} frames at {loop.fps:g} fps, {size}, {made.bytes_a_pixel:.2f} bytes a pixel",
        f"  photo: {made.photo}{lossy}",
        f"  sections: {', '.join(parts)}",
        f"  moving: {100 * loop.moving_share:.0f} % of the picture, seed {loop.seed}, strength {loop.strength:g}",
        f"  play it: stillflow play {output} -o loop.mp4",
    ]
