# SPDX-License-Identifier: Apache-2.0
"""In which order inputs are asked for."""

from __future__ import annotations

import random
from collections.abc import Iterator

from stillflow_bench.latency.plan import Issue


def order_of(inputs: int, issue: Issue, seed: int) -> Iterator[int]:
    """Yield inputs without end.

    Args:
        inputs: how many there are, >= 1.
        issue: "unique": each once, in an order drawn anew, before any comes again; "same": always input 0.
        seed: of the order; the same seed gives the same one.
    """
    if issue == "same":
        while True:
            yield 0
    dice = random.Random(seed)
    turn = list(range(inputs))
    while True:
        dice.shuffle(turn)
        yield from turn
