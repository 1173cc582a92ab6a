# SPDX-License-Identifier: Apache-2.0
"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

import click

from stillflow.errors import StillflowError
from stillflow_export.cli.inputs import photos_in

precision_option = click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=click.Choice(["fp32", "fp16"]),
    help="A precision that each graph gets a file of, beside fp32; may be given again.",
)

half_weights_option = click.option(
    "--half-weights/--whole-weights",
    default=None,
    help="Store weights as float16, rounded, in a graph that computes in float32: half the file.  [default: for our "
    "own networks, which are trained to such weights; not for imported ones]",
)

int8_option = click.option(
    "--int8",
    is_flag=True,
    help="A file in int8 too, where that is measured to pass gate B; needs --calibration.",
)

calibration_option = click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="Folder of real photos that int8 takes its scales from; not those of --photos, which judge it.",
)


def all_precisions(
    precisions: tuple[str, ...], int8: bool, calibration: Path | None
) -> tuple[tuple[str, ...], list[Path]]:
    """Return the precisions asked for, each once, and the photos to calibrate with."""
    if int8 and calibration is None:
        why = "int8 takes its scales from real photos, and none were named"
        raise StillflowError("cannot convert to int8", why, "name a folder with --calibration")
    wanted = dict.fromkeys((*precisions, *(["int8"] if int8 else [])))
    return tuple(wanted), photos_in(calibration) if int8 else []
