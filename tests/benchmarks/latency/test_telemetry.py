# SPDX-License-Identifier: Apache-2.0
"""A thread looks at the machine, its lines can be read back, and a full disk ends it quietly."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from stillflow_bench.latency.record import read_telemetry
from stillflow_bench.latency.telemetry import Observer, Telemetry


def test_lines_are_looks_in_order(tmp_path: Path) -> None:
    observer = Observer(time.monotonic_ns())
    with Telemetry(tmp_path / "telemetry.jsonl", observer, 0.02) as telemetry:
        time.sleep(0.15)
    looks = read_telemetry(tmp_path)
    assert len(looks) >= 2
    assert [look.at for look in looks] == sorted(look.at for look in looks)
    assert looks[0].at >= 0 and telemetry.error == ""
    # Of one look: 1.3 ms were measured on two busy cores.
    assert 0 < telemetry.cost / len(looks) < 0.2


def test_own_time_goes_on(tmp_path: Path) -> None:
    observer = Observer(0)
    first = observer.look()
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    second = observer.look()
    if first.own is None or second.own is None:
        pytest.skip("this system does not tell")
    assert second.own - first.own >= 0.04


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    look = Observer(0, root=tmp_path).look(thorough=False)
    known = (look.load, look.busy, look.own, look.steal, look.throttled, look.mhz, look.celsius, look.joules)
    assert known == (None,) * 8


def test_a_look_that_breaks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    observer = Observer(0, root=tmp_path)
    monkeypatch.setattr(observer, "look", lambda: 1 // 0)
    with Telemetry(tmp_path / "telemetry.jsonl", observer, 0.01) as telemetry:
        pass
    assert "ZeroDivisionError" in telemetry.error


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with Telemetry(tmp_path / "nowhere" / "telemetry.jsonl", Observer(0, root=tmp_path), 0.01) as telemetry:
        time.sleep(0.05)
    assert "No such file" in telemetry.error
