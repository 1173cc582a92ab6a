# SPDX-License-Identifier: Apache-2.0
"""The program ``stillflow-export``: its help page and the table of commands."""

from __future__ import annotations

import click

import stillflow
from stillflow.cli.lazy import LazyGroup

COMMANDS = {
    "import": (
        "stillflow_export.cli.import_",
        "Turn a published checkpoint into weights that can be exported.",
    ),
    "onnx": ("stillflow_export.cli.onnx", "Export networks to ONNX, and compare them with PyTorch."),
    "bundle": ("stillflow_export.cli.bundle", "Export networks, judge them, and write a verified bundle."),
    "report": ("stillflow_export.cli.report", "Write one HTML page about a bundle."),
    "compare": ("stillflow_export.cli.compare", "Find the first layer where two precisions or engines part."),
    "schema": ("stillflow_export.cli.schema", "Write the JSON Schema of a bundle's manifest."),
}
"""Name: (module that holds a click command of that name, line in the help). Modules load when used."""


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(stillflow.__version__, prog_name="stillflow-export")
def program() -> None:
    """Turn trained networks into ONNX files and bundles; nothing that fails its gate gets its name."""
