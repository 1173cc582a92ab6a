# SPDX-License-Identifier: Apache-2.0
"""The program ``stillflow-bench``: one file a command, no logic."""

from stillflow_bench.cli.program import main, program

__all__ = ["main", "program"]
