# SPDX-License-Identifier: Apache-2.0
"""``stillflow motion``: how a photo would move, as arrays or as a picture."""

from __future__ import annotations

import click

from stillflow.cli.options import guidance_options, network_options, tell, to_guidance

EPILOG = """\b
The .npz file holds
  velocity     (h, w, 2) float32  picture widths a second, x right, y down
  matte        (h, w)    float32  0..1, how much moves
  classes      (h, w)    uint8    index into class_names
  confidence   (h, w)    float32  0..1
  sway         (K, h, w, 4) float32  swinging, per harmonic: ax, ay, bx, by in picture widths
  size         (2,)      int32    height and width of the photo; h and w are a quarter of them
"""


@click.command(epilog=EPILOG)
@click.argument("photo")
@click.option(
    "-o", "--output", required=True, metavar="OUT", help="motion.npz (arrays) or motion.png (picture)."
)
@guidance_options
@click.option("--size", type=int, metavar="LONG_SIDE", help="Longest side in pixels. Never enlarges.")
@network_options
@click.option("--overwrite", "--force", is_flag=True, help="Replace OUT if it exists.")
def motion(
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
    size: int | None,
    bundle: str | None,
    device: str,
    engine: str,
    precision: str | None,
    allow_fallback: bool,
    overwrite: bool,
) -> None:
    """Write how PHOTO would move: its velocity, matte, classes and confidence.

    As a picture, what flows is tinted blue, what sways green, and arrows are one second long.
    """
    guidance = to_guidance(mask, still, arrows, strength, seed, velocity, context)
    from stillflow.animator import Animator
    from stillflow.cli.building import told_orders
    from stillflow.motion_file import check_motion_target, write_motion
    from stillflow.photo import load_photo

    reads = {"mask": mask, "still map": still, "velocity": velocity, "context": context}
    path = check_motion_target(output, photo, reads=reads, overwrite=overwrite)
    picture = load_photo(photo).fitted(size)
    animator = Animator(bundle, engine, precision, device, allow_fallback, building=told_orders)
    found = animator.motion(picture, guidance)
    tell(animator.warnings)
    write_motion(path, picture, found)
    made = ", ".join(f"{part} by {maker}" for part, maker in found.sources.items())
    click.echo(f"{path}: {100 * float((found.matte > 0.5).mean()):.0f} % of the picture moves ({made})")
