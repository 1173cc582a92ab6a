# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

from stillflow_bench.latency.loadgen import Agreement
from stillflow_bench.latency.selftest import Cost, Finding, Selftest
from stillflow_bench.latency.selftest_report import told, write
from stillflow_bench.machine import Provenance

GOOD = Selftest(
    (Finding("server", "stall", "p99", 2.0, 2.02, 2.01),),
    (Cost("server", 0.3, 4.0),),
    (Agreement("server", "p90", 500, 3.0, 3.1),),
)
BAD = Selftest((Finding("server", "stall", "p99", 2.0, 3.0, 2.99, 4),), (Cost("server", 0.3, 4.0),))


def test_every_figure_has_a_line(about: Provenance) -> None:
    lines = told(GOOD, about).splitlines()
    assert "server stall p99 2 ms 2.02 ms +1.00 +0.50 1" in [" ".join(line.split()) for line in lines]
    assert any(line.split() == ["server", "0.3", "4"] for line in lines)
    assert any(line.split() == ["server", "p90", "500", "3", "3.1", "-3.23"] for line in lines)
    assert "1 of 1 figures recovered within 2 %." in lines
    assert "off" not in told(GOOD, about)


def test_what_is_off_is_marked_with_what_may_be_the_cause(about: Provenance) -> None:
    text = told(BAD, about)
    assert text.splitlines()[1].endswith("<- off")
    assert "load average was 0.1 on 2 cores" in text
    assert "by its own clock, 1 of 1 figures were" in text


def test_json_has_every_figure_and_what_made_it(about: Provenance, tmp_path: Path) -> None:
    whole = json.loads(write(tmp_path / "new", BAD, about).read_text(encoding="utf-8"))
    assert whole["holds"] is False
    assert whole["run"]["commit"] == about.commit
    assert whole["findings"][0]["error_percent"] == 50.0
    assert whole["costs"][0] == {"scenario": "server", "reading": 0.3, "between": 4.0, "holds": True}
