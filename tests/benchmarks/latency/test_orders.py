# SPDX-License-Identifier: Apache-2.0
"""Orders and replies are one line each, come back as they were, and are read strictly."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow_bench.latency.orders import (
    Audit,
    Close,
    Failure,
    Measure,
    Open,
    Order,
    Reply,
    WarmUp,
    line_of,
    read_order,
    without_folders,
)
from stillflow_bench.latency.plan import Block
from stillflow_bench.latency.sample import Sample
from stillflow_bench.latency.target import Facts, TargetSpec

BLOCK = Block("a", "A\nB", "ours", TargetSpec("fake", "B3.frame"))


@pytest.mark.parametrize("order", [Open(BLOCK, 7), WarmUp(), Measure(3, 0.5, 1), Audit(), Close()])
def test_orders_come_back(order: Order) -> None:
    line = line_of(order)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert read_order(line) == order


def test_replies_come_back() -> None:
    reply = Reply(
        samples=(Sample(0, "measured", 1, 2, 3, spans={"B2.call": 1}),),
        facts=Facts(engine="e", notes={"text": "a\nb"}),
        rss_peak=1,
        error=Failure("what", "why", "fix", "a\ntrace"),
    )
    line = line_of(reply)
    assert line.count(b"\n") == 1
    assert msgspec.json.decode(line, type=Reply) == reply


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('File "/opt/some/where/a.py", line 3', 'File "a.py", line 3'),
        ("cannot open /tmp/b.onnx: no", "cannot open b.onnx: no"),
        ("1/2 and 3 queries/s, x264 and/or", "1/2 and 3 queries/s, x264 and/or"),
        ("relative/path/c.py", "relative/path/c.py"),
    ],
)
def test_folders_of_this_machine_are_left_out(text: str, left: str) -> None:
    assert without_folders(text) == left


class Version(str):
    """As torch has one."""


def test_what_libraries_give_for_plain_values_is_plain() -> None:
    facts = Facts(version=Version("2.13"), notes={"shape": np.arange(3), "share": np.float32(0.5)})
    read = msgspec.json.decode(line_of(Reply(facts=facts)), type=Reply).facts
    assert read == Facts(version="2.13", notes={"shape": [0, 1, 2], "share": 0.5})
    with pytest.raises(TypeError, match="object is no plain value"):
        line_of(Reply(facts=Facts(notes={"x": object()})))


@given(
    st.binary(max_size=60) | st.sampled_from([b'{"type":"open"}', b'{"type":"measure","queries":"a"}', b"[]"])
)
def test_what_is_no_order_is_refused(line: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        read_order(line)


def test_a_failure_is_raised_as_what_it_was() -> None:
    assert str(Failure("what", "why", "fix").raised()) == "what: why\n  fix: fix"
