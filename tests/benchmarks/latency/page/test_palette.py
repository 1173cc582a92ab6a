# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import combinations

import pytest

from stillflow_bench.latency.page.palette import COLOURS, WORDS, pens
from stillflow_bench.latency.plan import Block
from stillflow_bench.latency.target import ROLES, TargetSpec

DEUTERANOPIA = ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969))
"""Linear RGB as those see it who lack green cones. Source: Machado, Oliveira and Fernandes 2009, severity 1."""


def linear(colour: str) -> list[float]:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def luminance(colour: str) -> float:
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True))


@pytest.mark.parametrize("paper", ["#ffffff", "#16181c"])
@pytest.mark.parametrize("role", ROLES)
def test_colours_stand_out_from_the_paper_in_light_and_dark(role: str, paper: str) -> None:
    bright, dark = sorted((luminance(COLOURS[role]), luminance(paper)), reverse=True)  # type: ignore[index]
    assert (bright + 0.05) / (dark + 0.05) >= 3


def test_colours_are_told_apart_without_green_cones() -> None:
    seen = {
        role: [sum(w * c for w, c in zip(row, linear(colour), strict=True)) for row in DEUTERANOPIA]
        for role, colour in COLOURS.items()
    }
    for one, other in combinations(ROLES, 2):
        distance = sum((a - b) ** 2 for a, b in zip(seen[one], seen[other], strict=True)) ** 0.5
        assert distance > 0.06, (one, other)


def test_every_role_is_explained() -> None:
    assert set(ROLES) == set(COLOURS) == set(WORDS)


def test_blocks_of_one_role_share_its_colour_and_differ_in_their_lines() -> None:
    spec = TargetSpec("fake", "B2.call")
    blocks = [Block(f"b{k}", "b", "ours" if k < 4 else "peer", spec) for k in range(5)]
    found = pens(blocks)
    assert {found[f"b{k}"].colour for k in range(4)} == {COLOURS["ours"]}
    assert len({found[f"b{k}"] for k in range(5)}) == 5
