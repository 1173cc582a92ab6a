# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from stillflow_bench.splat import THREADS, measure, turning


def test_everything_moves_and_gathers() -> None:
    velocity = turning(90, 160)
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    assert speed.min() > 0.3 and speed.max() < 1.4


def test_rows_hold_what_they_say() -> None:
    rows = measure(repeats=2, size="360p", channels=4)
    assert len(rows) == 1 + 2 * len(THREADS)
    assert all(len(row.samples) == 2 and min(row.samples) > 0 for row in rows)
    assert all(row.limit is None for row in rows)
    by_unit = [row.unit for row in rows]
    assert by_unit.count("x") == len(THREADS)


@pytest.mark.parametrize("threads", THREADS)
def test_each_row_names_its_threads(threads: int) -> None:
    rows = [
        row for row in measure(repeats=1, size="360p", channels=2) if row.parameters.get("threads") == threads
    ]
    assert len(rows) == 2 and all(f"{threads} thread" in row.name for row in rows)
