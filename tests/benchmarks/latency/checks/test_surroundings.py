# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from stillflow_bench.latency.checks.surroundings import increase, longest_gap
from stillflow_bench.latency.limits import Limits
from stillflow_bench.latency.record import Look

from ..valid_run import SECOND, Run, block, broken, found, looks, run_of


def changed(change: Callable[[Look], dict[str, Any]], *, gpu: bool = False) -> Run:
    """A run whose looks are others."""
    run = run_of(block(queries=480))
    run.looks = [msgspec.structs.replace(look, **change(look)) for look in run.looks]
    if gpu:
        run.facts(device="cuda:0", provider="CUDAExecutionProvider")
        subject = msgspec.structs.replace(run.measured[0].block.target.subject, device="cuda")
        run.block(target={"subject": subject})
    return run


@pytest.mark.parametrize(
    ("change", "id", "limits"),
    [
        (lambda look: {"busy": look.busy + 0.5 * look.at / SECOND}, "quiet-machine", {"quiet": 40.0}),
        (lambda look: {"steal": 0.2 * look.at / SECOND}, "no-steal", {"steal": 20.0}),
        (lambda look: {"throttled": look.at // SECOND}, "no-quota", {"throttled": 20.0}),
        (lambda look: {"mhz": 3000 - 100 * look.at / SECOND}, "no-throttle", {"clock_drop": 60.0}),
        (lambda look: {"celsius": 97.0}, "no-throttle", {"celsius": 105.0}),
    ],
)
def test_a_disturbed_machine_is_found_by_what_disturbs_it(
    change: Callable[[Look], dict[str, Any]], id: str, limits: dict[str, float]
) -> None:
    run = changed(change)
    assert broken(run.judged()) == {("ours", id)}
    assert broken(run.judged(Limits(**limits))) == set()


def on_64(run: Run) -> None:
    """The same on a machine of 64 processors."""
    run.record["host"] = msgspec.structs.replace(run.whole().host, cores=64)


def test_of_many_processors_others_may_not_use_several() -> None:
    run = changed(lambda look: {"busy": look.busy + 1.5 * look.at / SECOND})
    assert broken(run.judged()) == {("ours", "quiet-machine")}
    on_64(run)
    check = found(run.judged(), "quiet-machine")
    assert check.condemns and "2.4 % of 64 processors, as much as 15.0 % of 10" in check.why
    chores = changed(lambda look: {"busy": look.busy + 0.9 * look.at / SECOND})
    on_64(chores)
    assert broken(chores.judged()) == set()


def test_what_is_stolen_from_one_of_many_processors_is_much_of_what_it_wanted() -> None:
    run = changed(lambda look: {"steal": 0.1 * look.at / SECOND})
    on_64(run)
    check = found(run.judged(), "no-steal")
    assert check.condemns and check.have == pytest.approx(100 * 0.1 / 1.31, rel=0.1)
    silent = changed(lambda look: {"steal": 0.1 * look.at / SECOND, "busy": None})
    assert found(silent.judged(), "no-steal").condemns


@pytest.mark.parametrize(
    ("gpu", "ids"),
    [
        ({"mhz": 1900, "held_back": ["idle", "power cap"], "processes": []}, set()),
        ({"mhz": 1900, "held_back": ["temperature (driver)"], "processes": []}, {"no-throttle"}),
        ({"processes": [{"program": "other", "memory_mib": 100}]}, {"gpu-exclusive"}),
        ({"mhz": "fast", "held_back": 7, "processes": ["odd"]}, {"gpu-exclusive"}),
    ],
)
def test_a_gpu_that_is_held_back_or_shared_is_found(gpu: dict[str, Any], ids: set[str]) -> None:
    run = changed(lambda _: {"gpu": gpu}, gpu=True)
    assert broken(run.judged()) == {("ours", id) for id in ids}
    assert ("ours", "no-throttle") not in broken(changed(lambda _: {"gpu": gpu}).judged())  # the CPU's block


def test_a_gpus_clock_that_falls_is_found() -> None:
    run = changed(lambda look: {"gpu": {"mhz": 1900 - 60 * look.at // SECOND, "processes": []}}, gpu=True)
    assert broken(run.judged()) == {("ours", "no-throttle")}


def test_nobody_knows_who_else_is_on_a_gpu_that_does_not_tell() -> None:
    verdict = changed(lambda _: {}, gpu=True).judged()
    assert found(verdict, "gpu-exclusive").ok is None
    assert verdict.valid


@pytest.mark.parametrize("field", ["busy", "own"])
def test_a_machine_that_does_not_tell_is_a_warning_and_never_fine(field: str) -> None:
    verdict = changed(lambda _: {field: None}).judged()
    assert found(verdict, "quiet-machine").warns
    assert found(verdict, "telemetry-there").warns
    assert verdict.valid
    silent = changed(lambda _: {"mhz": None, "celsius": None}).judged()
    assert found(silent, "no-throttle", "").warns
    frozen = changed(lambda _: {"busy": 1.0}).judged()
    assert found(frozen, "quiet-machine").warns


def test_looks_have_to_come_often_enough() -> None:
    run = run_of(block(queries=480))
    run.looks = [run.looks[0], run.looks[-1]]
    assert found(run.judged(), "telemetry-there").warns
    assert not found(run.judged(Limits(looks=1000)), "telemetry-there").warns
    none = run_of(block())
    none.looks = [msgspec.structs.replace(look, at=0) for look in none.looks]
    assert found(none.judged(), "telemetry-there").warns


def test_increase_counts_the_turns_alone_and_between_looks_evenly() -> None:
    run = run_of(block())
    one = run.evidence().blocks[0]
    seconds = sum(end - begin for begin, end in one.spells) / 1e9
    assert increase(one, run.evidence(), lambda look: look.own) == pytest.approx(1.2 * seconds)
    assert increase(one, run.evidence(), lambda _: None) is None
    assert longest_gap(one, run.evidence()) == 0.5
    run.looks = looks(2 * SECOND)
    assert increase(one, run.evidence(), lambda look: look.own) is None
    assert longest_gap(one, run.evidence()) == float("inf")
