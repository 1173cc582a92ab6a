# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from stillflow_bench.encode import LIMIT, falling, measure, run_encode_bench
from stillflow_bench.photos import scenery


def test_scene_moves_about_its_share() -> None:
    assert (falling(scenery(320, 180), seconds=0.2).matte > 0).mean() == pytest.approx(0.3, abs=0.06)


def test_every_way_is_timed_in_every_repeat() -> None:
    found = {
        entry["name"]: entry for entry in run_encode_bench(falling(scenery(160, 96), seconds=0.2), repeats=2)
    }
    assert {"PyAV alone", "sink alone", "whole job", "render, row bands"} <= set(found)
    assert all(len(entry["samples"]) == 2 and min(entry["samples"]) > 0 for entry in found.values())
    ratios = found["whole job / PyAV alone"]["samples"]
    for i in range(2):
        assert ratios[i] == pytest.approx(
            found["whole job"]["samples"][i] / found["PyAV alone"]["samples"][i]
        )


def test_only_the_size_that_was_asked_for_has_a_limit() -> None:
    rows = {row.name: row for row in measure(repeats=1, size="360p", seconds=0.1)}
    assert rows["whole job / PyAV alone"].limit is None
    assert LIMIT == 1.3
