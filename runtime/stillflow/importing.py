# SPDX-License-Identifier: Apache-2.0
"""Imports of large binary packages: whole, whatever interrupts them, and without a word to their makers."""

from __future__ import annotations

import importlib
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType

REPORTS = "openvino_telemetry"


def import_whole(package: str) -> ModuleType:
    """Import a package, and let Ctrl-C and SIGTERM wait until it is there.

    Extension modules make an ImportError of what is raised while they start. So Ctrl-C in that third of a second
    would read as a broken package, and the program would go on without it.

    OpenVINO reports to its maker that it was imported, and keeps an identifier for that in the home folder. It does
    not where its package for reports is missing, so that is out of sight meanwhile.

    Args:
        package: its name, as for ``importlib.import_module``.

    Raises:
        Exception: whatever the package raises; a broken one raises more than ImportError.
    """
    with _undisturbed(), _unreported():
        return importlib.import_module(package)


@contextmanager
def _unreported() -> Iterator[None]:
    """Let OpenVINO's package for reports be missing, unless the program has it already."""
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    if REPORTS in modules:
        yield
        return
    modules[REPORTS] = None
    try:
        yield
    finally:
        del modules[REPORTS]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep signals whose handlers are Python's for the end of the block. Only the main thread is sent any."""
    kept: list[tuple[int, FrameType | None]] = []
    handlers = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(handler := signal.getsignal(number))
        and threading.current_thread() is threading.main_thread()
    }
    for number in handlers:
        signal.signal(number, lambda came, frame: kept.append((came, frame)))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for sent, frame in kept[:1]:
            handlers[signal.Signals(sent)](sent, frame)
