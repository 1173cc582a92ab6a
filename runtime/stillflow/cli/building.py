# SPDX-License-Identifier: Apache-2.0
"""Engines that a command has to build first, and what is said on stderr of builds: lines, progress on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from stillflow.build.builder import Orders
    from stillflow.bundle import Bundle
    from stillflow.sessions.choice import Choice


def told_orders(*, force: bool = False, timeout: float | None = None, drawn: bool = True) -> Orders:
    """Orders for a build that is told of on stderr.

    Args:
        force: build even what is in the cache.
        timeout: seconds that one engine may take; None: as long as it takes.
        drawn: draw the progress too, where stderr is a terminal.
    """
    from stillflow.build.builder import Orders

    return Orders(force, timeout, _say, _draw if drawn and sys.stderr.isatty() else _silent)


def build_first(bundle: Bundle, way: Choice) -> None:
    """Build the engines that were asked for and are not there.

    Args:
        bundle: that holds the networks.
        way: what was chosen.

    Raises:
        StillflowError: see `stillflow.build.rebuild.build_missing`.
    """
    for graph in way.build:
        from stillflow.build.rebuild import build_missing
        from stillflow.sessions import cuda_index

        index = cuda_index(way.device) or 0
        build_missing(bundle, graph, way.engine, way.precisions[graph], index, told_orders())


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
