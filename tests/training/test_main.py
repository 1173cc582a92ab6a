# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stillflow_training", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_recipes_are_listed() -> None:
    done = run("--help")
    assert done.returncode == 0, done.stderr
    assert "flow" in done.stdout
    assert "generator" in done.stdout


def test_a_missing_folder_is_explained(tmp_path: Path) -> None:
    done = run("generator", "--data", str(tmp_path / "nowhere"), "--out", str(tmp_path / "run"))
    assert done.returncode == 2
    assert "LICENCES.csv" in done.stderr
    assert "Traceback" not in done.stderr
