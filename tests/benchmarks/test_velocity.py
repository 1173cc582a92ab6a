# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from stillflow.animator import Animator
from stillflow_bench import velocity

pytest.importorskip("torch", reason="torch is not installed, and scenes are drawn with it")


def test_each_number_of_arrows_stands_beside_the_closed_form() -> None:
    rows = velocity.measure(Animator(), [], scenes=2)
    assert [row.name for row in rows] == [
        "velocity error, 1 arrow",
        "velocity error, 3 arrows",
        "velocity error, 5 arrows",
    ]
    for row in rows:
        assert row.limit == pytest.approx(0.8 * row.baselines["rbf"])
        assert all(0 < sample < 5 for sample in row.samples)
        assert row.parameters["played"] in ("network", "rbf")
