# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stillflow_export import cli
from stillflow_export.cli.program import COMMANDS

MISTAKES = {
    "no such weights": (["bundle", "--flow", "none.safetensors"], "no such file"),
    "no such photos": (["bundle", "--photos", "none"], "not a folder"),
    "output without sign": (["bundle", "--output", "plate"], "no '='"),
    "unknown choice": (["bundle", "-o", "out", "--output", "plate=magic"], "not one of its choices"),
    "no such folder": (["bundle", "-o", "none/out"], "does not exist"),
    "unknown graph": (
        ["onnx", "sound", "--weights", "runs/flow/flow.safetensors", "-o", "y"],
        "belong to no network",
    ),
    "schema nowhere": (["schema", "-o", "none/x.json"], "cannot write"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_are_explained_with_code_2(kind: str, folder: Path, capsys: Any) -> None:
    arguments, why = MISTAKES[kind]
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert why in said
    assert "fix:" in said
    assert "Traceback" not in said
    assert sorted(p.name for p in folder.iterdir()) == ["runs"]


def test_the_help_names_every_command(capsys: Any) -> None:
    assert cli.main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in COMMANDS)


def test_help_and_messages_bear_the_programs_own_name(capsys: Any) -> None:
    assert cli.main(["onnx", "--help"]) == 0
    assert "Usage: stillflow-export onnx" in capsys.readouterr().out
    assert cli.main(["nonsense"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("stillflow-export: ") and "see: stillflow-export --help" in said
