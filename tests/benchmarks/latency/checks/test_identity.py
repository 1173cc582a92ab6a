# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stillflow_bench.latency.record import Tool

from ..valid_run import FACTS, FLOW, GENERATOR, Run, block, broken, found, run_of

PASSED = {"gate": "A", "onnx_sha256": FLOW, "passed": True}


def run(role: str = "ours", **facts: Any) -> Run:
    one = run_of(block(), msgspec.structs.replace(block("other"), role=role))
    one.facts("other", **facts)
    return one


@pytest.mark.parametrize(
    "facts",
    [
        {"engine": "openvino", "provider": "CPU"},
        {"engine": ""},
        {"provider": "CUDAExecutionProvider"},
        {"device": "cuda:0", "provider": "CUDAExecutionProvider"},
        {"fallback": "flow did not load on the GPU"},
    ],
)
def test_another_engine_or_device_than_asked_for_is_found(facts: dict[str, Any]) -> None:
    assert broken(run(**facts).judged()) == {("other", "provider-is-requested")}


def test_a_fallback_to_the_cpu_is_found() -> None:
    one = run(fallback="", device="cuda:0", provider="CPUExecutionProvider")
    subject = msgspec.structs.replace(one.measured[1].block.target.subject, device="cuda")
    one.block("other", target={"subject": subject})
    assert ("other", "provider-is-requested") in broken(one.judged())
    one.facts("other", provider="CUDAExecutionProvider")
    assert ("other", "provider-is-requested") not in broken(one.judged())
    one.facts("other", device="cpu", provider="CPUExecutionProvider")
    assert ("other", "provider-is-requested") in broken(one.judged())


@pytest.mark.parametrize("facts", [{"device": ""}, {"provider": ""}])
def test_what_does_not_say_what_computes_is_a_warning(facts: dict[str, Any]) -> None:
    check = found(run(**facts).judged(), "provider-is-requested", "other")
    assert check.ok is None and check.warns


def test_frames_are_geometry_and_no_engines() -> None:
    one = run(engine="libstillflow", provider="", hashes={}, receipts={}, precision={})
    one.block("other", target={"kind": "next", "boundary": "B3.next"})
    one.change(lambda s: msgspec.structs.replace(s, spans={}), "other")
    assert broken(one.judged()) == set()
    assert not any(check.warns for check in one.judged().checks)


def test_another_precision_than_asked_for_is_found() -> None:
    verdict = run(precision={"flow": "fp32", "generator": "fp16"}).judged()
    assert broken(verdict) == {("other", "precision-as-asked")}
    assert "generator fp16" in found(verdict, "precision-as-asked", "other").why
    assert found(run(precision={}).judged(), "precision-as-asked", "other").warns


@pytest.mark.parametrize(
    "facts",
    [
        {"receipts": {}},
        {"hashes": {}},
        {"hashes": {"bundle": "b" * 64}},
        {"receipts": {"flow": PASSED}},
        {"receipts": {**FACTS.receipts, "flow": {**PASSED, "onnx_sha256": "0" * 64}}},
        {"receipts": {**FACTS.receipts, "flow": {**PASSED, "passed": False}}},
        {"receipts": {**FACTS.receipts, "flow": {**PASSED, "passed": "yes"}}},
        {"receipts": {**FACTS.receipts, "more": {**PASSED, "passed": False}}},
        {"receipts": {**FACTS.receipts, "flow": [PASSED]}},
        {"hashes": {"flow": "", "generator": GENERATOR}, "receipts": {"flow": {"passed": True}}},
    ],
)
def test_only_a_receipt_of_the_very_file_counts(facts: dict[str, Any]) -> None:
    assert broken(run(**facts).judged()) == {("other", "accuracy-receipt-matches-engine")}
    peer = run("peer", **facts).judged()
    assert broken(peer) == set()
    assert found(peer, "accuracy-receipt-matches-engine", "other").warns


def test_a_receipt_beside_an_engine_counts_too() -> None:
    kept = {"state": "passed", "receipt": {**PASSED, "gate": "C", "onnx_sha256": "", "engine_sha256": FLOW}}
    assert broken(run(receipts={**FACTS.receipts, "flow": kept}).judged()) == set()


@pytest.mark.parametrize(
    ("commit", "ok", "warns"),
    [
        ("0123456789ab", True, False),
        ("0123456789ab+", False, False),
        ("unknown", None, True),
        ("", None, True),
    ],
)
def test_a_changed_tree_is_a_note_and_an_unknown_one_a_warning(
    commit: str, ok: bool | None, warns: bool
) -> None:
    one = run()
    one.record["tool"] = Tool("0.1.0", commit, "", "")
    check = found(one.judged(), "source-tree", "")
    assert (check.ok, check.warns) == (ok, warns)
    assert one.judged().valid
