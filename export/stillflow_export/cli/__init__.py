# SPDX-License-Identifier: Apache-2.0
"""``stillflow-export``: one file a command."""

from stillflow_export.cli.program import main, program

__all__ = ["main", "program"]
