# SPDX-License-Identifier: Apache-2.0
"""What the README and the guides tell people to type is typed here, and their figures and links are checked.

A fenced ``console`` or ``python`` block that follows the line ``<!-- run -->`` is executed, in the page's order,
in one folder that holds waterfall.jpg. Blocks without that line install things or take minutes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

BLOCK = re.compile(r"<!-- run -->\n```(console|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [README, *(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md")))]
BLOCKS = [(match[1], match[2]) for page in PAGES for match in BLOCK.finditer(page)]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    shutil.copyfile(ROOT / "samples" / "waterfall.jpg", folder / "waterfall.jpg")
    return folder


def commands(block: str) -> list[str]:
    """Lines after "$ ", with those that end in a backslash joined to the next."""
    joined = block.replace("\\\n", " ")
    return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]


@pytest.mark.parametrize(("kind", "text"), BLOCKS, ids=[f"{kind}-{i}" for i, (kind, _) in enumerate(BLOCKS)])
def test_block_runs(kind: str, text: str, desk: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    lines = [["bash", "-euo", "pipefail", "-c", line] for line in commands(text)]
    for command in lines if kind == "console" else [[sys.executable, "-c", text]]:
        done = subprocess.run(
            command,
            cwd=desk,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": path, "STILLFLOW_CACHE": str(desk / "cache")},
        )
        assert done.returncode == 0, f"{command[-1]}\n{done.stderr}"


def test_blocks_were_found_and_name_what_exists() -> None:
    assert len(BLOCKS) >= 3
    assert any(kind == "python" for kind, _ in BLOCKS)
    for target in re.findall(r"^(?:\$ )?make ([a-z]+)", README, re.MULTILINE):
        assert f"\n{target}:" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        text = re.sub(
            r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
        )
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text) + re.findall(
            r'src="(?!https?:)([^"]+)"', text
        ):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_command_of_the_program_is_named() -> None:
    from stillflow.cli.program import COMMANDS

    assert [name for name in COMMANDS if f"stillflow {name}" not in README] == []
