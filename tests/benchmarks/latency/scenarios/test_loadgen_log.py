# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from stillflow_bench.latency.scenarios.loadgen_log import TRACE, read_trace

LINES = """{"traceEvents":[
{"name":"Scheduling","ph":"X","pid":1,"tid":1,"ts":125.838,"dur":0.060,"args":{}},
{"name":"Sample","cat":"default","ph":"b","pid":1,"id":1,"ts":4618.318,"args":{"sample_seq":1,"query_seq":1,\
"sample_idx":12,"issue_start_ns":505316,"complete_ns":2640727}},
{"name":"Sample","cat":"default","ph":"e", "pid":1,"id":1,"ts":7259.045},
{"name":"Sample","cat":"default","ph":"b","pid":1,"id":0,"ts":125.517,"args":{"sample_seq":0,"query_seq":0,\
"sample_idx":18,"issue_start_ns":341,"complete_ns":2141050}},
{"name":"LogDetail","ph":"X","pid":1,"tid":2,"ts":10356.851,"dur":11.698,"args":{"key":""loadgen_version""}},
"""


def test_samples_are_read_out_of_a_trace_that_is_no_json(tmp_path: Path) -> None:
    (tmp_path / TRACE).write_text(LINES, encoding="utf-8")
    first, second = read_trace(tmp_path)
    assert first == (18, 0, 125_517, 125_858, 2_266_567)
    assert (second.input, second.latency, second.issued) == (12, 2_640_727, 4_618_318 + 505_316)
