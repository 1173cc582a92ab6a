# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from stillflow_bench.latency.page.derived import Ratio
from stillflow_bench.latency.page.main_tables import in_words, main_tables, ran_on


def rows(text: str) -> list[list[str]]:
    """Texts of cells, row by row, small print behind a bar."""
    found = []
    for row in re.findall("<tr>(.*?)</tr>", text):
        cells = re.findall("<t[dh][^>]*>(.*?)</t[dh]>", row)
        found.append([re.sub("<[^>]+>", "", cell.replace("<br>", "|")) for cell in cells])
    return found


def test_limit_ours_and_peers_stand_side_by_side(make: Any, read: Callable[..., Any]) -> None:
    made = make()
    made.block("theirs", "torch", "B2.call", [20.0] * 50, role="peer", group="g")
    made.block("ours", "networks", "B2.call", [float(k) for k in range(1, 51)], group="g")
    made.block("raw", "raw-onnxruntime", "B2.call", [5.0] * 50, role="limit", group="g")
    made.block(
        "gone", "raw-openvino", "B2.call", [], role="peer", group="g", missing="openvino is not installed"
    )
    head, raw, ours, theirs, gone, *_ = rows(main_tables(read(made)))
    assert head == [
        "",
        "n",
        "p50",
        "p90",
        "p95",
        "p99",
        "p99.9",
        "slowest",
        "to ours",
        "to the limit",
        "answers/s",
    ]
    assert [row[0].split("|")[0] for row in (raw, ours, theirs, gone)] == [
        "limit raw", "ours ours", "peer theirs", "peer gone"
    ]  # fmt: skip
    assert ours[1:4] == ["50", "25|18 … 33", "45|≤ 50"]
    assert ours[4:8] == ["–|needs 90", "–|needs 459", "–|needs 4603", "50"]
    assert ours[8] == "1"
    assert ours[9].startswith("5 ×|(")
    assert theirs[8].startswith("0.8 ×|(")
    assert theirs[9] == "4 ×|(4 … 4)"
    assert raw[9] == "1"
    assert gone[1] == "not measured: openvino is not installed"


def test_boundaries_inside_stand_in_the_table_of_that_boundary(make: Any, read: Callable[..., Any]) -> None:
    made = make()
    made.block("frame", "frame", "B3.frame", [10.0] * 9, spans={"B2.call": 0.5})
    text = main_tables(read(made))
    inner, whole = text.split("B3.frame: photo to first frame")
    assert "<b>5</b>" in inner
    assert "inside its B3.frame" in inner
    assert "<b>10</b>" in whole


def test_what_the_judge_refuses_is_marked_in_its_row(make: Any, read: Callable[..., Any]) -> None:
    made = make()
    made.block("bad", "networks", "B2.call", [10.0] * 9, failing=2)
    text = main_tables(read(made))
    row = next(row for row in rows(text) if "bad" in row[0])
    assert "INVALID" in row[0]
    assert row[1] == "7|2 failed"


def test_costs_are_told_where_they_are_known(make: Any, read: Callable[..., Any], facts: Any) -> None:
    made = make()
    fell = msgspec.structs.replace(facts, fallback="generator runs on the CPU")
    made.block("one", "networks", "B2.call", [100.0] * 60, facts=fell)
    costs = next(row for row in rows(main_tables(read(made))) if "412.00 MB" in row)
    assert costs[2] == "–"  # no GPU
    assert costs[3:5] == ["0.19", "2.1"]  # 1.9 cores for 0.1 s; 21 W for 0.1 s
    assert "CPUExecutionProvider" in costs[5]
    assert "fell back: generator runs on the CPU" in ran_on(read(made).shown[0])


def test_ratios_are_written_with_their_interval() -> None:
    assert in_words(Ratio(1.034, 1.01, 1.052)) == "1.03 × (1.01 … 1.05)"
    assert in_words(Ratio(138.2)) == "138 ×"
    assert in_words(Ratio(138.2, fastest=True)) == "138 × (its fastest)"
