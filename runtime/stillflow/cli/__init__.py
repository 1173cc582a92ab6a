# SPDX-License-Identifier: Apache-2.0
"""The command line: one file a command, no logic, imported only when the command runs."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``stillflow`` and return its exit code (see ``stillflow.cli.outcome``)."""
    from stillflow.cli.outcome import run
    from stillflow.cli.program import program

    return run(program, arguments)
