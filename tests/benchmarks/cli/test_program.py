# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from stillflow.cli import outcome
from stillflow_bench.cli.program import COMMANDS, main, program

ROOT = Path(__file__).parents[3]
NAMED = re.compile(rf"stillflow-bench ((?:{'|'.join(COMMANDS)})\b[^\"'`;\n]*)")


def named_commands() -> list[str]:
    """Command lines in messages, help pages, docstrings, the guide and the Makefile."""
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("docs/benchmarks.md", "Makefile")]
    texts = [re.sub(r" +#.*| \|\| true", "", text) for text in texts]
    for path in sorted((ROOT / "benchmarks" / "stillflow_bench").rglob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        texts += [
            node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
    lines = {found.strip().rstrip(".,:)") for text in texts for found in NAMED.findall(text)}
    return sorted(line for line in lines if "-" in line or len(line.split()) > 1)


def test_commands_are_found() -> None:
    assert {line.split()[0] for line in named_commands()} >= {
        "run",
        "judge",
        "compare",
        "report",
        "guard",
    }


@pytest.mark.parametrize("line", named_commands())
def test_commands_that_are_named_can_be_typed(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FOLDER").mkdir()
    name, *words = shlex.split(line)
    command = program.get_command(click.Context(program), name)
    assert command is not None
    command.make_context(name, list(words))
    assert name != "run" or {"-o", "--into"} & set(words), "it does not say where to"


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
    sys.exit(main())
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


def test_ctrl_c_is_130_and_a_bug_is_70_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("STILLFLOW_DEBUG", raising=False)
    monkeypatch.setattr(outcome, "_unwind_on_signals", lambda: None)
    monkeypatch.setattr("sys.argv", ["stillflow-bench", "judge", "run"])
    for error, code in ((KeyboardInterrupt(), 130), (ZeroDivisionError("oh"), 70)):

        def fail(*_: object, told: BaseException = error) -> None:
            raise told

        monkeypatch.setattr("stillflow_bench.latency.judge.judge", fail)
        assert main() == code
        assert "Traceback" not in capsys.readouterr().err
