# SPDX-License-Identifier: Apache-2.0
"""mp4 and webm: what a decoder gets back."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from stillflow.video.colour import nv12, nv12_shape

BOTH = ["loop.mp4", "loop.webm"]


def decoded(path: Path, codec: str | None = None) -> tuple[Any, list[Any]]:
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        if codec is not None:
            context = av.CodecContext.create(codec, "r")
            frames = [frame for packet in file.demux(stream) for frame in context.decode(packet)]
            frames += context.decode(None) if not frames else []
        else:
            frames = list(file.decode(stream))
        info = {
            "rate": stream.average_rate,
            "tags": (
                stream.codec_context.color_primaries,
                stream.codec_context.color_trc,
                stream.codec_context.colorspace,
                stream.codec_context.color_range,
            ),
            "codec": stream.codec_context.name,
            "size": (stream.codec_context.width, stream.codec_context.height),
            "format": stream.codec_context.pix_fmt,
        }
    return info, frames


def rgb(frame: Any) -> np.ndarray:
    """Convert as a player does that believes the tags."""
    return np.asarray(
        frame.reformat(
            format="rgb24",
            src_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
        ).to_ndarray()
    )


def boxes(data: bytes) -> list[str]:
    at, names = 0, []
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        names.append(name.decode())
        at += size
    return names


@pytest.mark.parametrize("name", BOTH)
def test_comes_back(name: str, shoot: Any, film: Any) -> None:
    info, frames = decoded(shoot(film, name))
    assert len(frames) == film.frames
    assert info["size"] == (film.width, film.height)
    assert info["rate"] == 30
    assert info["format"] == "yuv420p"
    assert info["tags"] == (1, 1, 1, 1), "BT.709 primaries, transfer and matrix, limited range"
    assert frames[0].key_frame
    for index, frame in enumerate(frames):
        assert abs(float(frame.pts * frame.time_base) - index / 30) < 0.001
        error = np.abs(rgb(frame).astype(int) - film.frame(index))
        assert error.mean() < 4


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("patch", ["red", "green", "blue", "gray"])
def test_saturated_colours_survive(name: str, patch: str, shoot: Any, film: Any) -> None:
    _, frames = decoded(shoot(film, name))
    wanted = film.patch(film.frame(0), patch)
    for frame in (frames[0], frames[-1]):
        assert np.abs(film.patch(rgb(frame), patch) - wanted).max() <= 5


def test_moov_comes_before_mdat(shoot: Any, film: Any) -> None:
    names = boxes(shoot(film, "loop.mp4").read_bytes())
    assert names.index("moov") < names.index("mdat")


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("count", [1, 2, 12])
def test_loops_repeat_exactly(name: str, count: int, shoot: Any, make_film: Any) -> None:
    film = make_film(frames=count)
    _, once = decoded(shoot(film, f"once-{name}"))
    info, thrice = decoded(shoot(film, name, loops=3))
    assert len(once) == count and len(thrice) == 3 * count
    for index, frame in enumerate(thrice):
        assert (frame.to_ndarray() == thrice[index % count].to_ndarray()).all()
        assert abs(float(frame.pts * frame.time_base) - index / 30) < 0.001
        assert frame.key_frame == (index % count == 0)
    if count > 1:
        assert info["rate"] == 30


def test_two_webm_runs_give_the_same_bytes(shoot: Any, film: Any) -> None:
    assert len({shoot(film, "loop.webm").read_bytes() for _ in range(8)}) == 1


def test_loops_encode_once(shoot: Any, film: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from stillflow.video.packets import PacketSink

    encoded = []
    original = PacketSink._put

    def counting(self: PacketSink, prepared: Any) -> None:
        encoded.append(self.count)
        original(self, prepared)

    monkeypatch.setattr(PacketSink, "_put", counting)
    shoot(film, "loop.mp4", loops=5)
    assert len(encoded) == film.frames


@pytest.mark.parametrize(("height", "width"), [(63, 95), (64, 95), (63, 96), (17, 33)])
def test_odd_sizes(height: int, width: int, shoot: Any, make_film: Any) -> None:
    film = make_film(frames=3, height=height, width=width)
    info, frames = decoded(shoot(film, "odd.mp4"))
    assert info["size"] == (width + width % 2, height + height % 2), "padded by one pixel"
    picture = rgb(frames[0]).astype(int)
    if width % 2:
        assert np.abs(picture[:, -1] - picture[:, -2]).mean() < 6, "the last column is repeated"
    assert np.abs(picture[:height, :width] - film.frame(0)).mean() < 12
    info, frames = decoded(shoot(film, "odd.webm"))
    assert info["size"] == (width, height), "VP9 keeps odd sizes"
    assert np.abs(rgb(frames[0]).astype(int) - film.frame(0)).mean() < 12


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 2)])
def test_tiny_sizes(size: tuple[int, int], shoot: Any, make_film: Any) -> None:
    from stillflow.video import open_sink

    height, width = size
    for name in ("tiny.mp4", "tiny.webm"):
        path = shoot(make_film(frames=1), "big.mp4").with_name(name)
        with open_sink(path, width=width, height=height, fps=30) as sink:
            for _ in range(3):
                sink.write(np.full((height, width, 3), 200, np.uint8))
        _, frames = decoded(path)
        assert len(frames) == 3


@pytest.mark.parametrize(
    ("fps", "rate"), [(24, 24), (25.0, 25), (29.97, Fraction(30000, 1001)), (12.5, Fraction(25, 2)), (60, 60)]
)
def test_frame_rates(fps: float, rate: Fraction, shoot: Any, make_film: Any) -> None:
    for name in BOTH:
        info, frames = decoded(shoot(make_film(fps=fps), name))
        assert len(frames) == 12
        assert abs(info["rate"] - rate) < Fraction(1, 100)
    info, _ = decoded(shoot(make_film(fps=fps), "loop.mp4"))
    assert info["rate"] == rate


def test_webm_with_alpha(shoot: Any, film: Any) -> None:
    matte = np.zeros((film.height, film.width), np.uint8)
    matte[film.height // 2 :] = 255
    matte[film.height // 2 : film.height // 2 + 8] = 128
    info, frames = decoded(shoot(film, "loop.webm", matte=matte, loops=2), "libvpx-vp9")
    assert len(frames) == 2 * film.frames
    for index in (0, 5, film.frames + 5):
        assert frames[index].format.name == "yuva420p"
        rgba = frames[index].to_ndarray(format="rgba")
        assert np.abs(rgba[..., 3].astype(int) - matte).mean() < 3
        assert np.abs(rgb(frames[index]).astype(int) - film.frame(index % film.frames)).mean() < 4
    assert info["tags"] == (1, 1, 1, 1)


def test_matte_may_change_with_the_frame(shoot: Any, film: Any) -> None:
    def matte(index: int) -> np.ndarray:
        return np.full((film.height, film.width), 20 * index, np.uint8)

    _, frames = decoded(shoot(film, "loop.webm", matte=matte), "libvpx-vp9")
    for index, frame in enumerate(frames):
        assert abs(float(frame.to_ndarray(format="rgba")[..., 3].mean()) - 20 * index) < 4


def test_a_scene_that_makes_nv12_is_asked_for_it(shoot: Any, film: Any, make_film: Any) -> None:
    """By a sink that takes it; others get RGB."""
    asked: list[str] = []

    class Both(type(film)):  # type: ignore[misc]
        def nv12(self) -> Nv12Film:
            asked.append("nv12")
            return Nv12Film(self)

    for name in BOTH:
        _, wanted = decoded(shoot(film, f"plain-{name}"))
        _, frames = decoded(shoot(Both(), name))
        assert all((a.to_ndarray() == b.to_ndarray()).all() for a, b in zip(frames, wanted, strict=True))
    assert asked == ["nv12"]


class Nv12Film:
    """A film's frames as NV12."""

    threads = 1

    def __init__(self, film: Any) -> None:
        self.film = film
        self.frames, self.fps, self.height, self.width = film.frames, film.fps, film.height, film.width
        self.frame_shape = nv12_shape(film.height, film.width)

    def frame_buffer(self) -> np.ndarray:
        return np.empty(self.frame_shape, np.uint8)

    def frame_rows(self, t: float, y0: int, y1: int, out: np.ndarray) -> None:
        nv12(self.film.frame(t), out)
