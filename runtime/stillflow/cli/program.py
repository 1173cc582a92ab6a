# SPDX-License-Identifier: Apache-2.0
"""The program ``stillflow``: its help page and the table of commands."""

from __future__ import annotations

import importlib
import logging

import click

import stillflow

COMMANDS = {
    "animate": ("stillflow.cli.animate", "Turn a photo into a seamless loop."),
    "motion": ("stillflow.cli.motion", "Write how a photo would move: arrays or a picture."),
    "assess": ("stillflow.cli.assess", "Say how well a photo lends itself to a loop, and why not."),
    "doctor": ("stillflow.cli.doctor", "Say what this machine can run, and how to fix what it cannot."),
    "bundle": ("stillflow.cli.bundle", "Look into a bundle of networks, or verify it."),
}
"""Name: (module that holds a click command of that name, line in the help). Modules load when used."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they run, so that --help answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of COMMANDS, the most used first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command, or None when there is no such name."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


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
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(stillflow.__version__, prog_name="stillflow")
@click.option("-v", "--verbose", count=True, help="Log what happens to stderr; twice for details.")
def program(verbose: int) -> None:
    """Turn one still photo into a living, seamless loop, on this machine."""
    levels = (logging.ERROR, logging.INFO, logging.DEBUG)
    logging.basicConfig(level=levels[min(verbose, 2)], format="%(name)s: %(message)s")
