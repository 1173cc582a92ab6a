# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from stillflow_bench.gpu import loading


@pytest.mark.device
def test_every_source_is_compiled_and_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["loading"])
    assert loading.main() == 0
    told = json.loads(capsys.readouterr().out)
    assert {"compose.cu", "fields.cu", "nv12.cu", "splat.cu"} <= set(told["sources"])
    assert all(seconds >= 0 for seconds in told["sources"].values())
    assert told["architecture"].startswith("sm_")


@pytest.mark.device
def test_a_source_that_does_not_compile_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.cu").write_text("this is no CUDA")
    monkeypatch.setattr(loading, "sources", lambda: [tmp_path / "broken.cu"])
    monkeypatch.setattr("sys.argv", ["loading"])
    assert loading.main() == 1
    assert "StillflowError" in json.loads(capsys.readouterr().out)["sources"]["broken.cu"]
