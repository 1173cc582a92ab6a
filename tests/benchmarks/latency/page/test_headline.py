# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from stillflow_bench.latency.page.headline import card_words, cards, conditions, subject_words, verdict_words
from stillflow_bench.latency.record import Look


def test_the_cards_are_the_figures_that_people_ask_for(rich: Any) -> None:
    found = {card.title: card for card in cards(rich)}
    assert list(found) == [
        "photo to first frame", "next frame", "photo file to finished file", "process start to first frame",
        "our session over the library's own call", "published pipeline, of ours",
    ]  # fmt: skip
    assert float(found["photo to first frame"].value.removesuffix(" ms")) == pytest.approx(400, rel=0.05)
    assert "frames a second" in found["next frame"].note
    assert found["process start to first frame"].value.endswith(" s")
    assert re.fullmatch(r"[+-]\d+\.\d\d %", found["our session over the library's own call"].value)
    assert found["published pipeline, of ours"].value.endswith(" ×")


def test_overhead_is_what_lies_around_the_library_s_call_in_the_same_query(
    make: Any, read: Callable[..., Any]
) -> None:
    made = make()
    made.block("other", "raw-onnxruntime", "B2.call", [90.0] * 20, role="peer", spans={"B0.device": 1.0})
    made.block("ours", "networks", "B2.call", [102.5] * 20, spans={"B0.device": 0.8, "B2.call": 0.82})
    (card,) = cards(read(made))
    assert (card.value, card.blocks) == ("+2.50 %", ("ours",))
    bare = make()
    bare.block("ours", "networks", "B2.call", [102.5] * 20)
    assert cards(read(bare)) == []


def test_cards_of_refused_blocks_say_so_and_nothing_measured_has_none(
    make: Any, read: Callable[..., Any]
) -> None:
    made = make()
    made.block("bad", "frame", "B3.frame", [100.0] * 9, failing=1)
    assert "INVALID" in card_words(read(made))
    none = make()
    none.measured.clear()
    none.block("gone", "frame", "B3.frame", [], missing="no")
    assert card_words(read(none)) == ""


def test_the_verdict_is_in_big_letters_with_its_reasons(make: Any, read: Callable[..., Any]) -> None:
    made = make()
    for k in range(12):
        made.block(f"bad-{k}", "fake", "B2.call", [1.0] * 9, failing=1, title=f"block {k}")
    material = read(made)
    text = verdict_words(material)
    assert "<b>INVALID</b>" in text
    assert text.count("<li>") == 8
    assert f"And {len(material.reasons) - 8} more reasons" in text
    assert "block 0 (bad-0): " in text


def test_what_was_measured_on_what_by_which_command(rich: Any) -> None:
    text = subject_words(rich)
    for words in (
        "edge", "720p, 1080p", "30%", "onnxruntime 1.22.0", "Tin Can at 2 GHz", "numpy 2.0", "0123456789ab",
        "stillflow-bench run --quick -o run", "2026-01-02T03:04:05Z",
    ):  # fmt: skip
        assert words in text


def test_conditions_stand_side_by_side_and_gaps_are_dashes() -> None:
    text = conditions(Look(at=0, load=0.25, gpu={"mhz": 1300}), Look(at=9, load=1.5, celsius=61.5))
    for words in ("0.25", "1.5", "61.5", "GPU: mhz", "1300", "\u2013"):
        assert words in text
    assert "control group" not in text
    assert "tells nothing" in conditions(Look(at=0), Look(at=1))


def test_too_few_queries_give_no_median_but_what_was_seen(make: Any, read: Callable[..., Any]) -> None:
    made = make()
    made.block("ours", "frame", "B3.frame", [400.0] * 9)
    made.block("published", "published-torch", "B3.frame", [50_000.0, 60_000.0], role="peer")
    made.block("job", "job", "B4.job", [2000.0, 3000.0, 2500.0])
    found = {card.title: (card.value, card.note) for card in cards(read(made))}
    assert found["photo file to finished file"] == ("2 s … 3 s", "fastest and slowest of 3: a median needs 7")
    value, note = found["published pipeline, of ours"]
    assert value == "125 ×"
    assert note == "50 s … 60 s, its fastest first, against 400 ms"
