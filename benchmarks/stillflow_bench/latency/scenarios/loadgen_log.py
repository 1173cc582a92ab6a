# SPDX-License-Identifier: Apache-2.0
"""What MLPerf's LoadGen measured, read from its own files: its trace has a line for each sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

TRACE = "mlperf_log_trace.json"

_SAMPLE = '{"name":"Sample","cat":"default","ph":"b"'


class Logged(NamedTuple):
    """One sample. Nanoseconds of LoadGen's clock since its log began.

    Attributes:
        input: that LoadGen drew.
        query: number of the query that it belongs to.
        scheduled: when it should have begun.
        issued: when it was handed over.
        done: when it was answered.
    """

    input: int
    query: int
    scheduled: int
    issued: int
    done: int

    @property
    def latency(self) -> int:
        """What LoadGen's percentiles are made of."""
        return self.done - self.scheduled


def read_trace(folder: Path) -> list[Logged]:
    """Every sample, in the order in which LoadGen numbered them.

    The trace as a whole is no JSON (it quotes some names twice), so the lines of samples are read on their own.
    """
    found: dict[int, Logged] = {}
    for line in (folder / TRACE).read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(_SAMPLE):
            entry = json.loads(line.rstrip(","))
            about, began = entry["args"], round(entry["ts"] * 1000)  # microseconds with three decimals
            found[about["sample_seq"]] = Logged(
                about["sample_idx"],
                about["query_seq"],
                began,
                began + about["issue_start_ns"],
                began + about["complete_ns"],
            )
    return [found[number] for number in sorted(found)]
