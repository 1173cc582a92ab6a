# SPDX-License-Identifier: Apache-2.0
"""Animated WebP, GIF, APNG, PNG sequence and raw: read back with Pillow, OpenCV and PyAV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from stillflow.video import open_sink
from stillflow.video.gif import apply_palette, bayer, choose_palette

ANIMATED = ["loop.webp", "loop.gif", "loop.apng"]
TOLERANCE = {".webp": 5.0, ".gif": 6.0, ".apng": 0.0, ".png": 0.0}
"""Mean absolute error in grey levels: lossy, 255 colours with dither, lossless."""


def opened(path: Path) -> tuple[list[np.ndarray], list[float], dict[str, Any]]:
    """Frames, durations in milliseconds and metadata as Pillow sees them."""
    frames, durations = [], []
    with Image.open(path) as picture:
        for index in range(getattr(picture, "n_frames", 1)):
            picture.seek(index)
            frames.append(np.asarray(picture.convert("RGB")))
            durations.append(float(picture.info.get("duration", 0)))
        return frames, durations, dict(picture.info)


@pytest.mark.parametrize("name", ANIMATED)
def test_comes_back(name: str, shoot: Any, film: Any) -> None:
    path = shoot(film, name)
    frames, durations, info = opened(path)
    assert len(frames) == film.frames
    assert info["loop"] == 0, "endless"
    assert sum(durations) == pytest.approx(1000 * film.frames / 30, abs=1 if path.suffix != ".gif" else 10)
    for index, frame in enumerate(frames):
        error = np.abs(frame.astype(int) - film.frame(index))
        assert error.mean() <= TOLERANCE[path.suffix]


@pytest.mark.parametrize("name", ANIMATED)
@pytest.mark.parametrize("patch", ["red", "green", "blue", "gray"])
def test_saturated_colours_survive(name: str, patch: str, shoot: Any, film: Any) -> None:
    frames, _, _ = opened(shoot(film, name))
    for frame in (frames[0], frames[7]):
        # WebP is BT.601 with full 4:2:0 inside, hence a few levels for it.
        assert np.abs(film.patch(frame, patch) - film.patch(film.frame(0), patch)).max() <= 6


@pytest.mark.parametrize("name", ANIMATED)
def test_more_loops_become_a_number_of_plays(name: str, shoot: Any, film: Any) -> None:
    frames, _, info = opened(shoot(film, name, loops=3))
    assert len(frames) == film.frames
    # A GIF stores the repetitions after the first play.
    assert info["loop"] == (2 if name.endswith("gif") else 3)


@pytest.mark.parametrize("name", ANIMATED)
@pytest.mark.parametrize("size", [(63, 95), (16, 17)])
def test_odd_sizes(name: str, size: tuple[int, int], shoot: Any, make_film: Any) -> None:
    film = make_film(frames=3, height=size[0], width=size[1])
    frames, _, _ = opened(shoot(film, name))
    assert [frame.shape for frame in frames] == [(*size, 3)] * 3


@pytest.mark.parametrize("name", ANIMATED)
def test_one_frame(name: str, shoot: Any, make_film: Any) -> None:
    frames, _, _ = opened(shoot(make_film(frames=1), name))
    assert len(frames) == 1


@pytest.mark.parametrize("name", ANIMATED)
def test_equal_frames_are_all_kept_in_time(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with open_sink(path, width=16, height=12, fps=10) as sink:
        for _ in range(5):
            sink.write(np.full((12, 16, 3), 77, np.uint8))
    frames, durations, _ = opened(path)
    if len(frames) > 1:  # WebP merges them into one picture, which then needs no time
        assert sum(durations) == pytest.approx(500, abs=10)


@pytest.mark.parametrize("fps", [10, 24, 29.97, 30, 50])
def test_gif_keeps_its_length(fps: float, shoot: Any, make_film: Any) -> None:
    film = make_film(frames=31, height=16, width=24, fps=fps)
    _, durations, _ = opened(shoot(film, "loop.gif"))
    assert len(durations) == 31
    assert sum(durations) == pytest.approx(31_000 / fps, abs=10)
    assert max(durations) - min(durations) <= 10


@pytest.mark.parametrize("fps", [60, 100, 240])
def test_fast_gif_drops_frames_that_browsers_would_slow_down(fps: float, shoot: Any, make_film: Any) -> None:
    film = make_film(frames=48, height=16, width=24, fps=fps)
    _, durations, _ = opened(shoot(film, "loop.gif"))
    assert min(durations) >= 20
    assert sum(durations) == pytest.approx(48_000 / fps, abs=20)


def test_gif_keeps_what_stands_still(shoot: Any, film: Any) -> None:
    frames, _, _ = opened(shoot(film, "loop.gif"))
    above = film.height // 2
    assert all((frame[:above] == frames[0][:above]).all() for frame in frames)


def test_gif_frame_unlike_the_first_brings_its_own_palette(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    warm = rng.integers(0, 60, (40, 40, 3), np.uint8) + np.array([190, 90, 0], np.uint8)
    cold = rng.integers(0, 60, (40, 40, 3), np.uint8) + np.array([0, 60, 190], np.uint8)
    path = tmp_path / "loop.gif"
    with open_sink(path, width=40, height=40, fps=10) as sink:
        for frame in (warm, cold, warm):
            sink.write(frame)
    frames, _, _ = opened(path)
    for frame, source in zip(frames, (warm, cold, warm), strict=True):
        assert np.abs(frame.astype(int) - source).mean() < 8


def test_palette_of_few_colours_is_exact() -> None:
    picture = np.zeros((20, 20, 3), np.uint8)
    picture[5:] = (255, 0, 0)
    picture[12:] = (250, 250, 250)
    palette = choose_palette(picture)
    assert len(palette.colours) == 3
    assert (palette.colours[apply_palette(palette, picture)] == picture).all()


def test_palette_is_the_same_every_time() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert (choose_palette(picture).table == choose_palette(picture).table).all()


def test_dither_keeps_the_mean() -> None:
    assert abs(float(bayer().sum())) < 1e-5
    assert len(np.unique(bayer())) == 64
    ramp = np.linspace(60, 200, 256)[None, :, None].repeat(64, axis=0).repeat(3, axis=2).astype(np.uint8)
    palette = choose_palette((ramp // 24) * 24)  # a handful of grays for many
    shown = palette.colours[apply_palette(palette, ramp)].astype(float)
    blocks = (shown - ramp).reshape(8, 8, 32, 8, 3).mean(axis=(1, 3))
    assert np.abs(blocks[:, 4:-4]).mean() < 6


def test_apng_is_a_png_for_all_others(shoot: Any, film: Any) -> None:
    path = shoot(film, "loop.png")
    still = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert (cv2.cvtColor(still, cv2.COLOR_BGR2RGB) == film.frame(0)).all()
    with av.open(str(path), format="apng") as file:
        assert sum(1 for _ in file.decode(video=0)) == film.frames


def test_apng_stores_only_what_moves(shoot: Any, film: Any) -> None:
    from stillflow.video.apng import chunks

    path = shoot(film, "loop.apng")
    rows = [int.from_bytes(data[8:12], "big") for kind, data in chunks(path.read_bytes()) if kind == b"fcTL"]
    assert rows == [film.height] + [film.height // 2] * (film.frames - 1)


@pytest.mark.parametrize("loops", [1, 3])
@pytest.mark.parametrize("name", ["frames/", "new/shot_%03d.png", "x_%d.png"])
def test_sequence(name: str, loops: int, shoot: Any, film: Any, tmp_path: Path) -> None:
    shoot(film, name, loops=loops, format="png")
    pattern = "frames/frame_%04d.png" if name == "frames/" else name
    for index in range(film.frames * loops):
        picture = np.asarray(Image.open(tmp_path / (pattern % index)))
        assert (picture == film.frame(index % film.frames)).all()
    assert len(list(tmp_path.rglob("*.png"))) == film.frames * loops


@pytest.mark.parametrize("loops", [1, 3])
def test_raw_file(loops: int, shoot: Any, film: Any) -> None:
    data = np.fromfile(shoot(film, "loop.rgb", loops=loops), np.uint8)
    frames = data.reshape(loops * film.frames, film.height, film.width, 3)
    assert all((frame == film.frame(k % film.frames)).all() for k, frame in enumerate(frames))


def test_two_runs_give_the_same_bytes(shoot: Any, film: Any) -> None:
    for name in ("a.gif", "a.apng", "a.webp", "a.rgb"):
        first = shoot(film, name).read_bytes()
        assert first == shoot(film, name).read_bytes()
