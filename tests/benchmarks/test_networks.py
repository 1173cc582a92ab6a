# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from stillflow.animator import Animator
from stillflow_bench import networks
from stillflow_bench.photos import scenery


def test_both_networks_are_timed_each_on_its_own() -> None:
    cost = networks.cost(Animator(), scenery(320, 192))
    assert cost.flow > 0
    assert cost.generator > 0
    assert cost.both == pytest.approx(cost.flow + cost.generator)
    assert cost.processor > 0


def test_the_aim_is_about_both_together(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = iter([networks.Cost(0.5, 0.5, 1.0), *[networks.Cost(0.1, 0.3, 0.7)] * 3])
    monkeypatch.setattr(networks, "cost", lambda *_: next(costs))
    monkeypatch.setattr(networks, "_whole", lambda *_: 2.0)
    rows = {row.name: row for row in networks.measure(Animator(), repeats=3)}
    both = rows["flow and generator networks"]
    assert both.samples == pytest.approx([400, 400, 400])
    assert both.holds is True
    assert both.baselines == {"the whole way to a loop": pytest.approx(2000)}
    assert rows["both, the first time"].samples == pytest.approx([1000])
    assert rows["both, the processor's time"].value == pytest.approx(700)
