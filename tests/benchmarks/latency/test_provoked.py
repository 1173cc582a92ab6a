# SPDX-License-Identifier: Apache-2.0
"""Each invalid condition, provoked in a fake engine, measured by the real drivers, and caught by the judge."""

from __future__ import annotations

from typing import Any

import pytest

from stillflow_bench.latency.plan import Block, Load, Scenario
from stillflow_bench.latency.record import Measured
from stillflow_bench.latency.scenarios import make_driver
from stillflow_bench.latency.target import TargetSpec
from stillflow_bench.latency.targets.fake import Fake

from .valid_run import SECOND, SUBJECT, Run, broken, looks
from .virtual_clock import VirtualClock

pytestmark = pytest.mark.usefixtures("unswept")

LOAD = Load(queries=96, warm_up=8, audit=8, rounds=3)


def measured(load: Load = LOAD, **options: Any) -> Run:
    """A run of one block of ours: a fake on a virtual clock."""
    clock = VirtualClock()
    spec = TargetSpec("fake", "B2.call", SUBJECT, options={"milliseconds": 20.0, "cycle": 96, **options})
    fake = Fake(spec, clock)
    clock.sleep_until(2 * SECOND)
    driver = make_driver(fake, load, clock, origin=0)
    samples = driver.warm_up()
    for turn in range(load.rounds):
        samples += driver.measure(load.queries // load.rounds, 0.0, turn)
    samples += driver.audit()
    driver.close()
    block = Block("ours", "ours", "ours", spec, load, claims=(50.0, 90.0))
    one = Measured(block, fake.facts, began=2 * SECOND, ended=clock.now(), rss_peak=10**8, cpu_seconds=2.0)
    return Run([one], {"ours": samples}, looks(clock.now() + 2 * SECOND))


@pytest.mark.parametrize("distribution", ["constant", "bimodal", "heavy-tail"])
@pytest.mark.parametrize("scenario", ["single_stream", "multi_stream", "offline", "server"])
def test_a_sound_engine_is_valid_whatever_its_delays_and_its_load(
    scenario: Scenario, distribution: str
) -> None:
    lanes = 1 if scenario == "single_stream" else 2
    load = Load(scenario, queries=960, warm_up=8, audit=8, rounds=3, lanes=lanes, rate=30.0)
    verdict = measured(load, distribution=distribution).judged()
    assert broken(verdict) == set()
    assert verdict.valid


@pytest.mark.parametrize(
    ("options", "id"),
    [
        ({"distribution": "drift"}, "windows-stable"),
        ({"distribution": "stall"}, "no-stall"),
        ({"caching": True}, "no-caching"),
        ({"outputs": "constant"}, "outputs-vary-with-inputs"),
        ({"inner_longer": True}, "clock-order"),
        ({"errors": 10}, "no-errors"),
        ({"inputs": 8}, "inputs-different"),
        ({"provider": "CUDAExecutionProvider"}, "provider-is-requested"),
        ({"engine": "openvino"}, "provider-is-requested"),
        ({"fallback": "the CPU made the frames"}, "provider-is-requested"),
        ({"receipt": "failed"}, "accuracy-receipt-matches-engine"),
        ({"receipt": "missing"}, "accuracy-receipt-matches-engine"),
        ({"receipt": "other"}, "accuracy-receipt-matches-engine"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else None,
)
def test_a_misbehaving_engine_is_caught(options: dict[str, Any], id: str) -> None:
    verdict = measured(**options).judged()
    assert not verdict.valid
    assert ("ours", id) in broken(verdict)


def test_outputs_that_never_repeat_are_told() -> None:
    verdict = measured(outputs="random").judged()
    (check,) = [check for check in verdict.checks if check.id == "outputs-repeat"]
    assert check.warns


def test_a_queue_that_grows_is_caught() -> None:
    load = Load("server", queries=300, warm_up=8, audit=8, rate=75.0)  # 50 a second can be served
    assert ("ours", "queue-stable") in broken(measured(load).judged())


def test_too_few_queries_for_the_claim_are_caught() -> None:
    load = Load(queries=32, warm_up=8, audit=8)
    assert ("ours", "min-samples:p90") in broken(measured(load).judged())
