# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from stillflow_bench.latency.page import sections
from stillflow_bench.latency.plan import Load


def test_a_cold_start_is_told_by_part(make: Any, read: Callable[..., Any], facts: Any) -> None:
    made = make()
    told = msgspec.structs.replace(facts, notes={"spans": {"import": "what is imported"}})
    parts = {"import": 0.25, "B2.call": 0.1}
    load = Load("cold", queries=9, warm_up=0)
    made.block("cold", "cold", "B5.cold", [1000.0] * 8 + [2000.0], spans=parts, load=load, facts=told)
    text = sections.cold_tables(read(made))
    cells = [re.sub("<[^>]+>", "|", row) for row in re.findall("<tr>(.*?)</tr>", text)]
    assert [part for part in cells[1].split("|") if part] == [
        "import",
        "what is imported",
        "9",
        "250",
        "500",
        "25%",
    ]
    assert [part for part in cells[2].split("|") if part] == ["whole", "9", "1,000", "2,000", "100%"]
    assert "B2.call" not in text


def test_receipts_say_what_was_judged_and_what_was_loaded(
    make: Any, read: Callable[..., Any], facts: Any
) -> None:
    made = make()
    failed = {"flow": {"gate": "gate-c", "passed": False, "onnx_sha256": "e" * 64}}
    made.block("one", "networks", "B2.call", [1.0] * 9)
    made.block("same", "networks", "B2.call", [1.0] * 9)
    made.block("two", "networks", "B2.call", [1.0] * 9, facts=msgspec.structs.replace(facts, receipts=failed))
    text = sections.receipts(read(made))
    assert text.count("<tr>") == 1 + 3  # equal receipts once
    assert text.count(">yes<") == 2
    assert text.count(">no<") == 1
    assert "f" * 16 in text
    assert "e" * 16 in text
    none = make()
    none.measured.clear()
    none.block("bare", "fake", "B2.call", [1.0] * 9, facts=msgspec.structs.replace(facts, receipts={}))
    assert "No target" in sections.receipts(read(none))


def test_all_checks_are_there_the_broken_ones_first(rich: Any) -> None:
    marks = re.findall("<tr><td[^>]*>(.*?)</td>", sections.checks(rich))
    assert len(marks) == len(rich.verdict.checks)
    broken = ["INVALID" in mark for mark in marks]
    assert broken == sorted(broken, reverse=True)
    assert any(broken)


def test_every_setting_says_where_it_came_from(make: Any, read: Callable[..., Any]) -> None:
    made = make(
        sources={"queries": "command line", "subject.size": "quick", "OMP_NUM_THREADS=1": "environment"}
    )
    made.block("one", "networks", "B2.call", [1.0] * 9, load=Load(queries=9, rounds=5, seconds=0.0))
    made.block("two", "networks", "B2.call", [1.0] * 9)
    text = sections.settings(read(made))
    assert text.count("<details>") == 2
    found = [re.sub("<[^>]+>", "|", row) for row in re.findall("<tr>(.*?)</tr>", text)]
    rows = [[part for part in row.split("|") if part] for row in found]
    for row in (
        ["queries", "9", "command line"], ["rounds", "5", "plan"], ["subject.width", "1280", "quick"],
        ["seconds", "0.0", "plan"], ["subject.seconds", "4.0", "plan"], ["provider", "CPUExecutionProvider", "found"],
    ):  # fmt: skip
        assert row in rows
    assert "Environment: <code>OMP_NUM_THREADS=1</code>" in text


def test_it_says_how_to_repeat_it_and_where_the_samples_lie(rich: Any) -> None:
    for words in ("stillflow-bench run --quick -o run", "stillflow-bench judge run", "0123456789ab"):
        assert words in sections.repeat(rich)
    text = sections.raw_samples(rich)
    measured = [one.measured for one in rich.shown if not one.measured.missing]
    assert all(one.sha256 in text and f"samples/{one.block.name}.jsonl" in text for one in measured)
    assert "trt" not in text
    assert "took 0.25 s of a processor" in text


def test_words_are_explained(rich: Any) -> None:
    text = sections.definitions(rich)
    for words in ("B0.device", "B5.cold", "server", "cold", "459 for p99", "nearest ranks", "baseline"):
        assert words in text
    assert "multi_stream" not in text  # not in this run
