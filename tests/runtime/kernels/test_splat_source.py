# SPDX-License-Identifier: Apache-2.0
"""Features are weighed as the published generators weigh them, and what cannot be thrown is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow.kernels import splat_reference as ref
from stillflow.kernels.splat_source import SplatSource, layered_source, symmetric_source, weights_of

from .splats import random_displacement


@given(values=st.lists(st.floats(-200, 200, width=32), min_size=1, max_size=30))
def test_weights_are_exponentials_below_the_largest(values):
    z = np.array(values, np.float32)
    w = weights_of(z)
    assert w.max() == 1 and np.allclose(w, np.exp(z.astype(float) - z.max()), rtol=1e-5, atol=1e-44)
    assert weights_of(z, -20).min() >= np.float32(np.exp(-20.0))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 100_000), share=st.floats(0.01, 0.99))
def test_layers_are_two_splats_with_weights_of_their_own(seed, share):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((4, 8, 9)).astype(np.float32)
    z, af, ab = (rng.uniform(-3, 3, (8, 9)).astype(np.float32) for _ in range(3))
    f, b = random_displacement(rng, 8, 9), random_displacement(rng, 8, 9)
    both, landed = ref.symmetric_splat(layered_source(features, z, af, ab), f, b, share)
    fluid, background = 1 / (1 + np.exp(-af.astype(float))), 1 / (1 + np.exp(-ab.astype(float)))
    c0 = (fluid / np.maximum(fluid + background, 1e-8)).astype(np.float32)
    first, first_landed = ref.symmetric_splat(symmetric_source(features, z), f, b, share)
    # exp(c0 - max) / sum(exp(c0 - max)) is exp(c0) / sum(exp(c0)): the largest cancels.
    second, _ = ref.symmetric_splat(symmetric_source(af[None], c0), f, b, share)
    assert np.array_equal(both[:4], first) and np.array_equal(landed, first_landed)
    assert np.abs(both[4] - second[0]).max() < 5e-6


def test_extreme_logits_stay_numbers():
    logits = np.array([[-1e30, 1e30], [-800, 0]], np.float32)
    source = layered_source(
        np.ones((1, 2, 2), np.float32), np.array([[-1e30, 1e30], [0, 9]], np.float32), logits, logits[::-1]
    )
    assert np.isfinite(source.values).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_logit_that_is_no_number_is_refused(bad):
    z = np.zeros((3, 3), np.float32)
    z[1, 1] = bad
    with pytest.raises(StillflowError, match="weigh"):
        symmetric_source(np.zeros((2, 3, 3), np.float32), z)


def test_features_of_another_size_are_refused():
    with pytest.raises(StillflowError, match="features"):
        symmetric_source(np.zeros((2, 3, 4), np.float32), np.zeros((3, 3), np.float32))


@pytest.mark.parametrize(
    ("shape", "ends", "picture", "origin"),
    [
        ((2, 3), (), (2, 3), (0, 0)),
        ((2, 0, 3), (), (2, 3), (0, 0)),
        ((2, 3, 4), (), (2, 3), (0, 1)),
        ((2, 3, 4), (), (9, 9), (-1, 0)),
        ((2, 3, 4), (4,), (2, 3), (0, 0)),
        ((2, 3, 4), (2, 2), (2, 3), (0, 0)),
        ((2, 3, 9), (1, 2, 3, 4, 4), (2, 3), (0, 0)),
        ((1, 1, 1025), (), (1, 1), (0, 0)),
    ],
)
def test_sources_that_make_no_sense_are_refused(shape, ends, picture, origin):
    with pytest.raises(StillflowError):
        SplatSource(np.zeros(shape, np.float32), ends, picture, origin)


def test_values_must_be_dense_floats():
    for values in (np.zeros((2, 3, 4)), np.zeros((2, 3, 8), np.float32)[..., ::2]):
        with pytest.raises(StillflowError, match="values"):
            SplatSource(values, (), (2, 3))
