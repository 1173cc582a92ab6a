# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from stillflow.errors import StillflowError
from stillflow_bench.latency.boundary import NESTED, is_shorter
from stillflow_bench.latency.subject import Subject
from stillflow_bench.latency.target import Answer, TargetSpec, open_target
from stillflow_bench.latency.targets.fake import Fake

from ..virtual_clock import VirtualClock

SUBJECT = Subject(engine="onnxruntime", precision="fp32", device="cpu")


def fake(boundary: Any = "B2.call", subject: Subject = SUBJECT, **options: Any) -> Fake:
    return Fake(TargetSpec("fake", boundary, subject, options=options), VirtualClock())


def digest(answer: Answer) -> str:
    assert answer.digest is not None
    return answer.digest()


def test_it_says_of_itself_what_a_good_target_says() -> None:
    facts = fake().facts
    assert (facts.engine, facts.device, facts.fallback) == ("onnxruntime", "cpu", "")
    assert facts.precision == {"flow": "fp32", "generator": "fp32"}
    for graph in ("flow", "generator"):
        assert facts.receipts[graph]["passed"] is True
        assert facts.receipts[graph]["onnx_sha256"] == facts.hashes[graph]
    assert len(set(facts.inputs)) == len(set(facts.photos)) == 32


@pytest.mark.parametrize("boundary", ["B2.call", "B3.frame", "B3.next", "B4.job"])
def test_inner_boundaries_lie_inside(boundary: Any) -> None:
    spans = fake(boundary).query(0).spans
    assert set(spans) == {name for name in NESTED if is_shorter(name, boundary) and name != "B1.transfer"}
    times = [spans[name] for name in NESTED if name in spans]
    assert times == sorted(times)
    assert all(time < 2_000_000 for time in times)


def test_a_gpu_has_transfers() -> None:
    assert set(fake(subject=Subject(device="cuda")).query(0).spans) == {"B0.device", "B1.transfer"}


@pytest.mark.parametrize(
    ("outputs", "repeats", "varies"),
    [("good", True, True), ("constant", True, False), ("random", False, True)],
)
def test_outputs(outputs: str, repeats: bool, varies: bool) -> None:
    target = fake(outputs=outputs)
    one, again, other = (digest(target.query(number)) for number in (1, 1, 2))
    assert (one == again) is repeats
    assert (one != other) is varies
    assert len(one) == 16


def test_misbehaviour() -> None:
    caching = fake(caching=True, milliseconds=1)
    for number in (0, 0, 1):
        caching.query(number)
    assert caching.took == [1_000_000, 100_000, 1_000_000]
    assert fake(inner_longer=True).query(0).spans["B0.device"] > 2_000_000
    failing = fake(errors=2)
    failing.query(0)
    with pytest.raises(StillflowError, match="the fake failed"):
        failing.query(0)
    assert fake(provider="abacus").facts.provider == "abacus"
    assert fake(engine="openvino").facts.engine == "openvino"
    assert fake(fallback="all of it").facts.fallback == "all of it"
    assert len(fake(inputs=3).facts.inputs) == 3


@pytest.mark.parametrize("receipt", ["failed", "missing", "other"])
def test_receipts_that_do_not_do(receipt: str) -> None:
    facts = fake(receipt=receipt).facts
    good = [r for r in facts.receipts.values() if r["passed"] and r["onnx_sha256"] in facts.hashes.values()]
    assert good == []


def test_it_opens_by_its_kind_on_the_hosts_clock() -> None:
    target = open_target(TargetSpec("fake", "B2.call", options={"milliseconds": 0.0}))
    assert digest(target.query(0))
    target.close()


@pytest.mark.parametrize("options", [{"speed": 1}, {"milliseconds": -1.0}, {"distribution": "normal"}])
def test_options_that_it_does_not_know_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(StillflowError, match="its options are distribution"):
        fake(**options)
