# SPDX-License-Identifier: Apache-2.0
"""stillflow.oscillation in C: what Python says, sample by sample."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from stillflow import oscillation as osc

from ..internals import Room, internals, pointer
from .oscillations import CPart, blobs, given, taken

SIDES = st.integers(2, 40)
SEEDS = st.integers(0, 10_000)
SHARES = st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0])
FLOAT, DOUBLE = ctypes.c_float, ctypes.c_double


def mask_of(seed: int, h: int, w: int, share: float) -> np.ndarray:
    if share in (0.0, 1.0):
        return np.full((h, w), share, np.uint8)
    return blobs(seed, h, w, share)


def swaying(seed: int, h: int, w: int, count: int = 3, channels: int = 4) -> osc.Oscillation:
    rng = np.random.default_rng(seed)
    coefficients = rng.normal(0, 1, (count, h, w, channels)).astype(np.float32)
    return osc.Oscillation(coefficients, np.sort(rng.uniform(0.1, 3, count)).astype(np.float32))


def filled(name: str, shape: tuple[int, ...], kind: type, *arguments: object) -> np.ndarray:
    """Call a function whose last argument is what it fills."""
    out = np.zeros(shape, kind)
    getattr(internals(), name).restype = None
    getattr(internals(), name)(*arguments, pointer(out))
    return out


@for_all(seed=SEEDS, h=SIDES, w=SIDES, share=SHARES)
@settings(max_examples=40, deadline=None)
def test_distances_are_pythons(seed, h, w, share):
    mask = mask_of(seed, h, w, share)
    with Room() as room:
        distance = filled("sf_distance_to", (h, w), np.float32, room.address, pointer(mask), h, w)
    # OpenCV's own steps are 91750 and 143976 parts of 65536, those of Intel's library inside it 1.4 and 2.1969.
    assert np.allclose(distance, osc.distance_to(mask > 0), rtol=1e-5)


@for_all(seed=SEEDS, h=SIDES, w=SIDES, share=SHARES)
@settings(max_examples=40, deadline=None)
def test_what_lies_behind_is_pythons(seed, h, w, share):
    region = mask_of(seed, h, w, share)
    rng = np.random.default_rng(seed)
    classes, order = (rng.integers(0, n, (h, w)).astype(np.uint8) for n in (10, 4))
    with Room() as room:
        masks = [pointer(a) for a in (region, classes, order)]
        over = filled("sf_behind", (h, w), np.uint8, room.address, *masks, h, w)
    known = osc.behind(region > 0, classes, order)
    # Where two owners are equally near, rounding decides whose rank counts.
    assert (over != known).mean() <= 0.01


@for_all(seed=SEEDS, h=SIDES, w=st.integers(2, 400))
@settings(max_examples=20, deadline=None)
def test_reaches_are_pythons(seed, h, w):
    classes = np.random.default_rng(seed).integers(0, 12, (h, w)).astype(np.uint8)
    assert np.array_equal(
        filled("sf_reach_of", (h, w), np.float32, pointer(classes), h, w), osc.reach_of(classes)
    )


@for_all(seed=SEEDS, h=SIDES, w=SIDES, count=st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_envelopes_and_steepness_are_pythons(seed, h, w, count):
    sway = swaying(seed, h, w, count)
    part = given(sway)
    bound = filled("sf_envelope", (h, w), np.float32, ctypes.byref(part), h, w)
    assert np.allclose(bound, osc.envelope(sway.coefficients), rtol=1e-6)
    internals().sf_steepness.restype = DOUBLE
    with Room() as room:
        steep = internals().sf_steepness(room.address, ctypes.byref(part), h, w)
    assert steep == pytest.approx(osc.steepness(sway) if count else 0, rel=1e-5)


@for_all(seed=SEEDS, h=SIDES, w=SIDES, share=SHARES, slope=st.sampled_from([0.2, 0.5]))
@settings(max_examples=40, deadline=None)
def test_what_is_held_is_pythons(seed, h, w, share, slope):
    rng = np.random.default_rng(seed)
    region, over = mask_of(seed, h, w, share), blobs(seed + 1, h, w, 0.5)
    amplitude = (3 * rng.random((h, w)) ** 4).astype(np.float32)
    reach = rng.uniform(2, 6, (h, w)).astype(np.float32)
    known = osc.held(amplitude, region > 0, over > 0, slope=slope, reach=reach)
    with Room() as room:
        fields = [pointer(a) for a in (amplitude, region, over)]
        arguments = (room.address, *fields, h, w, FLOAT(slope), pointer(reach))
        allowed = filled("sf_held", (h, w), np.float32, *arguments)
    assert np.allclose(allowed, known, rtol=1e-5, atol=1e-6)


@for_all(
    seed=SEEDS, h=SIDES, w=SIDES, count=st.integers(0, 5), seconds=st.floats(0.5, 20), fps=st.integers(4, 60)
)
@settings(max_examples=40, deadline=None)
def test_a_loop_gets_pythons_whole_periods(seed, h, w, count, seconds, fps):
    sway, frames = swaying(seed, h, w, count), max(1, round(seconds * fps))
    known, whole = osc.in_loop(sway, seconds, frames)
    part, fitted, periods = given(sway), CPart(), ctypes.POINTER(ctypes.c_int32)()
    with Room() as room:
        references = (ctypes.byref(fitted), ctypes.byref(periods))
        internals().sf_in_loop.restype = None
        internals().sf_in_loop(room.address, ctypes.byref(part), h, w, DOUBLE(seconds), frames, *references)
        got = taken(fitted, h, w)
        assert periods[: fitted.count] == whole.tolist()
    assert np.allclose(got.coefficients, known, atol=1e-6)


@for_all(seed=SEEDS, h=st.integers(2, 90), w=st.integers(2, 90), length=st.floats(1.5, 40))
@settings(max_examples=30, deadline=None)
def test_noise_is_pythons(seed, h, w, length):
    known = osc.smooth_noise(np.random.default_rng((seed, 3)), h, w, length)
    state = (ctypes.c_uint64 * 4)()
    internals().sf_draws_open(state, ctypes.c_uint32(seed), 3)
    with Room() as room:
        noise = filled("sf_smooth_noise", (h, w), np.float32, room.address, state, h, w, DOUBLE(length))
    assert np.allclose(noise, known, atol=1e-5)


@for_all(seed=SEEDS, h=SIDES, w=SIDES, share=SHARES)
@settings(max_examples=30, deadline=None)
def test_ways_are_as_long_as_pythons(seed, h, w, share):
    inside = mask_of(seed, h, w, share)
    start = np.where(blobs(seed + 1, h, w, 0.1), 0, osc.FAR).astype(np.float32)
    with Room() as room:
        arguments = (room.address, pointer(start), pointer(inside), FLOAT(4), h, w)
        length = filled("sf_geodesic", (h, w), np.float32, *arguments)
    assert np.array_equal(length, osc.geodesic(start, inside > 0, 4))


@for_all(
    seed=SEEDS, h=SIDES, w=SIDES, share=SHARES, sigma=st.floats(0.8, 6), channels=st.sampled_from([2, 4])
)
@settings(max_examples=30, deadline=None)
def test_values_spread_as_in_python(seed, h, w, share, sigma, channels):
    region, values = mask_of(seed, h, w, share), swaying(seed, h, w, 2, channels).coefficients
    known = osc.spread(values, region > 0, sigma)
    with Room() as room:
        arguments = (room.address, pointer(values), pointer(region), 2, h, w, channels, DOUBLE(sigma))
        wide = filled("sf_spread", values.shape, np.float32, *arguments)
    assert np.allclose(wide, known, atol=1e-5)
    assert np.array_equal(wide[:, region > 0], values[:, region > 0])
