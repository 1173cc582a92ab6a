# SPDX-License-Identifier: Apache-2.0
"""Who encodes H.264: the choice, what refuses, and what a loop says of it. With and without NVENC."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu
from stillflow.video import encoders, open_sink
from stillflow.video.colour import nv12
from stillflow.video.destination import open_destination
from stillflow.video.encoders import (
    NVENC_OPTIONS,
    REMEMBERED,
    SOFTWARE,
    Chosen,
    Encoder,
    choose_encoder,
    nvenc_trouble,
)
from stillflow.video.packets import PacketSink

SIZE = {"width": 192, "height": 128}
ABSENT = Encoder("h264_nvenc", {"gpu": "97"}, hardware=True)
"""No machine has that GPU: it refuses everywhere."""


def pictures(count: int = 3) -> list[np.ndarray]:
    ramp = np.linspace(0, 255, 192)[None, :, None] * np.ones((128, 1, 3))
    return [np.roll(ramp.astype(np.uint8), 9 * k, axis=1) for k in range(count)]


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as file:
        assert file.streams.video[0].codec_context.pix_fmt == "yuv420p"
        return [frame.to_ndarray(format="yuv420p") for frame in file.decode(video=0)]


def test_software_is_chosen_without_a_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "nvenc_trouble", lambda *_, **__: pytest.fail("tried NVENC"))
    assert choose_encoder("software", **SIZE) == Chosen(SOFTWARE)


@pytest.mark.skipif("h264_nvenc" not in av.codecs_available, reason="this PyAV has no h264_nvenc")
def test_a_refusal_does_not_count_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []
    clock = SimpleNamespace(monotonic=lambda: 7 * REMEMBERED)
    monkeypatch.setattr(encoders, "time", clock)
    monkeypatch.setattr("stillflow.gpu.description.find_gpu", tries.append)
    assert nvenc_trouble(322, 182, 98) == nvenc_trouble(322, 182, 98) != ""
    assert tries == [98]
    clock.monotonic = lambda: 8 * REMEMBERED
    assert nvenc_trouble(322, 182, 98) != "" and tries == [98, 98]


def test_auto_never_fails_and_says_why_not() -> None:
    chosen = choose_encoder("auto", **SIZE)
    if nvenc_trouble(192, 128):
        assert chosen.encoder == SOFTWARE and chosen.why == nvenc_trouble(192, 128)
    else:
        assert (chosen.encoder.codec, chosen.fallback, chosen.why) == ("h264_nvenc", SOFTWARE, "")


def test_asking_for_nvenc_where_it_is_not() -> None:
    with pytest.raises(StillflowError, match="NVENC") as caught:
        choose_encoder("nvenc", **SIZE, device=97)
    assert "no NVIDIA driver" in caught.value.why and "--encoder" in caught.value.fix


def test_unknown_names() -> None:
    with pytest.raises(StillflowError, match="software, nvenc"):
        choose_encoder("quicksync", **SIZE)


@pytest.mark.parametrize("name", ["loop.webm", "loop.gif", "loop.rgb"])
def test_other_formats_leave_no_choice(name: str, tmp_path: Path) -> None:
    with pytest.raises(StillflowError, match="mp4, not"):
        open_sink(tmp_path / name, **SIZE, fps=30, encoder="nvenc")
    for asked in ("auto", "software"):
        open_sink(tmp_path / name, **SIZE, fps=30, encoder=asked).abort()
    with pytest.raises(StillflowError, match="no such encoder"):
        open_sink(tmp_path / name, **SIZE, fps=30, encoder="best")
    assert list(tmp_path.iterdir()) == []


def sink_of(path: Path, chosen: Chosen) -> PacketSink:
    return PacketSink(
        open_destination(str(path)), "mp4", **SIZE, rate=Fraction(30), loops=1, matte=None, chosen=chosen
    )


def test_a_session_that_is_refused_after_all(tmp_path: Path) -> None:
    sink = sink_of(tmp_path / "loop.mp4", Chosen(ABSENT, SOFTWARE))
    assert sink.encoder == "libx264" and "does not open now" in sink.encoder_why
    for picture in pictures():
        sink.write(picture)
    sink.close()
    assert len(decoded(tmp_path / "loop.mp4")) == 3


def test_a_session_that_is_refused_and_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(StillflowError, match="NVENC"):
        sink_of(tmp_path / "loop.mp4", Chosen(ABSENT))


def test_asked_for_on_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "loop.mp4"
    if nvenc_trouble(192, 128):
        with pytest.raises(StillflowError, match="NVENC"):
            open_sink(path, **SIZE, fps=30, encoder="nvenc")
        assert list(tmp_path.iterdir()) == []
        return
    with open_sink(path, **SIZE, fps=30, encoder="nvenc", loops=2) as sink:
        for index, picture in enumerate(pictures()):
            sink.write(nv12(picture) if index % 2 else picture)
    assert len(decoded(path)) == 6


@pytest.mark.parametrize("hardware", [False, True])
def test_nv12_gives_the_video_that_rgb_gives(hardware: bool, tmp_path: Path) -> None:
    """Also through the way of hardware, which opens first and always reads NV12; x264 stands at its end."""
    encoder = Encoder("libx264", {"preset": "veryfast", "crf": "18", "threads": "1"}, hardware)
    found = []
    for name, change in (("rgb", lambda picture: picture), ("nv12", nv12)):
        sink: Any = sink_of(tmp_path / f"{name}.mp4", Chosen(encoder))
        assert sink.takes_nv12
        for picture in pictures():
            sink.write(change(picture))
        sink.close()
        found.append(decoded(tmp_path / f"{name}.mp4"))
    assert len(found[0]) == 3 and all((a == b).all() for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("hardware", [False, True])
def test_an_encoder_that_fails_on_the_way(hardware: bool, tmp_path: Path) -> None:
    sink = sink_of(tmp_path / "loop.mp4", Chosen(Encoder("libx264", hardware=hardware)))
    sink.write(pictures()[0])
    sink._stream.encode(None)  # after its end it takes no more
    with pytest.raises(StillflowError if hardware else EOFError) as caught:
        sink.write(pictures()[1])
    assert not hardware or "failed at frame 1" in str(caught.value)
    sink.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif("h264_nvenc" not in av.codecs_available, reason="this PyAV has no h264_nvenc")
def test_nvenc_understands_its_options() -> None:
    """FFmpeg reads values before it looks for a driver, and passes over names that it does not know."""
    context = av.CodecContext.create("h264_nvenc", "w")
    if hasattr(context, "supported_options"):  # PyAV 18 on
        found = context.supported_options
        known = {option.name for option in (*found.generic, *found.private)}
        assert {*NVENC_OPTIONS, "gpu"} <= known
    context.width, context.height, context.pix_fmt, context.time_base = 192, 128, "nv12", Fraction(1, 30)
    context.options = {**NVENC_OPTIONS, "gpu": "97"}
    with pytest.raises(av.error.FFmpegError) as caught:
        context.open()
    assert not isinstance(caught.value, av.error.ArgumentError)


def test_only_mp4_takes_nv12(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="does not fit"),
        open_sink(tmp_path / "loop.webm", **SIZE, fps=30) as sink,
    ):
        sink.write(nv12(pictures()[0]))
    with (
        pytest.raises(ValueError, match="does not fit"),
        open_sink(tmp_path / "loop.mp4", **SIZE, fps=30) as sink,
    ):
        sink.write(nv12(pictures()[0])[:-3])


@pytest.mark.skipif(find_gpu() is None, reason="there is no CUDA device")
def test_a_picture_that_is_too_small_for_nvenc() -> None:
    assert "smaller" in nvenc_trouble(64, 48)
