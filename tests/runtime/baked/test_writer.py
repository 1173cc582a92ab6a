# SPDX-License-Identifier: Apache-2.0
"""A scene that is written and read again is the same scene, and plays the same frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.baked import read_baked, write_scene
from stillflow.baked.layout import Encoding, Kind
from stillflow.baked.reader import decode_baked
from stillflow.baked.writer import arrays_of, assemble, parts, photo_part
from stillflow.errors import StillflowError
from stillflow.field_steps import rounded
from stillflow.kernels.arrays import SceneArrays
from stillflow.scene import Scene, build_scene, local_mean

from ..scenes import falling_photo, random_arrays


def on_steps(arrays: SceneArrays) -> SceneArrays:
    """As build_scene leaves them."""
    names = ("velocity", "inside", "sway", "light", *(("blend",) if arrays.blend is not None else ()))
    near = {name: rounded(name, getattr(arrays, name), arrays.frames) for name in names}
    return replace(arrays, **near, low=local_mean(arrays.plate))


def same(a: SceneArrays, b: SceneArrays) -> None:
    for name, left in vars(a).items():
        right = getattr(b, name)
        assert (left is None) == (right is None)
        if isinstance(left, np.ndarray):
            assert left.dtype == right.dtype and left.flags.c_contiguous and right.flags.c_contiguous
            assert left.tobytes() == right.tobytes(), name
        else:
            assert left == right


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    height=st.integers(1, 21),
    width=st.integers(1, 21),
    harmonics=st.integers(0, 3),
    lights=st.integers(0, 2),
    blend=st.booleans(),
    raw=st.booleans(),
)
def test_any_scene_comes_back(
    seed: int, height: int, width: int, harmonics: int, lights: int, blend: bool, raw: bool
) -> None:
    rng = np.random.default_rng(seed)
    made = random_arrays(rng, height, width, harmonics=harmonics, blend=blend, lights=lights)
    plate = np.where(rng.random((height, width, 1)) < 0.5, made.photo, rng.integers(0, 256, made.photo.shape))
    arrays = on_steps(replace(made, plate=plate.astype(np.uint8)))
    photo = photo_part(Encoding.RAW if raw else None, arrays.photo)
    data = assemble(arrays, 29.97, [photo, *parts(arrays, raw=raw)])
    baked = decode_baked(data)
    assert baked.scene.fps == 29.97
    same(arrays, baked.scene.arrays)
    for t in (0.0, 0.37 * arrays.frames):
        assert np.array_equal(Scene(arrays, 29.97).frame(t), baked.scene.frame(t))


@pytest.mark.parametrize("raw", [False, True])
def test_the_live_loop_and_the_file_play_the_same_frames(tmp_path: Path, raw: bool) -> None:
    photo, motion = falling_photo()
    h, w = motion.matte.shape
    sway = np.zeros((2, h, w, 4), np.float32)
    sway[:, :, : w // 5, 0] = 0.003
    swaying = replace(
        motion,
        sway=sway,
        sway_hz=np.array([0.5, 1.1], np.float32),
        matte=np.where(np.arange(w) < w // 5, 1, motion.matte).astype(np.float32),
        classes=np.where(np.arange(w) < w // 5, 4, motion.classes).astype(np.uint8),
    )
    scene = build_scene(photo, swaying, seconds=2, fps=12)
    path = tmp_path / "falls.sflow"
    about = {"synthetic": True, "alt": "Wässer"}
    assert write_scene(scene, path, raw=raw, about=about) == path.stat().st_size
    baked = read_baked(path)
    same(scene.arrays, baked.scene.arrays)
    assert baked.about == about
    for index in range(scene.frames):
        assert np.array_equal(scene.frame(index), baked.scene.frame(index)), index
    encodings = {section.encoding for section in baked.head.sections}
    assert (encodings == {Encoding.RAW, Encoding.NUMBERS}) is raw
    assert {Kind.PLATE, Kind.VELOCITY} <= {section.kind for section in baked.head.sections}


def test_the_same_scene_gives_the_same_bytes() -> None:
    arrays = on_steps(random_arrays(np.random.default_rng(1), 16, 24, harmonics=1, blend=False))

    def data() -> bytes:
        return assemble(arrays, 30, [photo_part(None, arrays.photo), *parts(arrays, about={"b": 1, "a": 2})])

    assert data() == data()


def test_what_a_scene_has_not_is_not_there() -> None:
    arrays = on_steps(random_arrays(np.random.default_rng(1), 16, 24, harmonics=0, blend=False))
    kinds = [part.kind for part in parts(arrays)]
    assert kinds == [Kind.MATTE, Kind.VELOCITY, Kind.FLOW, Kind.CYCLES, Kind.INSIDE]


def test_decoded_scenes_are_refused() -> None:
    class Decoded:
        frames = 4

    with pytest.raises(StillflowError, match="a network decodes its frames"):
        arrays_of(Decoded())


def test_scenes_beyond_the_limits_are_refused() -> None:
    arrays = random_arrays(np.random.default_rng(1), 8, 8, harmonics=65, blend=False)
    with pytest.raises(StillflowError, match="65 harmonics"):
        arrays_of(Scene(arrays, 30))


def test_a_long_story_is_refused() -> None:
    arrays = random_arrays(np.random.default_rng(1), 8, 8, harmonics=0, blend=False)
    with pytest.raises(StillflowError, match="the most is 65,536"):
        parts(arrays, about={"alt": "x" * 70_000})


@pytest.mark.parametrize("about", [{"alt": "caf\udce9"}, {"x": float("nan")}, {"x": b"bytes"}], ids=str)
def test_what_is_no_json_is_refused(about: dict[str, object]) -> None:
    """A reader would refuse the file."""
    arrays = random_arrays(np.random.default_rng(1), 8, 8, harmonics=0, blend=False)
    with pytest.raises(StillflowError, match="no JSON in UTF-8"):
        parts(arrays, about=about)


def test_a_folder_that_is_missing_leaves_nothing(tmp_path: Path) -> None:
    scene = Scene(random_arrays(np.random.default_rng(1), 8, 8, harmonics=0, blend=False), 30)
    with pytest.raises(StillflowError, match="folder does not exist"):
        write_scene(scene, tmp_path / "no" / "it.sflow")
    assert list(tmp_path.iterdir()) == []
