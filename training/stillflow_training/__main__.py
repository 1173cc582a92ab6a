# SPDX-License-Identifier: Apache-2.0
"""``python -m stillflow_training RECIPE``: one command a network."""

from __future__ import annotations

import importlib
import sys

import click

from stillflow.errors import StillflowError

RECIPES = {
    "classes": "stillflow_training.classes_recipe:classes",
    "flow": "stillflow_training.flow_recipe:flow",
    "flow-check": "stillflow_training.flow_check:flow_check",
    "velocity": "stillflow_training.velocity_recipe:velocity",
    "generator": "stillflow_training.generator_recipe:generator",
    "verdict-check": "stillflow_training.verdict_check:verdict_check",
}


class Recipes(click.Group):
    """Loads a recipe's module only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the recipes."""
        return sorted(RECIPES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import one recipe."""
        if name not in RECIPES:
            return None
        module, attribute = RECIPES[name].split(":")
        command = getattr(importlib.import_module(module), attribute)
        return command if isinstance(command, click.Command) else None


@click.group(cls=Recipes)
def main() -> None:
    """Train the networks of a bundle."""


if __name__ == "__main__":
    try:
        main()
    except StillflowError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
