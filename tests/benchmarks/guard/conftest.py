# SPDX-License-Identifier: Apache-2.0
"""A copy of the kernels' source, the program made of it that callgrind counts, and its counts: once for all tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stillflow_bench.guard import callgrind
from stillflow_bench.guard.counts import Counted

PARTS = ("CMakeLists.txt", "runtime/native", "tests/native/counted.c", "tests/native/for_valgrind.s")


@pytest.fixture(scope="session")
def copied_tree(source_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the program is made of; skips where callgrind cannot count it."""
    if callgrind.missing():
        pytest.skip(callgrind.missing())
    tree = tmp_path_factory.mktemp("counted") / "tree"
    for part in PARTS:
        (tree / part).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (source_tree / part).is_dir() else shutil.copy2)(source_tree / part, tree / part)
    return tree


@pytest.fixture(scope="session")
def native(copied_tree: Path) -> Counted:
    """What callgrind counts of this tree."""
    return callgrind.count(callgrind.build(copied_tree, copied_tree / "build"))
