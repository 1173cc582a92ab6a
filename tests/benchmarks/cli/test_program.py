# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from stillflow_bench.cli.program import COMMANDS, program


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_page(name: str) -> None:
    done = CliRunner().invoke(program, [name, "--help"])
    assert done.exit_code == 0, done.output
    assert "Usage" in done.output


def test_help_answers_at_once_and_an_error_has_exit_code_2() -> None:
    told = """
import sys
sys.argv = ["stillflow-bench", *sys.argv[1:]]
from stillflow_bench.cli import main
try:
    main()
finally:
    heavy = {"numpy", "cv2", "av", "onnxruntime", "torch", "matplotlib"} & set(sys.modules)
    print("heavy:", sorted(heavy))
"""
    shown = subprocess.run([sys.executable, "-c", told, "--help"], capture_output=True, text=True, check=True)
    assert "heavy: []" in shown.stdout and "judge" in shown.stdout
    wrong = subprocess.run(
        [sys.executable, "-c", told, "judge", "no-such-run"], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert "stillflow-bench: " in wrong.stderr
