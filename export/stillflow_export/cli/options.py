# SPDX-License-Identifier: Apache-2.0
"""Options that several commands have."""

from __future__ import annotations

import click

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
