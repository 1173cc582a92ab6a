# SPDX-License-Identifier: Apache-2.0
"""``python -m stillflow_training RECIPE``: one command a network."""

from __future__ import annotations

import sys

import click

from stillflow.cli.lazy import LazyGroup
from stillflow.cli.outcome import run

RECIPES = {
    "classes": (
        "stillflow_training.classes_recipe",
        "Train the half of the flow network that says what is what.",
    ),
    "velocity": ("stillflow_training.velocity_recipe", "Train the half that says which way things move."),
    "flow": ("stillflow_training.flow_recipe", "Join the halves, and measure them."),
    "generator": ("stillflow_training.generator_recipe", "Train the generator network."),
    "flow-check": ("stillflow_training.flow_check", "Measure a flow network on held-back photos."),
    "verdict-check": ("stillflow_training.verdict_check", "Compare the verdict on photos with people's."),
}
"""Name: (module that holds a click command of that name, line in the help). Modules load when used."""


@click.group(cls=LazyGroup, table=RECIPES)
def main() -> None:
    """Train the networks of a bundle."""


if __name__ == "__main__":
    sys.exit(run(main, name="python -m stillflow_training"))
