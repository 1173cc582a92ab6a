# SPDX-License-Identifier: Apache-2.0
"""What npm packs: all modules and nothing else, without a dependency, in the version of everything here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import stillflow

LONGEST_MODULE = 400


@pytest.fixture
def package(source_tree: Path) -> Path:
    return source_tree / "runtime" / "browser"


def test_the_package_says_what_it_is(package: Path, source_tree: Path) -> None:
    said = json.loads((package / "package.json").read_text(encoding="utf-8"))
    assert (said["version"], said["license"], said["type"]) == (stillflow.__version__, "Apache-2.0", "module")
    assert not {name for name in said if "ependencies" in name or name == "scripts"}
    assert (package / "LICENSE").read_bytes() == (source_tree / "LICENSE").read_bytes()


def test_modules_are_short_and_name_their_licence(package: Path) -> None:
    for path in [*package.glob("*.js"), *package.glob("*.ts")]:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0] == "// SPDX-License-Identifier: Apache-2.0" and len(lines) <= LONGEST_MODULE, (
            path.name
        )
        assert max(map(len, lines)) <= 140, path.name


def test_modules_need_each_other_only(package: Path) -> None:
    modules = {path.name: path.read_text(encoding="utf-8") for path in package.glob("*.js")}
    needed = {
        name
        for text in modules.values()
        for name in re.findall(r'^import .* from "(.*)";$', text, re.MULTILINE)
    }
    assert needed == {f"./{name}" for name in modules if name != "living-photo.js"}
    assert not [name for name, text in modules.items() if re.search(r"https?://|\beval\b|innerHTML", text)]


def test_npm_packs_it(package: Path, tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm here")
    done = subprocess.run(
        [npm, "pack", "--dry-run", "--json", "--offline", "--cache", str(tmp_path), str(package)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    (packed,) = json.loads(done.stdout)
    names = {path.name for path in package.iterdir()}
    assert {file["path"] for file in packed["files"]} == names
