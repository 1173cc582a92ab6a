# SPDX-License-Identifier: Apache-2.0
"""The program ``stillflow``: its help page and the table of commands."""

from __future__ import annotations

import logging

import click

import stillflow
from stillflow.cli.lazy import LazyGroup

COMMANDS = {
    "animate": ("stillflow.cli.animate", "Turn a photo into a seamless loop."),
    "bake": ("stillflow.cli.bake", "Bake a photo into one file that plays without networks."),
    "play": ("stillflow.cli.play", "Render a baked scene as a video."),
    "serve": ("stillflow.cli.serve", "Serve another program over its pipes."),
    "motion": ("stillflow.cli.motion", "Write how a photo would move: arrays or a picture."),
    "assess": ("stillflow.cli.assess", "Say how well a photo lends itself to a loop, and why not."),
    "doctor": ("stillflow.cli.doctor", "Say what this machine can run, and how to fix what it cannot."),
    "bundle": (
        "stillflow.cli.bundle",
        "Look into a bundle, verify it, or run one of its graphs.",
    ),
    "build": ("stillflow.cli.build", "Build TensorRT engines of a bundle for one device."),
    "cache": ("stillflow.cli.cache", "See or clear the cache of built engines."),
}
"""Name: (module that holds a click command of that name, line in the help). Modules load when used."""

EPILOG = """\b
Examples:
  stillflow animate waterfall.jpg -o loop.mp4
  stillflow animate lake.jpg -o loop.webm --mask water.png --arrow 0.2,0.6,0.5,0.6
  stillflow animate sky.jpg -o loop.mp4 --futures 4
  stillflow animate sea.jpg -o loop.gif --size 480 --seconds 3 --fps 15
  stillflow animate sea.jpg -o - | ffplay -f rawvideo -pixel_format rgb24 -video_size 1280x720 -
  stillflow motion waterfall.jpg -o motion.png
  stillflow assess waterfall.jpg

\b
Exit codes: 0 done, 2 something you can fix, an unsuitable photo included (the message says how),
70 a bug in stillflow, 130 interrupted. Set STILLFLOW_DEBUG=1 to see the traceback of an error.
"""


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(stillflow.__version__, prog_name="stillflow")
@click.option("-v", "--verbose", count=True, help="Log what happens to stderr; twice for details.")
def program(verbose: int) -> None:
    """Turn one still photo into a living, seamless loop, on this machine."""
    levels = (logging.ERROR, logging.INFO, logging.DEBUG)
    logging.basicConfig(level=levels[min(verbose, 2)], format="%(name)s: %(message)s")
