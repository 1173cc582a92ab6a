# SPDX-License-Identifier: Apache-2.0
"""The help pages: complete, and there at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stillflow.cli import main
from stillflow.cli.program import COMMANDS, program

HEAVY = ("numpy", "cv2", "PIL", "av", "onnxruntime", "msgspec")


def test_help_lists_every_command_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, (_, line) in COMMANDS.items():
        assert name in text
        assert line in text
    assert "stillflow animate waterfall.jpg -o loop.mp4" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_what_the_table_says(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f"Usage: stillflow {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["animate", "--help"], ["bundle", "verify", "--help"]]
)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        f"import sys; from stillflow.cli import main; main({words!r});"
        f"sys.exit(' '.join(m for m in {HEAVY!r} if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"imported: {done.stderr}"


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) in (0, 2)  # click 8.1 ends with 0
    out, err = capsys.readouterr()
    assert "Commands:" in out + err


def test_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["animat"]) == 2
    assert "animat" in capsys.readouterr().err


def test_module_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stillflow", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("stillflow, version ")


def test_program_has_a_name_for_every_entry() -> None:
    context = program.make_context("stillflow", ["doctor"])
    assert program.list_commands(context) == list(COMMANDS)
    assert program.get_command(context, "nonsense") is None
