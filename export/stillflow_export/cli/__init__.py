# SPDX-License-Identifier: Apache-2.0
"""The command line of the export toolchain: one file a command, imported only when the command runs."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``stillflow-export`` and return its exit code (see ``stillflow.cli.outcome``)."""
    from stillflow.cli.outcome import run
    from stillflow_export.cli.program import program

    return run(program, arguments, name="stillflow-export")
