# SPDX-License-Identifier: Apache-2.0
"""The golden bundle of schema 1.0, and ways to spoil a copy of it."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def golden(source_tree: Path) -> Path:
    return source_tree / "tests" / "data" / "bundles" / "golden-1.0"


@pytest.fixture
def copy(golden: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(golden, tmp_path / "copy"))


Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def edited(copy: Path) -> Callable[[Edit], Path]:
    """Change the manifest of a copy."""

    def edit(change: Edit) -> Path:
        path = copy / "manifest.json"
        content = json.loads(path.read_bytes())
        change(content)
        path.write_text(json.dumps(content))
        return copy

    return edit


@pytest.fixture
def zipped(golden: Path, tmp_path: Path) -> Callable[..., Path]:
    """Zip the golden bundle."""

    def pack(prefix: str = "", compression: int = zipfile.ZIP_STORED) -> Path:
        target = tmp_path / "golden.sfb"
        with zipfile.ZipFile(target, "w", compression) as archive:
            for path in sorted(golden.rglob("*")):
                if path.is_file():
                    archive.write(path, prefix + path.relative_to(golden).as_posix())
        return target

    return pack
