# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stillflow_bench.guard.counts import differing, twice

COUNTS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9))


@given(COUNTS, COUNTS)
def test_what_is_not_named_as_differing_was_the_same_twice(first, second):
    found = differing(first, second)
    assert {name for name in {*first, *second} if first.get(name) != second.get(name)} == set(found)
    assert all(found[name] == second.get(name, -1) for name in found)


def test_a_counter_is_asked_twice():
    answers = iter(({"a": 1, "b": 2}, {"a": 1, "b": 3}))
    assert twice(lambda: next(answers)) == ({"a": 1, "b": 2}, {"b": 3})
