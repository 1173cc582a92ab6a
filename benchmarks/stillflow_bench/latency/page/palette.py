# SPDX-License-Identifier: Apache-2.0
"""One colour a role, everywhere on the page: told apart by colour-blind eyes, readable on white and on near-black."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stillflow_bench.latency.plan import Block
from stillflow_bench.latency.target import Role

COLOURS: Mapping[Role, str] = {
    "limit": "#808894",
    "ours": "#2a8bd0",
    "peer": "#d5691e",
    "baseline": "#109c76",
}
"""Blue, vermilion and green of Okabe and Ito's set, each moved until it has 3:1 on #fff and on #16181c; and grey."""

WORDS: Mapping[Role, str] = {
    "limit": "a limit: nothing beats it",
    "ours": "ours",
    "peer": "a peer: another way to the same",
    "baseline": "a baseline: what anybody would write",
}

DASHES = ("solid", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)), (0, (9, 2)))
"""Blocks of one role differ in these."""

MARKERS = ("o", "s", "D", "^", "v", "P", "X")
"""And in these."""

VALID, INVALID = "#1d8a4a", "#cf3030"


class Pen(NamedTuple):
    """How a block is drawn."""

    colour: str
    dash: str | tuple[int, tuple[float, ...]]
    marker: str


def pens(blocks: Iterable[Block]) -> dict[str, Pen]:
    """Block's name -> how it is drawn beside the others of one plot."""
    seen: dict[Role, int] = {}
    found = {}
    for block in blocks:
        k = seen.get(block.role, 0)
        seen[block.role] = k + 1
        found[block.name] = Pen(COLOURS[block.role], DASHES[k % len(DASHES)], MARKERS[k % len(MARKERS)])
    return found
