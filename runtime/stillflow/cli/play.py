# SPDX-License-Identifier: Apache-2.0
"""``stillflow play``: a baked scene becomes a video, without networks."""

from __future__ import annotations

import json

import click

from stillflow.cli.options import file_options, overwrite_option, progress_bar

EPILOG = """\b
Examples:
  stillflow play waterfall.sflow -o loop.mp4
  stillflow play waterfall.sflow -o - | ffplay -f rawvideo -pixel_format rgb24 -video_size 1280x720 -
"""


@click.command(epilog=EPILOG)
@click.argument("scene")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    help="Where to: as for stillflow animate, .mp4 .webm .webp .gif .apng .png, a folder/, f/%04d.png, .rgb or -.",
)
@file_options
@click.option(
    "--encoder",
    type=click.Choice(["software", "nvenc"]),
    default="software",
    show_default=True,
    help="Who encodes mp4: x264, or an NVIDIA GPU.",
)
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one summary object on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No summary, no progress bar.")
def play(
    *,
    scene: str,
    output: str,
    loops: int,
    format_: str | None,
    alpha: bool,
    encoder: str,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Render the loop of SCENE, a file that stillflow bake wrote."""
    from stillflow.baked import read_baked
    from stillflow.cli.outcome import visible
    from stillflow.cli.summary import file_size
    from stillflow.output import check_loop_target
    from stillflow.video import open_sink, record

    check_loop_target(output, format=format_, reads={"scene": scene}, overwrite=overwrite)
    baked = read_baked(scene)
    played = baked.scene
    sink = open_sink(
        output,
        width=played.width,
        height=played.height,
        fps=played.fps,
        format=format_,
        loops=loops,
        matte=played.matte if alpha else None,
        encoder=encoder,
    )
    with progress_bar(shown=not quiet and not as_json) as progress:
        written = record(played, sink, progress=progress)
    # With the frames on stdout everything else goes to stderr.
    aside = output == "-"
    name = "standard output" if aside else output
    size, length = f"{played.width}x{played.height}", played.frames * loops / played.fps
    if as_json:
        summary = {
            "output": output,
            "bytes": written,
            "frames": played.frames,
            "loops": loops,
            "fps": played.fps,
            "width": played.width,
            "height": played.height,
            "about": baked.about,
        }
        click.echo(json.dumps(summary), err=aside)
    elif not quiet:
        line = f"{name}: {played.frames} frames at {played.fps:g} fps, {size}, {length:.1f} s, {file_size(written)}"
        click.echo(line, err=aside)
        for key in ("alt", "credit", "note"):
            if isinstance(text := baked.about.get(key), str):
                click.echo(f"  {key}: {visible(' '.join(text.split()))}", err=aside)
