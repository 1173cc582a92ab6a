# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

import click
import pytest

from stillflow.cli import program as runtime_program
from stillflow.cli.lazy import LazyGroup
from stillflow_export.cli import program as export_program


@pytest.mark.parametrize(
    "table", [runtime_program.COMMANDS, export_program.COMMANDS], ids=["runtime", "export"]
)
def test_every_row_leads_to_a_command_of_its_name(table: dict[str, tuple[str, str]]) -> None:
    group = LazyGroup("program", table=table)
    context = click.Context(group)
    assert group.list_commands(context) == list(table)
    for name in table:
        command = group.get_command(context, name)
        assert command is not None
        assert command.name == name, f"{name} calls itself {command.name}"


def test_unknown_names_are_no_commands() -> None:
    assert LazyGroup("program", table={}).get_command(click.Context(click.Group()), "nothing") is None


def test_help_loads_no_command() -> None:
    code = (
        "import sys; from stillflow.cli import main; main(['--help']);"
        "sys.exit(any(m.startswith('stillflow.cli.') and m.rsplit('.')[-1] in ('animate', 'build', 'bundle') "
        "for m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "animate" in done.stdout and "cache" in done.stdout
