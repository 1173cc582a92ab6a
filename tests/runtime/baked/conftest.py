# SPDX-License-Identifier: Apache-2.0
"""The baked scene of version 1.0 that must load for ever."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def golden_folder(source_tree: Path) -> Path:
    """tests/data/baked."""
    return source_tree / "tests" / "data" / "baked"


@pytest.fixture(scope="session")
def golden(golden_folder: Path) -> bytes:
    """A small sound file with every section but blend."""
    return (golden_folder / "falls-1.0.sflow").read_bytes()
