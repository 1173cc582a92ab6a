# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import get_args

from stillflow_bench.latency.boundary import BOUNDARIES, NESTED, Boundary, is_shorter


def test_every_boundary_says_where_it_begins_and_ends_and_by_which_clock() -> None:
    assert set(BOUNDARIES) == set(get_args(Boundary))
    assert all(span.begins and span.ends and span.clock and span.unit_of_work for span in BOUNDARIES.values())


def test_only_what_lies_inside_is_shorter() -> None:
    assert is_shorter("B0.device", "B2.call") and is_shorter("B2.call", "B3.frame")
    assert not is_shorter("B3.frame", "B2.call")
    assert not any(is_shorter(name, name) for name in NESTED)
    # A frame of a prepared loop has no network in it, and a whole job has another clock's end: neither is compared.
    assert not is_shorter("B2.call", "B3.next") and not is_shorter("B3.frame", "B4.job")
