# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from stillflow_bench import cli
from stillflow_bench.latency import compare as comparing
from stillflow_bench.latency.compare import Comparison, Pair, Side, concluded


def test_the_command_prints_the_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[object] = []

    def fake(one: Side, other: Side, folder: Path, **options: object) -> Comparison:
        asked.extend([one.text, other.target.kind, folder, options["pairs"], options["queries"]])
        return concluded("a", "b", "B2.call", 20, [Pair("a", 2.0, 1.0), Pair("b", 2.1, 1.0)] * 3)

    monkeypatch.setattr(comparing, "compare", fake)
    done = CliRunner().invoke(
        cli.program, ["compare", "threads=1", "target=raw-onnxruntime", "--pairs", "6", "-o", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    assert "A takes 2.049 x the time of B (95 %: " in done.output
    assert asked == ["threads=1", "raw-onnxruntime", tmp_path, 6, 20]
    assert CliRunner().invoke(cli.program, ["compare", "", "", "--pairs", "4"]).exit_code == 2
