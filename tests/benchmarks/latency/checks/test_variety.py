# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from stillflow_bench.latency.limits import Limits
from stillflow_bench.latency.sample import Sample

from ..valid_run import FACTS, Run, block, broken, found, run_of


def run() -> Run:
    return run_of(block())


@pytest.mark.parametrize(
    "facts",
    [
        {"inputs": FACTS.inputs[:16] * 2},
        {"photos": FACTS.photos[:16] * 2},
        {"photos": []},
        {"inputs": []},
        {"inputs": FACTS.inputs[:31]},
    ],
)
def test_32_inputs_are_32_different_ones_of_as_many_photos(facts: dict[str, Any]) -> None:
    one = run()
    one.facts(**facts)
    assert broken(one.judged()) == {("ours", "inputs-different")}


def test_how_many_photos_are_enough_is_a_limit() -> None:
    assert broken(run().judged(Limits(photos=33))) == {("ours", "inputs-different")}
    one = run()
    one.facts(photos=FACTS.photos[:16] * 2)
    assert broken(one.judged(Limits(photos=16))) == set()


def test_every_input_is_measured_about_as_often() -> None:
    one = run()
    one.change(
        lambda s: msgspec.structs.replace(
            s, input=0 if s.input in (1, 2) else s.input, digest="0" * 16 if s.input in (1, 2) else s.digest
        )
    )
    check = found(one.judged(), "inputs-different")
    assert check.condemns
    few = run()
    few.change(
        lambda s: (
            msgspec.structs.replace(s, input=0, digest="0" * 16)
            if s.input == 1 and s.phase == "measured"
            else s
        )
    )
    assert found(few.judged(Limits(photos=31)), "inputs-different").condemns


def test_jobs_and_cold_starts_take_a_photo_each_as_far_as_they_go() -> None:
    one = run_of(block(queries=8, rounds=1, audit=0))
    one.block(claims=(50.0,))
    assert broken(one.judged()) == {("ours", "inputs-different")}
    one.block(target={"boundary": "B4.job"})
    assert ("ours", "inputs-different") not in broken(one.judged())


def test_a_peer_of_few_queries_is_told_and_not_thrown_out() -> None:
    one = run_of(block(), msgspec.structs.replace(block("peer", queries=8, rounds=1), role="peer", claims=()))
    check = found(one.judged(), "inputs-different", "peer")
    assert check.warns and not check.condemns


def test_a_run_with_one_input_is_an_audit() -> None:
    one = run()
    one.block(load={"issue": "same"})
    check = found(one.judged(), "inputs-different")
    assert (check.ok, check.severity) == (None, "note")
    assert "audit" in check.why


def test_outputs_vary_with_inputs() -> None:
    one = run()
    one.change(lambda s: msgspec.structs.replace(s, digest="0" * 16))
    assert broken(one.judged()) == {("ours", "outputs-vary-with-inputs")}
    few = run()
    few.change(lambda s: msgspec.structs.replace(s, digest="0" * 16 if s.input < 3 else s.digest))
    assert broken(few.judged()) == set()
    assert broken(few.judged(Limits(same_outputs=5))) == {("ours", "outputs-vary-with-inputs")}


def test_frames_of_a_loop_in_which_nothing_moves_are_its_photo() -> None:
    one = run()
    one.block(target={"boundary": "B3.next", "kind": "next"})
    one.change(lambda s: msgspec.structs.replace(s, digest=f"{s.input % 8:016x}"))  # 8 photos, 4 times
    one.facts(notes={"moving_share": [0.5] * 4 + [0.0] * 4})
    assert found(one.judged(), "outputs-vary-with-inputs").condemns
    one.facts(notes={"moving_share": [0.0] * 8})
    check = found(one.judged(), "outputs-vary-with-inputs")
    assert check.ok and "8 different outputs of 8" in check.why


def test_outputs_repeat() -> None:
    one = run()
    one.change(lambda s: msgspec.structs.replace(s, digest=f"{s.index:016x}"))
    check = found(one.judged(), "outputs-repeat")
    assert check.warns and check.have == 32
    assert one.judged().valid


def test_outputs_that_nobody_hashed_are_a_warning() -> None:
    one = run()
    one.change(lambda s: msgspec.structs.replace(s, digest=""))
    verdict = one.judged()
    assert verdict.valid
    assert found(verdict, "outputs-repeat").warns and found(verdict, "outputs-vary-with-inputs").warns


def test_the_same_input_again_and_again_is_not_faster() -> None:
    one = run()
    one.change(
        lambda s: (
            msgspec.structs.replace(s, done=s.issued + s.service // 2, spans={}) if s.phase == "audit" else s
        )
    )
    verdict = one.judged()
    assert broken(verdict) >= {("ours", "no-caching")}
    assert found(verdict, "no-caching").have == pytest.approx(50, abs=10)
    assert ("ours", "no-caching") not in broken(one.judged(Limits(caching=70)))


def slower(one: Run, times: float, which: Callable[[Sample], bool]) -> None:
    """Let some queries take so many times as long as they did."""
    one.change(
        lambda s: (
            msgspec.structs.replace(s, done=s.issued + round(s.service * times), spans={}) if which(s) else s
        )
    )


def test_an_input_that_stalled_when_it_was_measured_is_no_cache() -> None:
    one = run_of(block(queries=40))
    slower(one, 3.0, lambda s: s.phase == "measured" and s.input == 0)
    assert not found(one.judged(), "no-caching").condemns
    # A cache is faster than any input: found although the input was measured at its worst.
    slower(one, 0.1, lambda s: s.phase == "audit")
    assert found(one.judged(), "no-caching").condemns


def test_a_first_pass_that_was_disturbed_for_a_while_is_no_cache() -> None:
    one = run_of(block(audit=0))
    slower(one, 4.0, lambda s: s.phase == "measured" and s.index < 20)
    assert not found(one.judged(), "no-caching").condemns


@pytest.mark.parametrize("hit", [0.02, 0.5])
def test_inputs_that_come_in_turn_again_are_not_faster(hit: float) -> None:
    one = run_of(block(audit=0))
    seen: set[int] = set()

    def known(s: Sample) -> bool:
        """Out of a cache that has held everything since the warm-up."""
        try:
            return s.input in seen
        finally:
            seen.add(s.input)

    slower(one, hit, known)
    assert found(one.judged(), "no-caching").condemns
    alone = run_of(block(audit=0, queries=30))
    assert found(alone.judged(), "no-caching").warns  # nothing came twice


def test_as_much_moves_as_was_asked_for() -> None:
    one = run()
    subject = msgspec.structs.replace(one.measured[0].block.target.subject, moving=0.3)
    one.block(target={"subject": subject, "boundary": "B3.frame"})
    for told, word in (
        ([0.301, None, 0.29], "ok"),
        (0.3, "ok"),
        ([0.3, 0.5], "condemns"),
        (None, "warns"),
        ([None, True, "x", 7], "warns"),
    ):
        one.facts(notes={"moving_share": told})
        check = found(one.judged(), "moving-share-as-asked")
        assert getattr(check, word), told
