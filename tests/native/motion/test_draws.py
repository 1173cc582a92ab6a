# SPDX-License-Identifier: Apache-2.0
"""The C library's random numbers are NumPy's, bit by bit, with and without 128-bit integers."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ..internals import internals, pointer

BITS, RANDOM, BETWEEN, NORMAL = range(4)
WORDS = st.integers(0, 2**32 - 1)


def drawn(name: str, seed: int, what: int, kind: int, count: int) -> np.ndarray:
    numbers, words = np.zeros(count), np.zeros(count, np.uint64)
    draw = getattr(internals(), name)
    draw.argtypes = (ctypes.c_uint32, ctypes.c_uint32, ctypes.c_int32, ctypes.c_size_t) + (
        ctypes.c_void_p,
    ) * 2
    draw.restype = None
    draw(seed, what, kind, count, pointer(numbers), pointer(words))
    return words if kind == BITS else numbers


def expected(seed: int, what: int, kind: int, count: int) -> np.ndarray:
    rng = np.random.default_rng((seed, what))
    if kind == BITS:
        return rng.bit_generator.random_raw(count)
    if kind == RANDOM:
        return rng.random(count)
    return rng.uniform(-0.3, 0.3, count) if kind == BETWEEN else rng.standard_normal(count)


@pytest.mark.parametrize("name", ["test_draws", "test_narrow_draws"])
@pytest.mark.parametrize("kind", [BITS, RANDOM, BETWEEN, NORMAL])
@pytest.mark.parametrize("seed", [0, 1, 7, 2**31, 2**32 - 1])
def test_a_hundred_thousand_draws_are_numpys(name, kind, seed):
    assert np.array_equal(drawn(name, seed, 5, kind, 100_000), expected(seed, 5, kind, 100_000))


@given(seed=WORDS, what=WORDS)
@settings(max_examples=50, deadline=None)
def test_any_seed_gives_numpys_draws_of_every_kind(seed, what):
    for kind in (BITS, RANDOM, BETWEEN, NORMAL):
        known = expected(seed, what, kind, 500)
        assert np.array_equal(drawn("test_draws", seed, what, kind, 500), known)
        assert np.array_equal(drawn("test_narrow_draws", seed, what, kind, 500), known)


def test_the_tail_was_among_what_was_compared():
    assert (np.abs(expected(0, 5, NORMAL, 100_000)) > 3.6541528853610088).sum() > 10
