# SPDX-License-Identifier: Apache-2.0
"""``stillflow doctor``: its page, its object and its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from stillflow.engine_probes import Finding

FINE = Finding("Python", "ok", "3.11", needed=True)
ABSENT = Finding("OpenVINO", "absent", "it is not installed", "pip install openvino")
BROKEN = Finding("PyAV", "broken", "it does not load", "pip install av", needed=True)


@pytest.fixture
def findings(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Finding]], None]:
    """Make the doctor find these."""
    return lambda found: monkeypatch.setattr("stillflow.doctor.examine", lambda: found)


def test_page(stillflow: Callable, findings: Callable) -> None:
    findings([FINE, ABSENT])
    ended = stillflow("doctor")
    assert ended.code == 0
    assert "  ok  Python" in ended.out
    assert "  --  OpenVINO" in ended.out
    assert "fix: pip install openvino" in ended.out
    assert "This machine can animate photos." in ended.out


def test_unhealthy_machine_is_2(stillflow: Callable, findings: Callable) -> None:
    findings([FINE, BROKEN])
    ended = stillflow("doctor")
    assert ended.code == 2
    assert "FAIL  PyAV" in ended.out
    assert "cannot animate" in ended.out


def test_json(stillflow: Callable, findings: Callable) -> None:
    findings([FINE, ABSENT])
    found = json.loads(stillflow("doctor", "--json").out)
    assert found["healthy"] is True
    assert [row["name"] for row in found["findings"]] == ["Python", "OpenVINO"]
    assert found["findings"][1]["fix"] == "pip install openvino"
