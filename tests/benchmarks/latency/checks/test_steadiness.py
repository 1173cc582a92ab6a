# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from stillflow_bench.latency.limits import Limits
from stillflow_bench.latency.sample import Sample

from ..valid_run import Run, block, broken, found, run_of


def changed(factor: Callable[[Sample], float], **load: int) -> Run:
    run = run_of(block(**load))
    run.slower(factor)
    return run


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (lambda s: 1 + 0.4 * s.index / 109, "it drifts"),
        (lambda s: 1.5 - 0.3 * s.index / 109, "it drifts"),
        (lambda s: 1.6 if 45 <= s.index < 62 else 1, "disturbed for a while: part 3 of 5"),
        (lambda s: 1.3 if s.index // 20 % 2 else 1, "it wavers"),
    ],
)
def test_a_drift_an_episode_and_wavering_are_told_apart(
    factor: Callable[[Sample], float], words: str
) -> None:
    verdict = changed(factor).judged()
    assert ("ours", "windows-stable") in broken(verdict)
    assert words in found(verdict, "windows-stable").why
    assert ("ours", "no-stall") not in broken(verdict)


def test_a_slow_while_late_on_is_no_drift_though_it_leaves_a_trend() -> None:
    verdict = changed(lambda s: 1.4 if 365 <= s.index < 485 else 1, queries=600).judged()
    assert "disturbed for a while: part 4 of 5" in found(verdict, "windows-stable").why


def test_a_stall_is_no_drift() -> None:
    verdict = changed(lambda s: 40 if s.index == 50 else 1).judged()
    assert broken(verdict) == {("ours", "no-stall")}
    assert "something stood still once" in found(verdict, "no-stall").why
    several = changed(lambda s: 40 if s.index in (40, 70) else 1).judged()
    assert "stood still 2 times" in found(several, "no-stall").why
    tail = changed(lambda s: 40 if s.index in (40, 60, 80, 90) else 1).judged()
    assert "heavy tail" in found(tail, "no-stall").why
    assert broken(changed(lambda s: 40 if s.index == 50 else 1).judged(Limits(stall=50))) == set()
    assert broken(changed(lambda s: 40 if s.index == 50 else 1).judged(Limits(stall_ms=1000))) == set()


def test_two_modes_are_not_unstable() -> None:
    """Medians of windows would flip between the modes."""
    for seed in range(10):
        slow = np.random.default_rng(seed).random(800) < 0.5
        verdict = changed(lambda s, slow=slow: 2 if slow[s.index] else 1, queries=600).judged()
        assert broken(verdict) == set()


def test_scatter_that_hides_a_drift_is_a_warning_and_not_fine() -> None:
    slow = np.random.default_rng(1).random(200) < 0.2
    verdict = changed(lambda s: 5 if slow[s.index] else 1, queries=48, rounds=1, audit=0).judged()
    check = found(verdict, "windows-stable")
    assert check.warns and "too few to tell" in check.why
    few = run_of(block(queries=9, rounds=1))
    assert found(few.judged(), "windows-stable").ok is None


def test_a_cold_begin_is_the_warm_ups_fault() -> None:
    verdict = changed(lambda s: 1.5 if s.index < 5 + 19 else 1).judged()
    assert broken(verdict) == {("ours", "warm-up-enough")}
    assert broken(changed(lambda s: 1.5 if s.index < 5 + 19 else 1).judged(Limits(warm_up_enough=60))) == {
        ("ours", "windows-stable")
    }


def test_the_warm_up_is_flagged_and_comes_first() -> None:
    run = run_of(block())
    run.block(load={"warm_up": 6})
    assert broken(run.judged()) == {("ours", "warm-up-flagged")}
    late = run_of(block(queries=99))
    late.block(load={"queries": 98})
    late.change(lambda s: msgspec.structs.replace(s, phase="warm-up", round=0) if s.index == 60 else s)
    assert broken(late.judged()) == {("ours", "warm-up-flagged")}
    none = run_of(block(warm_up=0))
    assert found(none.judged(), "warm-up-flagged").warns
    assert none.judged().valid
