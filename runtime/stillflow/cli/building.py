# SPDX-License-Identifier: Apache-2.0
"""What is said on stderr while engines are built: a line for each, and a moving one on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from stillflow.build.builder import Orders


def told_orders(*, force: bool = False, timeout: float | None = None, drawn: bool = True) -> Orders:
    """Orders for a build that is told of on stderr.

    Args:
        force: build even what is in the cache.
        timeout: seconds that one engine may take; None: as long as it takes.
        drawn: draw the progress too, where stderr is a terminal.
    """
    from stillflow.build.builder import Orders

    return Orders(force, timeout, _say, _draw if drawn and sys.stderr.isatty() else _silent)


def _say(line: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")  # what progress left there
    click.echo(f"stillflow: {line}", err=True)


def _silent(phase: str, done: int, of: int) -> None:
    pass


def _draw(phase: str, done: int, of: int) -> None:
    """One line on a terminal that the next one writes over."""
    sys.stderr.write(f"\r\x1b[K  {phase[:60]} {done}/{of}\r")
    sys.stderr.flush()
