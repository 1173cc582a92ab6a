# SPDX-License-Identifier: Apache-2.0
"""Rows of a frame: formats, strides either way, any split; nothing is written beside them."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.kernels.native import Isa, best_isa, library, library_candidates
from stillflow.video.colour import nv12

from ..structs import ARGUMENT, BGRA, MEMORY, NV12, OK, RGB, RGBA, SIZE, Facts, Target
from .baked import baked, small_scene
from .calls import Loop, aligned

SIZES = [(61, 83), (64, 300), (9, 129), (35, 16), (1, 1), (2, 7), (1, 40)]


@pytest.fixture(scope="module", params=SIZES, ids=str)
def loop(request):
    height, width = request.param
    with Loop(baked(small_scene(height, width, 3, lights=1))) as opened:
        yield opened


def test_formats_hold_the_same_colours(loop):
    rgb = loop.frame(3.5)
    for kind, order in ((RGBA, slice(0, 3)), (BGRA, slice(2, None, -1))):
        four = loop.frame(3.5, kind)
        np.testing.assert_array_equal(four[..., :3][..., order], rgb)
        assert (four[..., 3] == 255).all()


def test_nv12_is_that_of_the_video_sinks(loop):
    np.testing.assert_array_equal(loop.frame(3.5, NV12), nv12(loop.frame(3.5)))


def test_nv12_of_extreme_colours():
    scene = small_scene(33, 47, 5)
    scene.photo[:] = np.random.default_rng(1).choice(np.array([0, 255], np.uint8), scene.photo.shape)
    with Loop(baked(scene)) as loop:
        np.testing.assert_array_equal(loop.frame(1.0, NV12), nv12(loop.frame(1.0)))


@pytest.mark.parametrize("kind", [RGB, BGRA, RGBA, NV12])
@pytest.mark.parametrize("size", [None, (40, 50)])
def test_any_split_gives_the_same_bytes(loop, kind, size):
    whole = loop.frame(2.25, kind, size)
    height = size[0] if size else loop.facts.height
    rng = np.random.default_rng(height)
    for _ in range(3):
        cuts = sorted(int(c) for c in rng.integers(0, height + 1, 4))
        splits = tuple(c - c % 2 for c in cuts) if kind == NV12 else tuple(cuts)
        np.testing.assert_array_equal(loop.frame(2.25, kind, size, splits), whole)


@pytest.mark.parametrize("kind", [RGB, BGRA, NV12])
@pytest.mark.parametrize("scale", [1, 2])
def test_strides_go_either_way(loop, kind, scale):
    height, width = loop.facts.height * scale, loop.facts.width * scale
    expected = loop.frame(0.5, kind, (height, width))
    lines, apart = expected.shape[0], expected.strides[0] + 5
    target = Target(format=kind, width=width, height=height)
    for direction in (1, -1):
        memory = np.full((lines + 2, apart), 0x5A, np.uint8)
        first = memory.ctypes.data + apart
        split = height + height % 2 if kind == NV12 else lines
        last_luma, last = first + (split - 1) * apart, first + (lines - 1) * apart
        target.stride = target.chroma_stride = direction * apart
        target.data = first if direction > 0 else last_luma
        target.chroma = first + split * apart if direction > 0 else last
        assert loop.rows(loop.memory(0.5), target, 0, height) == OK
        found = memory[1:-1, : expected.strides[0]]
        if direction < 0:
            found = np.concatenate([found[:split][::-1], found[split:][::-1]])
        np.testing.assert_array_equal(found, expected.reshape(lines, -1))
        assert (memory[:, -5:] == 0x5A).all() and (memory[[0, -1]] == 0x5A).all()


def test_rows_that_were_not_asked_for_stay():
    with Loop(baked(small_scene(20, 30, 4))) as loop:
        for kind, columns in ((RGB, 90), (RGBA, 120)):
            out = np.full((20, columns), 0x5A, np.uint8)
            target = Target(format=kind, data=out.ctypes.data, stride=columns)
            assert loop.rows(loop.memory(1.0), target, 6, 8) == OK
            assert (out[:6] == 0x5A).all() and (out[8:] == 0x5A).all() and (out[6:8] != 0x5A).any()


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 120), width=st.integers(1, 200), kind=st.sampled_from([RGB, BGRA, NV12]))
def test_rows_memory_is_enough_and_no_more_is_written(height, width, kind):
    with Loop(baked(SMALL)) as loop:
        stride = 4 * width + 4
        out = np.zeros((2 * height + 2, stride), np.uint8)
        target = Target(format=kind, width=width, height=height, data=out.ctypes.data, stride=stride)
        target.chroma, target.chroma_stride = out.ctypes.data + (height + 1) * stride, stride
        need, frame = loop.facts_of(target).rows_bytes, loop.memory(1.0)
        rows = aligned(need + 64)
        arguments = (loop.at, frame.ctypes.data, 0, height, ctypes.byref(target))
        call = loop.native.sf_loop_rows
        assert call(*arguments, rows.ctypes.data, need) == OK
        assert (rows[need:] == 0xA5).all()
        if need:
            assert call(*arguments, rows.ctypes.data, need - 1) == MEMORY
            assert call(*arguments, rows.ctypes.data + 8, need + 8) == MEMORY
            assert call(*arguments, None, need) == MEMORY


SMALL = small_scene(23, 37, 6)


@pytest.mark.parametrize(
    ("values", "rows", "status"),
    [
        ({"format": 4}, (0, 1), ARGUMENT),
        ({"format": -1}, (0, 1), ARGUMENT),
        ({"width": 65536}, (0, 1), SIZE),
        ({"height": -1}, (0, 1), SIZE),
        ({"data": None}, (0, 1), ARGUMENT),
        ({"stride": 110}, (0, 1), ARGUMENT),
        ({"stride": -110}, (0, 1), ARGUMENT),
        ({"stride": 0}, (0, 1), ARGUMENT),
        ({"format": BGRA, "stride": 147}, (0, 1), ARGUMENT),
        ({"format": NV12, "chroma": None}, (0, 2), ARGUMENT),
        ({"format": NV12, "stride": 37}, (0, 2), ARGUMENT),
        ({"format": NV12, "chroma_stride": 37}, (0, 2), ARGUMENT),
        ({"format": NV12}, (1, 2), ARGUMENT),
        ({"format": NV12}, (0, 3), ARGUMENT),
        ({"format": NV12}, (22, 23), OK),
        ({}, (-1, 1), ARGUMENT),
        ({}, (2, 1), ARGUMENT),
        ({}, (0, 24), ARGUMENT),
        ({}, (23, 23), OK),
    ],
)
def test_targets_that_make_no_sense(values, rows, status):
    with Loop(baked(SMALL)) as loop:
        out = np.zeros((64, 200), np.uint8)
        good = {
            "data": out.ctypes.data,
            "stride": 200,
            "chroma": out.ctypes.data + 6400,
            "chroma_stride": 200,
        }
        target, memory, frame = Target(**{**good, **values}), aligned(1 << 16), loop.memory(1.0)
        call = loop.native.sf_loop_rows
        assert (
            call(loop.at, frame.ctypes.data, *rows, ctypes.byref(target), memory.ctypes.data, memory.size)
            == status
        )
        assert call(loop.at, frame.ctypes.data, *rows, None, memory.ctypes.data, memory.size) == ARGUMENT
        if "format" in values and values["format"] not in (BGRA, NV12):
            assert loop.native.sf_loop_facts(loop.at, ctypes.byref(target), ctypes.byref(Facts())) == ARGUMENT


def test_every_instruction_set_writes_the_same_bytes():
    """The installed library has the wide kernels, which the internals leave out."""
    shipped = next((str(p) for p in library_candidates() if p.is_file()), None)
    if shipped is None or not hasattr(library(), "sf_loop_open"):
        pytest.skip("the library is not built, or older than its loops")
    data = baked(small_scene(45, 142, 7, harmonics=1, lights=1))
    with Loop(data) as plain:
        for isa in (i for i in Isa if i <= best_isa()):
            with Loop(data, of=shipped, isa=int(isa)) as loop:
                for kind in (RGB, BGRA, RGBA, NV12):
                    for size in (None, (90, 284), (31, 77), (20, 300), (101, 50)):
                        np.testing.assert_array_equal(
                            loop.frame(3.5, kind, size), plain.frame(3.5, kind, size)
                        )
