# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from stillflow_bench.latency.judge import Verdict
from stillflow_bench.latency.limits import Limits
from stillflow_bench.latency.markdown import for_programs, full_table, markdown, readme_table
from stillflow_bench.latency.percentile import summarise
from stillflow_bench.latency.plan import Block, Plan
from stillflow_bench.latency.record import SCHEMA, Host, Look, Measured, Record, Tool, write_record
from stillflow_bench.latency.target import Role, TargetSpec


def measured(
    name: str, kind: str, boundary: Any, role: Role, group: str, values: list[float], **more: Any
) -> Measured:
    block = Block(name, more.pop("title", name), role, TargetSpec(kind, boundary), group=group)
    summaries = {boundary: summarise(values)} if values else {}
    return Measured(block, samples=len(values), summaries=summaries, **more)


@pytest.fixture
def record() -> Record:
    ours = [3.0 + k / 100 for k in range(500)]
    found = (
        measured("torch", "torch", "B2.call", "peer", "nets", [20.0] * 30, title="PyTorch | <eager>"),
        measured("ours", "networks", "B2.call", "ours", "nets", ours, title="our call"),
        measured("raw", "raw-onnxruntime", "B2.call", "limit", "nets", [2.5] * 100, title="raw *call*"),
        measured("alone", "next", "B3.next", "ours", "next", [1234.0] * 7),
        measured("again", "next", "B3.next", "ours", "lanes", [1.0] * 7),
        measured("published", "published-torch", "B3.next", "peer", "next", [98_760.0, 99_000.0]),
        measured("first", "frame", "B3.frame", "ours", "frame", [400.0] * 50),
        measured("trt", "raw-tensorrt", "B2.call", "peer", "nets", [], missing="no `GPU`"),
    )
    return Record(
        schema=SCHEMA,
        tool=Tool("0.1.0", "0123456789ab", "stillflow-bench run -o a|b", "2026-01-02T03:04:05Z"),
        host=Host("tin", "Tin Can", 2, 4.0, "Linux 6 x86_64", "3.11.0", {}),
        plan=Plan("own", tuple(one.block for one in found)),
        measured=found,
        before=Look(at=0),
        after=Look(at=1),
    )


@pytest.fixture
def verdict(record: Record) -> Verdict:
    names = {one.block.name: "MISSING" if one.missing else "VALID" for one in record.measured}
    return Verdict("1.0", "VALID", {**names, "torch": "INVALID"}, (), Limits())  # type: ignore[arg-type,dict-item]


ABOUT = (
    "**VALID** on Tin Can, 2 usable cores, Linux 6 x86\\_64, at commit `0123456789ab`, 2026-01-02: "
    "`stillflow-bench run -o a b`. \u2013: too few samples for that percentile.\n\n"
)

README = """\
| from where to where | what |  | p50, ms | p90, ms | p99, ms | to ours | n |
|---|---|---|---:|---:|---:|---:|---:|
| networks, one call (B2.call) | raw \\*call\\* | limit | 2.5 | 2.5 | \u2013 | 0.455 × | 100 |
|  | **our call** | ours | 5.49 | 7.49 | 7.94 | 1 × | 500 |
|  | PyTorch \\| &lt;eager&gt; (INVALID) | peer | 20 | \u2013 | \u2013 | 3.64 × | 30 |
| photo to first frame (B3.frame) | **first** | ours | 400 | 400 | \u2013 | 1 × | 50 |
| next frame (B3.next) | **alone** | ours | 1,234 | \u2013 | \u2013 | 1 × | 7 |
|  | published | peer | \u2013 | \u2013 | \u2013 | 80 × (its fastest) | 2 |
"""


def test_the_table_for_a_readme(record: Record, verdict: Verdict) -> None:
    assert readme_table(record, verdict) == ABOUT + README


def test_the_full_table_has_every_block_and_every_gap(record: Record, verdict: Verdict) -> None:
    text = full_table(record, verdict)
    assert text.startswith(
        ABOUT + "| from where to where | what |  | p50, ms | p90, ms | p95, ms | p99, ms | p99.9, ms |"
    )
    assert (
        "| next frame (B3.next) | **alone** | ours | 1,234 | \u2013 | \u2013 | \u2013 | \u2013 | 1,234 | 1 × | 7 |\n"
        in text
    )
    assert text.endswith("\n\n- trt: not measured, no \\`GPU\\`\n")
    assert [
        line.count("|") for line in text.splitlines() if line.startswith("| ") and "PyTorch" not in line
    ] == [12] * 7


def test_programs_are_told_the_same(record: Record, verdict: Verdict) -> None:
    found = json.loads(json.dumps(for_programs(record, verdict)))
    assert found["verdict"] == "VALID"
    by_name = {block["name"]: block for block in found["blocks"]}
    assert by_name["ours"]["summaries"]["B2.call"]["percentiles"]["p90"] == 7.49
    assert by_name["torch"]["verdict"] == "INVALID"
    assert by_name["trt"]["missing"] == "no `GPU`"


def test_a_folder_is_judged_on_the_way(record: Record, tmp_path: Any) -> None:
    write_record(tmp_path, record)
    text = markdown(tmp_path)
    assert text.startswith("**INVALID**")  # its samples are not there
    assert "(INVALID)" in text
