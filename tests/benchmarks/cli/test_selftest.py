# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from stillflow.errors import StillflowError
from stillflow_bench import cli
from stillflow_bench.latency import selftest
from stillflow_bench.latency.selftest import Cost, Finding, Selftest


def result(recovered: float) -> Selftest:
    found = Finding("offline", "drift", "p50", 1.0, recovered, 1.0)
    return Selftest((found,), (Cost("offline", 0.2, 3.0),))


@pytest.mark.parametrize(("recovered", "code"), [(1.01, 0), (1.5, 1)])
def test_the_exit_code_says_whether_the_suite_can_be_trusted(
    recovered: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(selftest, "selftest", lambda loadgen: asked.append(loadgen) or result(recovered))
    done = CliRunner().invoke(cli.program, ["selftest", "--loadgen", "-o", str(tmp_path)])
    assert done.exit_code == code, done.output
    assert asked == [True]
    assert f"{code ^ 1} of 1 figures recovered within 2 %." in done.output
    assert json.loads((tmp_path / "selftest.json").read_text(encoding="utf-8"))["holds"] is (code == 0)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "selftest", lambda loadgen: result(1.0))
    (tmp_path / "file").touch()
    done = CliRunner().invoke(cli.program, ["selftest", "-o", str(tmp_path / "file" / "x")])
    assert isinstance(done.exception, StillflowError)
