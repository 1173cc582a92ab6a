# SPDX-License-Identifier: Apache-2.0
"""The splat in C is the reference to the bit, whatever the threads, bands, windows and instruction set."""

from __future__ import annotations

import ctypes
import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow.kernels import native_splat as native
from stillflow.kernels import splat_reference as ref
from stillflow.kernels.native import Isa
from stillflow.kernels.splat_source import SplatSource, Window, layered_source

from .splats import hostile_displacement, random_displacement, random_source

seeds = st.integers(0, 100_000)
sides = st.integers(1, 40)
shares = st.sampled_from([0.0, 1.0, 0.5]) | st.floats(0.001, 0.999)


def same(a, b):
    """Equal to the bit: 0 and -0 differ, and so would two kinds of no number."""
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


@settings(max_examples=60, deadline=None)
@given(
    seed=seeds,
    height=sides,
    width=sides,
    channels=st.integers(1, 20),
    share=shares,
    hostile=st.booleans(),
)
def test_it_is_the_reference_to_the_bit(seed, height, width, channels, share, hostile):
    rng = np.random.default_rng(seed)
    source = random_source(rng, height, width, channels)
    make = hostile_displacement if hostile else random_displacement
    f, b = make(rng, height, width), make(rng, height, width)
    expected = ref.symmetric_splat(source, f, b, share)
    assert same(native.symmetric_splat(source, f, b, share), expected)
    assert same([native.splat(source, f, share)], [ref.splat(source, f, share)])


def test_a_whole_generator_agrees():
    rng = np.random.default_rng(1)
    features = rng.standard_normal((64, 48, 72)).astype(np.float32)
    z, af, ab = (rng.uniform(-9, 3, (48, 72)).astype(np.float32) for _ in range(3))
    velocity = rng.uniform(-1, 1, (48, 72, 2)).astype(np.float32)
    f, b = native.euler(velocity, 7), native.euler(-velocity, 23)
    source = layered_source(features, z, af, ab)
    assert source.values.shape[2] == 67 and source.outputs == 65
    assert same(native.symmetric_splat(source, f, b, 0.7), ref.symmetric_splat(source, f, b, 0.7))


@settings(max_examples=40, deadline=None)
@given(seed=seeds, height=sides, width=sides, threads=st.integers(2, 5))
def test_threads_give_the_same_bits(seed, height, width, threads):
    rng = np.random.default_rng(seed)
    source = random_source(rng, height, width, 11)
    throws = [(hostile_displacement(rng, height, width), s) for s in (0.3, 0.7)]
    one, many = native.NativeSplat(source), native.NativeSplat(source, threads)
    one.aim(throws)
    many.aim(throws)
    assert same(many.land(), one.land())
    assert same([many.sums()], [one.sums()])


@pytest.mark.parametrize("isa", Isa)
def test_instruction_sets_give_the_same_bits(isa):
    rng = np.random.default_rng(8)
    for height, width, channels in ((40, 61, 29), (7, 8, 65), (3, 3, 1)):
        source = random_source(rng, height, width, channels)
        f, b = random_displacement(rng, height, width), hostile_displacement(rng, height, width)
        splat = native.NativeSplat(source, 1, isa)
        splat.aim([(f, 0.25), (b, 0.75)])
        try:
            made = splat.land()
        except StillflowError as error:
            assert "lacks" in str(error)
            pytest.skip(f"this processor or the library lacks {isa.name}")
        assert same(made, ref.symmetric_splat(source, f, b, 0.25))
        assert same([splat.sums()], [ref.splat(source, b, 0.75, None, ref.splat(source, f, 0.25))])


@settings(max_examples=40, deadline=None)
@given(seed=seeds, data=st.data())
def test_windows_are_crops_of_the_whole(seed, data):
    rng = np.random.default_rng(seed)
    height, width = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 30))
    source = random_source(rng, height, width)
    f, b = hostile_displacement(rng, height, width), random_displacement(rng, height, width, 9)
    whole, landed = ref.symmetric_splat(source, f, b, 0.4)
    y0, x0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = Window(y0, data.draw(st.integers(y0 + 1, height)), x0, data.draw(st.integers(x0 + 1, width)))
    expected = [whole[:, y0 : window.y1, x0 : window.x1], landed[y0 : window.y1, x0 : window.x1]]
    assert same(native.symmetric_splat(source, f, b, 0.4, window), expected)
    # Aimed at once, landed on in tiles.
    tiles = native.NativeSplat(source)
    tiles.aim([(f, 0.4), (b, 0.6)])
    assert same(tiles.land(window), expected)


def test_a_part_of_the_picture_is_thrown_as_within_the_whole():
    rng = np.random.default_rng(5)
    source, d = random_source(rng, 40, 31), random_displacement(rng, 40, 31)
    d[:3], d[-4:], d[:, :2], d[:, -1:] = 100, 100, 100, 100
    part = SplatSource(np.ascontiguousarray(source.values[3:-4, 2:-1]), source.ends, (40, 31), (3, 2))
    assert same([native.splat(part, np.ascontiguousarray(d[3:-4, 2:-1]))], [ref.splat(source, d)])


def test_it_writes_into_a_part_of_a_larger_array():
    rng = np.random.default_rng(2)
    source = random_source(rng, 12, 19, 9)
    f, b = random_displacement(rng, 12, 19), random_displacement(rng, 12, 19)
    large, mask = np.full((1, 11, 20, 40), 7, np.float32), np.full((20, 40), 7, np.float32)
    splat = native.NativeSplat(source)
    splat.aim([(f, 0.5), (b, 0.5)])
    splat.land(None, large[0, 1:10, 3:15, 4:23], mask[3:15, 4:23])
    turned = np.empty((12, 19, 9), np.float32)
    splat.land(None, np.moveaxis(turned, -1, 0))
    warped, landed = ref.symmetric_splat(source, f, b, 0.5)
    assert same([np.ascontiguousarray(large[0, 1:10, 3:15, 4:23]), mask[3:15, 4:23].copy()], [warped, landed])
    assert same([np.ascontiguousarray(np.moveaxis(turned, -1, 0))], [warped])
    assert (large == 7).sum() == large.size - warped.size and (mask == 7).sum() == mask.size - landed.size


def test_one_object_serves_frame_after_frame():
    rng = np.random.default_rng(3)
    source = random_source(rng, 17, 23)
    splat = native.NativeSplat(source, threads=2)
    for k in range(4):
        f, b = random_displacement(rng, 17, 23, 2 * k), random_displacement(rng, 17, 23, 8 - 2 * k)
        splat.aim([(f, 1 - k / 4), (b, k / 4)])
        assert same(splat.land(), ref.symmetric_splat(source, f, b, 1 - k / 4))


def test_what_bands_write_to_lives_as_long_as_they_do():
    bands = []

    class Interrupted(native.NativeSplat):
        """Ctrl-C while bands are under way."""

        def _run(self, work, parts):
            super()._run(work, parts)
            if self._aimed is not None:
                bands.append(work)
                raise KeyboardInterrupt

    rng = np.random.default_rng(3)
    splat = Interrupted(random_source(rng, 17, 23), threads=2)
    splat.aim([(random_displacement(rng, 17, 23, 2), 1.0)])
    try:
        splat.land()
    except KeyboardInterrupt as error:
        frame = error.__traceback__.tb_next.tb_frame
        written = weakref.ref(frame.f_locals["warped"])
        del frame
    del splat
    gc.collect()
    assert written() is not None
    bands.clear()
    gc.collect()
    assert written() is None


@settings(max_examples=40, deadline=None)
@given(seed=seeds, height=sides, width=sides, steps=st.integers(0, 6), odd=st.booleans())
def test_euler_is_the_reference_to_the_bit(seed, height, width, steps, odd):
    rng = np.random.default_rng(seed)
    velocity = rng.uniform(-2, 2, (height, width, 2)).astype(np.float32)
    velocity[rng.random((height, width)) < 0.3] = 0
    if odd:
        velocity = np.where(velocity > 1.7, hostile_displacement(rng, height, width), velocity)
    expected = ref.euler(velocity, steps)
    assert same([native.euler(velocity, steps)], [expected])
    # The same for the moving pixels alone.
    moving = (velocity != 0).any(-1)
    pixels = np.flatnonzero(moving).astype(np.uint32)
    position, invalid = ref.grid(height, width)[moving], np.zeros(len(pixels), bool)
    displacement = np.zeros_like(position)
    for _ in range(steps):
        native.euler_step(velocity, position, invalid, pixels, displacement)
    spread = np.zeros_like(velocity)
    spread[moving] = displacement
    assert np.array_equal(spread, expected)


def test_positions_that_make_no_sense_begin_anew():
    velocity = np.full((5, 6, 2), 0.5, np.float32)
    for bad in (np.nan, np.inf, -7, 1e30):
        position, invalid = ref.grid(5, 6), np.zeros((5, 6), bool)
        position[2, 3] = bad
        expected, gone = ref.euler_step(velocity, position, invalid)
        native.euler_step(velocity, position, invalid)
        assert same([position, invalid], [expected, gone])


def test_arrays_that_do_not_fit_are_refused():
    source = random_source(np.random.default_rng(1), 6, 7)
    d = np.zeros((6, 7, 2), np.float32)
    splat = native.NativeSplat(source)
    with pytest.raises(StillflowError, match="nothing was thrown"):
        splat.land()
    for throws in ([], [(d, 1)] * 3, [(d[:5], 1)], [(d.astype(float), 1)], [(d, np.nan)]):
        with pytest.raises(StillflowError):
            splat.aim(throws)
        with pytest.raises(StillflowError, match="nothing was thrown"):
            splat.land()
    splat.aim([(d, 1)], Window(2, 4, 0, 7))
    for window in (Window(1, 3, 0, 7), Window(2, 5, 0, 7), Window(2, 4, 0, 8), Window(3, 3, 0, 7)):
        with pytest.raises(StillflowError, match="window"):
            splat.land(window)
    frozen = np.zeros((5, 2, 7), np.float32)
    frozen.flags.writeable = False
    for bad in (np.zeros((5, 2, 6), np.float32), np.zeros((5, 2, 7)), frozen):
        with pytest.raises(StillflowError, match="cannot write"):
            splat.land(None, bad)
    with pytest.raises(StillflowError, match="mask"):
        splat.land(None, None, np.zeros((2, 14), np.float32)[:, ::2])


def test_velocities_that_do_not_fit_are_refused():
    velocity, position, invalid = np.zeros((4, 5, 2), np.float32), ref.grid(4, 5), np.zeros((4, 5), bool)
    for arrays in (
        (velocity.astype(float), position, invalid),
        (velocity, position[:3], invalid),
        (velocity, position, invalid.astype(np.float32)),
        (velocity, position.reshape(-1, 2), invalid.ravel(), np.arange(19, dtype=np.uint32)),
        (velocity, position.reshape(-1, 2), invalid.ravel(), np.arange(1, 21, dtype=np.uint32)),
    ):
        with pytest.raises(StillflowError):
            native.euler_step(*arrays)


def test_c_callers_are_told_what_is_wrong():
    # Past the checks of the ctypes face: the library must hold on its own.
    source, d = random_source(np.random.default_rng(1), 6, 7), np.zeros((6, 7, 2), np.float32)
    splat = native.NativeSplat(source)
    splat.aim([(d, 1.0)])
    described, call = splat._splat, splat._functions
    out, memory = np.empty((6, 7, 6), np.float32), native.aligned(100_000)

    def rows(y0, y1, size=memory.size, **changes):
        target = native._Target(ctypes.sizeof(native._Target), 0, 6, 0, 7, out.ctypes.data, 42, 6, 1, None, 0)
        for name, value in changes.items():
            setattr(target, name, value)
        return call.sf_splat_rows(described, target, y0, y1, memory.ctypes.data, size)

    assert rows(0, 6) == 0
    argument, size, short = 1, 2, 3
    assert (
        rows(-1, 6) == rows(3, 2) == rows(0, 7) == rows(0, 6, x1=8) == rows(0, 6, struct_size=8) == argument
    )
    assert rows(0, 6, 64) == short and rows(0, 6, out=None) == argument
    for name, bad, status in (
        ("channels", 0, size),
        ("channels", 1025, size),
        ("denominators", 5, size),
        ("throws", 2, argument),
        ("throws", 3, size),
        ("height", 0, size),
        ("rows", 2**20, size),
        ("top", 1, argument),
        ("left", -1, argument),
        ("rows", 5, argument),
        ("isa", 9, 5),
        ("values", None, argument),
    ):
        good = getattr(described, name)
        setattr(described, name, bad)
        assert rows(0, 6) == status, name
        setattr(described, name, good)
    assert rows(0, 6) == 0
