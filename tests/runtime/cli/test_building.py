# SPDX-License-Identifier: Apache-2.0
"""What is said of builds: lines everywhere, and progress on a terminal alone."""

from __future__ import annotations

import io
import sys

import pytest

from stillflow.cli.building import told_orders


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "drawn", "progress"),
    [(Terminal(), True, "  parsing 1/3"), (Terminal(), False, ""), (io.StringIO(), True, "")],
)
def test_a_line_and_progress(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, drawn: bool, progress: str
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    orders = told_orders(force=True, timeout=3.0, drawn=drawn)
    assert (orders.force, orders.timeout) == (True, 3.0)
    orders.progress("parsing", 1, 3)
    assert stream.getvalue().replace("\r", "").replace("\x1b[K", "") == progress
    orders.say("flow fp16: building")
    assert stream.getvalue().endswith("stillflow: flow fp16: building\n")
