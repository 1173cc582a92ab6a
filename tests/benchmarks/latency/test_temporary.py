# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from stillflow_bench.latency.temporary import PLACE, temporary_place


def test_a_run_says_where_and_nobody_else_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(PLACE, raising=False)
    assert temporary_place() is None
    monkeypatch.setenv(PLACE, str(tmp_path))
    assert temporary_place() == str(tmp_path)
