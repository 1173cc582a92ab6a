# SPDX-License-Identifier: Apache-2.0
"""What it does is tested in test_cold.py, which starts it."""

from __future__ import annotations

import ast
from pathlib import Path

from stillflow_bench.latency.targets import cold


def test_the_clock_is_read_before_anything_is_imported() -> None:
    tree = ast.parse(Path(cold.__file__).with_name("cold_probe.py").read_text(encoding="utf-8"))
    _, first, second, *others = tree.body
    assert ast.unparse(first) == "import time"
    assert ast.unparse(second) == "STARTED = time.monotonic_ns()"
    assert not any(isinstance(statement, ast.Import | ast.ImportFrom) for statement in others)
