# SPDX-License-Identifier: Apache-2.0
"""Photo to loop by the shipped bundle: the frames of Animator().animate(photo)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from stillflow import photo as photos
from stillflow.animator import Animator
from stillflow.guidance import Guidance

from ..internals import ROOT
from ..structs import ARGUMENT, LIMIT, RGB, STOPPED, UNSUITED, Photo, Progress, Wish
from .calls import Bundle, Loop, RefusedError

EDGE = ROOT / "engines" / "stillflow_engines" / "edge"
TIMES = (0.0, 3.0, 7.5)


@pytest.fixture(scope="module")
def bundle() -> Iterator[Bundle]:
    with Bundle(EDGE, threads=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def animator() -> Iterator[Animator]:
    with Animator(EDGE, engine="onnxruntime", device="cpu") as made:
        yield made


@pytest.fixture(scope="module")
def picture() -> photos.Photo:
    return photos.load_photo(ROOT / "samples" / "waterfall.jpg").fitted(192)


def given(pixels: np.ndarray) -> Photo:
    height, width, _ = pixels.shape
    photo = Photo(format=RGB, width=width, height=height, data=pixels.ctypes.data, stride=3 * width)
    photo.kept = pixels
    return photo


def frames(loop: Loop) -> list[np.ndarray]:
    found = [loop.frame(t) for t in TIMES]
    loop.close()
    return found


@pytest.mark.parametrize(
    ("wish", "guidance"),
    [
        ({}, {}),
        ({"strength": 1.7}, {"strength": 1.7}),
        ({"seed": 3, "strength": 1.0}, {"seed": 3, "strength": 1.0}),
    ],
)
def test_frames_are_those_of_python(
    bundle: Bundle, animator: Animator, picture: photos.Photo, wish: dict[str, Any], guidance: dict[str, Any]
) -> None:
    loop = bundle.loop(given(picture.pixels), Wish(seconds=2, fps=10, **wish))
    facts = loop.facts
    assert (facts.width, facts.height, facts.frames, facts.fps) == (picture.width, picture.height, 20, 10.0)
    assert facts.moving > 0.3
    found = frames(loop)
    scene = animator.animate(picture, Guidance(**guidance), seconds=2, fps=10).scene
    assert np.array_equal(found[0], picture.pixels)
    for frame, t in zip(found, TIMES, strict=True):
        off = np.abs(frame.astype(int) - scene.frame(t))
        # Sums in another order may move a value across a rounding: at 1280x960 by 2 at most, by 0.0001 on average.
        assert off.max() <= 2
        assert off.mean() < 0.002
    assert np.abs(found[1].astype(int) - picture.pixels).max() > 20


def test_a_wish_that_is_not_there_is_four_seconds_at_thirty(bundle: Bundle, picture: photos.Photo) -> None:
    loop = bundle.loop(given(picture.pixels))
    assert (loop.facts.frames, loop.facts.fps) == (120, 30.0)
    loop.close()


def test_a_file_is_scaled_down_and_played(bundle: Bundle) -> None:
    path = ROOT / "samples" / "waterfall.jpg"
    data = path.read_bytes()
    photo = Photo(file_bytes=len(data))
    photo.kept = ctypes.create_string_buffer(data, len(data))
    photo.file = ctypes.addressof(photo.kept)
    loop = bundle.loop(photo, Wish(long_side=160))
    found = frames(loop)[0]
    wanted = photos.load_photo(path).fitted(160).pixels
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).mean() < 0.5


def test_a_loop_outlives_its_bundle(bundle: Bundle, picture: photos.Photo) -> None:
    with Bundle(EDGE, threads=1) as another:
        loop = another.loop(given(picture.pixels))
    wanted = frames(bundle.loop(given(picture.pixels)))
    assert all(map(np.array_equal, frames(loop), wanted))


def test_other_precisions_play_nearly_the_same(bundle: Bundle, picture: photos.Photo) -> None:
    with Bundle(EDGE, threads=1, precision="fp16") as half:
        found = frames(half.loop(given(picture.pixels)))
    wanted = frames(bundle.loop(given(picture.pixels)))
    assert np.array_equal(found[0], wanted[0])
    assert np.abs(found[2].astype(int) - wanted[2]).mean() < 3


def test_progress_rises_and_stops(bundle: Bundle, picture: photos.Photo) -> None:
    told: list[float] = []
    stops = [0]

    def ask(_: None, done: float) -> int:
        told.append(done)
        return int(len(told) == stops[0])

    progress = Progress(ask)
    bundle.loop(given(picture.pixels), Wish(progress=progress)).close()
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 1)
    stages = len(told)
    for stop in range(1, stages):
        stops[0] = stop
        told.clear()
        with pytest.raises(RefusedError) as caught:
            bundle.loop(given(picture.pixels), Wish(progress=progress))
        assert caught.value.status == STOPPED
        assert len(told) == stop


def test_a_photo_that_will_not_work_is_told_and_refused_where_that_is_wished(bundle: Bundle) -> None:
    still = photos.load_photo(ROOT / "samples" / "coffee.jpg").fitted(320)
    loop = bundle.loop(given(still.pixels))
    assert loop.facts.chance <= 0.1
    with pytest.raises(RefusedError, match="good loop") as caught:
        bundle.loop(given(still.pixels), Wish(strict=1))
    assert caught.value.status == UNSUITED


def test_the_chance_and_the_strength_are_those_of_python(bundle: Bundle, picture: photos.Photo) -> None:
    wanted = Animator().animate(picture)
    facts = bundle.loop(given(picture.pixels), Wish(strict=1)).facts
    assert facts.chance == pytest.approx(wanted.suitability.chance, abs=1e-4)
    assert facts.strength == pytest.approx(wanted.strength)


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ({"seconds": -1}, "seconds"),
        ({"seconds": 61}, "seconds"),
        ({"seconds": float("nan")}, "seconds"),
        ({"fps": 0.5}, "frames a second"),
        ({"fps": 241}, "frames a second"),
        ({"fps": float("inf")}, "frames a second"),
        ({"seconds": 0.01}, "fewer than 2"),
        ({"strength": -1}, "strength"),
        ({"strength": 3.1}, "strength"),
        ({"strength": float("nan")}, "strength"),
        ({"long_side": 15}, "long side"),
        ({"long_side": -1}, "long side"),
    ],
)
def test_wishes_that_make_no_loop(
    bundle: Bundle, picture: photos.Photo, wish: dict[str, Any], why: str
) -> None:
    with pytest.raises(RefusedError, match=why) as caught:
        bundle.loop(given(picture.pixels), Wish(**wish))
    assert caught.value.status == ARGUMENT
    assert caught.value.fix


def test_photos_that_are_not_there(bundle: Bundle, picture: photos.Photo) -> None:
    both = given(picture.pixels)
    both.file, both.file_bytes = both.data, 10
    small = given(picture.pixels)
    small.struct_size -= 1
    for photo in (Photo(), both, small):
        with pytest.raises(RefusedError) as caught:
            bundle.loop(photo)
        assert caught.value.status == ARGUMENT


def test_memory_has_a_limit(picture: photos.Photo) -> None:
    with Bundle(EDGE, threads=1, memory_limit=12 << 20) as tight:
        large = np.zeros((1500, 2000, 3), np.uint8)
        for _ in range(2):
            with pytest.raises(RefusedError, match="limit") as caught:
                tight.loop(given(large))
            assert caught.value.status == LIMIT
        tight.loop(given(picture.pixels)).close()


def test_a_bundle_without_a_generator_plays_closed_forms(picture: photos.Photo) -> None:
    golden = ROOT / "tests" / "data" / "bundles" / "golden-1.0"
    with Bundle(golden, threads=1) as small:
        found = frames(small.loop(given(picture.pixels)))
    assert np.array_equal(found[0], picture.pixels)
