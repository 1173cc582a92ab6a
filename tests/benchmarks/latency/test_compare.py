# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow_bench.latency import compare as comparing
from stillflow_bench.latency.compare import (
    CLAIM,
    FILE,
    Comparison,
    Pair,
    Side,
    compare,
    compared,
    concluded,
    parse_side,
    plan_of,
)
from stillflow_bench.latency.subject import Subject
from stillflow_bench.latency.target import TargetSpec
from stillflow_bench.latency.worker_process import COMMAND

from .valid_run import SUBJECT, Run, run_of

TARGET = TargetSpec("networks", "B2.call", SUBJECT)


def run_of_pairs(a_over_b: float = 1.0, pairs: int = 5) -> Run:
    """A comparison's run; in every pair A takes so many times the time of B."""
    side = Side("x", TARGET)
    run = run_of(*plan_of(side, side, pairs=pairs, queries=20, seed=0).blocks)
    for name in run.samples:
        if name.startswith("a"):
            run.slower(lambda _: a_over_b, name)
    return run


def pairs_of(rng: np.random.Generator, count: int, ratio: float = 1.0) -> list[Pair]:
    """Medians of 20 skewed times each, in processes of which each has luck of its own (3 %)."""
    luck = np.exp(rng.normal(0, 0.03, (count, 2)))
    medians = np.median(rng.lognormal(0, 0.2, (count, 2, 20)), axis=2) * luck * [ratio, 1]
    return [Pair("a", float(a), float(b)) for a, b in medians]


@pytest.mark.parametrize("count", [5, 7, 10])
def test_a_thing_compared_with_itself_is_claimed_to_differ_once_in_a_hundred_times(count: int) -> None:
    rng = np.random.default_rng(count)
    claims, covered, times = 0, 0, 1500
    for _ in range(times):
        found = concluded("x", "x", "B2.call", 20, pairs_of(rng, count))
        claims += found.differs
        covered += found.interval[0] <= 1 <= found.interval[1]
        assert found.differs == ("no difference" not in found.sentence)
    assert claims / times < 1 - CLAIM + 0.01  # four standard errors
    assert 0.93 < covered / times < 0.97


def test_a_real_difference_is_found_and_told_with_its_size() -> None:
    rng = np.random.default_rng(1)
    found = [concluded("a", "b", "B2.call", 20, pairs_of(rng, 7, 1.3)) for _ in range(200)]
    assert sum(one.differs for one in found) > 190
    ratios = [one.ratio for one in found]
    assert np.mean(ratios) == pytest.approx(1.3, rel=0.02)
    assert all("A takes 1." in one.sentence and "7 pairs" in one.sentence for one in found)


def test_outliers_stay_and_few_pairs_claim_nothing() -> None:
    steady = [Pair("a", 2.0, 1.0)] * 4
    assert not concluded("a", "b", "B2.call", 20, steady).differs
    assert "5 or more are needed" in concluded("a", "b", "B2.call", 20, steady).sentence
    assert concluded("a", "b", "B2.call", 20, [*steady, Pair("b", 2.1, 1.0)]).differs
    wild = concluded("a", "b", "B2.call", 20, [*steady, Pair("b", 20.0, 1.0)])
    assert not wild.differs
    assert len(wild.pairs) == 5 and wild.ratio > 2.5


@pytest.mark.parametrize("pairs", [5, 6, 7])
def test_pairs_stay_together_and_each_side_comes_first_in_half_of_them(pairs: int) -> None:
    side = Side("x", TARGET)
    plans = [plan_of(side, side, pairs=pairs, queries=20, seed=seed) for seed in range(20)]
    orders = set()
    for plan in plans:
        names = [block.name for block in plan.blocks]
        assert len(names) == 2 * pairs
        first = [names[k][0] for k in range(0, len(names), 2)]
        assert all(names[k][1:] == names[k + 1][1:] for k in range(0, len(names), 2))
        assert abs(first.count("a") - first.count("b")) <= 1
        loads = {block.name[1:]: block.load for block in plan.blocks}
        assert all(block.load == loads[block.name[1:]] for block in plan.blocks)
        assert not any(block.group for block in plan.blocks)
        orders.add("".join(first))
    assert len(orders) > 3
    assert plans[0] == plan_of(side, side, pairs=pairs, queries=20, seed=0)


def test_files_of_a_comparison_give_the_ratio() -> None:
    found = compared(run_of_pairs(1.5).evidence(), "one", "other")
    assert found.differs
    assert found.ratio == pytest.approx(1.5, rel=0.02)
    assert len(found.pairs) == 5
    assert {pair.first for pair in found.pairs} == {"a", "b"}
    assert not compared(run_of_pairs(1.0).evidence(), "one", "other").differs


def test_a_machine_that_was_not_quiet_is_told() -> None:
    run = run_of_pairs()
    assert compared(run.evidence(), "a", "b").disturbed == ""
    run.looks = [msgspec.structs.replace(look, busy=look.at / 4e8) for look in run.looks]
    told = compared(run.evidence(), "a", "b").disturbed
    assert "10 of 10 processes" in told and "others used" in told


def test_what_is_no_comparison_is_refused() -> None:
    missing = run_of_pairs()
    missing.measured[3] = msgspec.structs.replace(missing.measured[3], missing="openvino is not installed")
    other_inputs = run_of_pairs()
    other_inputs.facts("b-02", inputs=["0" * 64] * 32)
    fell_back = run_of_pairs()
    fell_back.facts("a-01", fallback="the CPU computed")
    failed = run_of_pairs()
    failed.change(lambda s: msgspec.structs.replace(s, error="no" if s.index == 9 else ""), "a-03")
    other_order = run_of_pairs()
    other_order.change(lambda s: msgspec.structs.replace(s, input=(s.input + 1) % 32), "b-03")
    interrupted = run_of_pairs()
    interrupted.record["interrupted"] = True
    elsewhere = run_of_pairs()
    elsewhere.block("b-04", target={"boundary": "B3.frame"})
    for run, why in (
        (missing, "openvino is not installed"),
        (other_inputs, "not the same to the last bit"),
        (fell_back, "provider-is-requested"),
        (failed, "no-errors"),
        (other_order, "different orders"),
        (interrupted, "ended before"),
        (elsewhere, "begin and end elsewhere"),
    ):
        with pytest.raises(StillflowError, match=why):
            compared(run.evidence(), "a", "b")


def test_a_side_is_a_subject_and_two_more_words(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.touch()
    side = parse_side(f"engine=openvino,target=raw-openvino,python={python},size=1080p", "networks", "folder")
    subject = Subject(engine="openvino", width=1920, height=1080)
    assert side.target == TargetSpec("raw-openvino", "B2.call", subject, "folder")
    assert side.python == str(python)
    assert parse_side("", "frame").target == TargetSpec("frame", "B3.frame", Subject())
    for text in ("target=nothing", "python=nowhere/python", "engines=1", "engine"):
        with pytest.raises(StillflowError):
            parse_side(text, "networks")


def test_another_interpreter_runs_the_same_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        comparing, "WorkerProcess", lambda name, *, threads, command: started.append((name, *command))
    )
    block = plan_of(Side("x", TARGET), Side("x", TARGET), pairs=5, queries=20, seed=0).blocks[0]
    Side("x", TARGET, "other/python").start(block)
    Side("x", TARGET).start(block)
    assert started == [(block.name, "other/python", *COMMAND[1:]), (block.name, *COMMAND)]


def test_fakes_are_compared_in_processes_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """End to end: one takes three times as long as the other, which a busy machine does not hide."""

    def side(milliseconds: float) -> Side:
        options: dict[str, str | int | float | bool] = {"milliseconds": milliseconds}
        return Side(f"{milliseconds} ms", TargetSpec("fake", "B2.call", options=options), sys.executable)

    monkeypatch.setattr("stillflow_bench.latency.run.SETTLE", 0.0)  # fakes have no threads that turn on
    said: list[str] = []
    found = compare(side(15.0), side(5.0), tmp_path, pairs=2, queries=7, announce=said.append)
    assert 2 < found.ratio < 4
    assert not found.differs  # two pairs claim nothing
    assert said
    assert msgspec.json.decode((tmp_path / FILE).read_bytes(), type=Comparison) == found
    assert len(list((tmp_path / "samples").iterdir())) == 4
    with pytest.raises(StillflowError, match="there is one"):
        compare(side(1.0), side(1.0), tmp_path, pairs=5, queries=7, announce=said.append)


def test_the_first_process_that_fails_ends_it_and_ctrl_c_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Side("x", TargetSpec("fake", "B2.call"), str(tmp_path / "python"))
    (tmp_path / "python").touch()
    said: list[str] = []
    with pytest.raises(StillflowError, match="cannot start a process"):
        compare(broken, broken, tmp_path / "a", queries=7, announce=said.append)
    assert sum("not measured" in line for line in said) == 1

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Side, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compare(broken, broken, tmp_path / "b", queries=7, announce=said.append)
