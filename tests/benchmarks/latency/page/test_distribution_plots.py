# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stillflow_bench.latency.page.distribution_plots import distribution


def test_blocks_are_named_with_their_samples_and_both_halves_are_drawn(
    make: Any, read: Callable[..., Any]
) -> None:
    made = make()
    made.block(
        "ours", "networks", "B2.call", [3.0 + 0.001 * k for k in range(500)], group="g", title="our call"
    )
    made.block("same", "torch", "B2.call", [5.0] * 7, group="g", role="peer", title="one that never varies")
    text = distribution("d", read(made).shown, 100)
    for words in (
        "our call (n = 500)",
        "one that never varies (n = 7)",
        "how many are done",
        "how many take longer",
    ):
        assert words in text
    assert "at most 100 points" in text
    assert "at most" not in distribution("d", read(made).shown, 500)
