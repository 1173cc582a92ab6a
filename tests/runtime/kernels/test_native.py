# SPDX-License-Identifier: Apache-2.0
"""The C kernels agree with the reference to one grey level, give the same bytes always, and refuse nonsense."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow.kernels import native
from stillflow.kernels import reference as ref
from stillflow.kernels.native import library_candidates, library_name

from ..scenes import random_arrays

sizes = st.integers(16, 90)


def reference_frame(arrays, t):
    out = np.empty_like(arrays.photo)
    ref.compose(arrays, ref.fields(arrays, t), 0, arrays.height, out)
    return out


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    height=sizes,
    width=sizes,
    harmonics=st.integers(0, 3),
    lights=st.integers(0, 4),
    blend=st.booleans(),
    share=st.floats(0, 1),
)
def test_it_agrees_with_the_reference(seed, height, width, harmonics, lights, blend, share):
    rng = np.random.default_rng(seed)
    arrays = random_arrays(rng, height, width, harmonics=harmonics, lights=lights, blend=blend)
    t = share * arrays.frames
    difference = np.abs(native.NativeScene(arrays).frame(t).astype(int) - reference_frame(arrays, t))
    assert difference.max() <= 1


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    height=st.integers(40, 120),
    width=st.integers(40, 120),
    share=st.floats(0.05, 0.95),
)
def test_it_agrees_where_layers_meet(seed, height, width, share):
    arrays = random_arrays(np.random.default_rng(seed), height, width, harmonics=1, blend=False)
    h, w = arrays.flow.shape
    flow = np.full((h, w), 2, np.uint8)
    flow[h // 2 :], flow[:, : w // 4] = 1, 0
    # As in scenes, confidence is at its floor where layers meet: there the two forms may round apart.
    apart = np.abs(np.arange(h) - h // 2 + 0.5)[:, None] * np.ones((1, w))
    inside = np.clip((apart - 1) / 3, ref.CONFIDENCE_FLOOR, 1).astype(np.float32)
    arrays = dataclasses.replace(arrays, flow=flow, inside=inside)
    t = share * arrays.frames
    difference = np.abs(native.NativeScene(arrays).frame(t).astype(int) - reference_frame(arrays, t))
    assert difference.max() <= 1


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(5, 200))
def test_far_traces_agree_too(seed, scale):
    arrays = random_arrays(np.random.default_rng(seed), 48, 60, harmonics=0, blend=False)
    velocity = np.full_like(arrays.velocity, scale / arrays.frames)
    arrays = dataclasses.replace(arrays, velocity=velocity)
    t = 0.4 * arrays.frames
    difference = np.abs(native.NativeScene(arrays).frame(t).astype(int) - reference_frame(arrays, t))
    assert difference.max() <= 1


@pytest.mark.parametrize("isa", [i for i in native.Isa if i <= native.best_isa()])
def test_every_instruction_set_agrees(isa):
    arrays = random_arrays(np.random.default_rng(3), 70, 83, harmonics=2, lights=2, blend=True)
    difference = np.abs(
        native.NativeScene(arrays, isa).frame(11.5).astype(int) - reference_frame(arrays, 11.5)
    )
    assert difference.max() <= 1


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), lanes=st.integers(2, 7))
def test_threads_and_runs_give_the_same_bytes(seed, lanes):
    arrays = random_arrays(np.random.default_rng(seed), 61, 47, harmonics=1, lights=1, blend=True)
    scene = native.NativeScene(arrays)
    once = scene.frame(7.7)
    assert np.array_equal(once, scene.frame(7.7))
    assert np.array_equal(once, scene.frame(7.7, lanes=lanes))
    assert np.array_equal(once, native.NativeScene(arrays).frame(7.7))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), t=st.floats(-300, 300))
def test_frame_zero_and_still_pixels_are_the_photo(seed, t):
    arrays = random_arrays(np.random.default_rng(seed), 50, 66, harmonics=0, lights=2, blend=True)
    scene = native.NativeScene(arrays)
    assert np.array_equal(scene.frame(0), arrays.photo)
    assert np.array_equal(scene.frame(arrays.frames), arrays.photo)
    still = arrays.matte == 0
    assert np.array_equal(scene.frame(t)[still], arrays.photo[still])


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), lights=st.integers(1, 3))
def test_every_instruction_set_lights_to_the_same_bytes(seed, lights):
    arrays = random_arrays(np.random.default_rng(seed), 37, 53, harmonics=1, lights=lights, blend=False)
    frames = [native.NativeScene(arrays, isa).frame(3.3) for isa in native.Isa if isa <= native.best_isa()]
    assert all(np.array_equal(frame, frames[0]) for frame in frames)


@pytest.mark.parametrize("name", ["sway_periods", "light_periods"])
def test_half_a_period_is_refused(name):
    arrays = random_arrays(np.random.default_rng(1), 32, 32, harmonics=2, lights=2, blend=False)
    with pytest.raises(StillflowError, match=name):
        dataclasses.replace(arrays, **{name: np.array([1, 0], np.int32)})


@pytest.mark.parametrize("value", [np.nan, 9.0])
def test_absurd_light_is_refused(value):
    arrays = random_arrays(np.random.default_rng(1), 32, 32, harmonics=0, lights=2, blend=False)
    light = arrays.light.copy()
    light[1, 3, 3, 1] = value
    with pytest.raises(StillflowError, match="native kernels"):
        native.NativeScene(dataclasses.replace(arrays, light=light))


@pytest.mark.parametrize("name", ["velocity", "inside", "low"])
def test_not_a_number_is_refused(name):
    arrays = random_arrays(np.random.default_rng(1), 32, 32, harmonics=0, blend=False)
    bad = getattr(arrays, name).copy()
    bad.flat[5] = np.nan
    with pytest.raises(StillflowError, match="native kernels"):
        native.NativeScene(dataclasses.replace(arrays, **{name: bad}))


def test_a_time_that_is_not_a_number_is_refused():
    scene = native.NativeScene(random_arrays(np.random.default_rng(1), 32, 32, harmonics=0, blend=False))
    with pytest.raises(StillflowError):
        scene.frame(float("nan"))


def test_rows_outside_the_frame_are_refused():
    scene = native.NativeScene(random_arrays(np.random.default_rng(1), 32, 32, harmonics=0, blend=False))
    planes, out = scene.fields(1), np.empty((32, 32, 3), np.uint8)
    for y0, y1 in ((-1, 4), (4, 33), (9, 8)):
        with pytest.raises(StillflowError):
            scene.compose(planes, y0, y1, out)


def test_an_array_that_does_not_fit_is_refused():
    scene = native.NativeScene(random_arrays(np.random.default_rng(1), 32, 32, harmonics=0, blend=False))
    for out in (np.empty((32, 31, 3), np.uint8), np.empty((32, 32, 3), np.float32)):
        with pytest.raises(StillflowError, match="cannot write the frame"):
            scene.compose(scene.fields(1), 0, 32, out)


@pytest.mark.parametrize(
    ("cache", "taken"),
    [
        ("STILLFLOW_FUZZ:BOOL=OFF\nSTILLFLOW_SANITIZE:STRING=OFF\n", True),
        ("STILLFLOW_SANITIZE:STRING=ON\n", False),
        ("STILLFLOW_SANITIZE:STRING=thread\n", False),
        ("STILLFLOW_FUZZ:BOOL=ON\nSTILLFLOW_SANITIZE:STRING=OFF\n", False),
        ("CMAKE_TOOLCHAIN_FILE:FILEPATH=aarch64-linux-gnu.cmake\n", False),
    ],
)
def test_builds_for_sanitizers_and_other_processors_are_left_alone(monkeypatch, tmp_path, cache, taken):
    """They are newer than what Python shall load after such a test has run."""
    (tmp_path / "runtime" / "native").mkdir(parents=True)
    (tmp_path / "CMakeLists.txt").touch()
    library = tmp_path / "build" / "other" / library_name()
    library.parent.mkdir(parents=True)
    library.touch()
    (library.parent / "CMakeCache.txt").write_text(cache)
    monkeypatch.setattr(native, "__file__", str(tmp_path / "runtime" / "stillflow" / "kernels" / "native.py"))
    assert (library in library_candidates()) is taken
