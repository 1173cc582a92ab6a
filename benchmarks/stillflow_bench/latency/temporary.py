# SPDX-License-Identifier: Apache-2.0
"""Where a worker's temporary files lie: in a folder that its run removes, also when it kills the worker."""

from __future__ import annotations

import os

PLACE = "STILLFLOW_BENCH_TEMPORARY"
"""In a worker's environment. Not TMPDIR: torch keeps what it compiled there, for the next process to find."""


def temporary_place() -> str | None:
    """The folder to make temporary files in; None, the system's, in a process that no run started."""
    return os.environ.get(PLACE) or None
