# SPDX-License-Identifier: Apache-2.0
"""Clips: what is read of a good one, and how a bad one is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow_bench import clip as clips
from stillflow_bench.clip import is_clip, read_clip

Frames = npt.NDArray[np.uint8]
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def frames() -> Frames:
    """Ten frames of 48x32, each of one gray level more than the last."""
    return np.broadcast_to(
        (10 * np.arange(1, 11, dtype=np.uint8))[:, None, None, None], (10, 32, 48, 3)
    ).copy()


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Write:
    folder = tmp_path_factory.mktemp("clips")

    def made(name: str, pictures: Frames, times: Sequence[int] | None = None, rate: int = 25) -> Path:
        """Write a video without loss; times are in frames."""
        path = folder / name
        with av.open(str(path), "w") as file:
            stream = file.add_stream("ffv1" if path.suffix == ".mkv" else "libx264rgb", rate=rate)
            stream.width, stream.height = pictures.shape[2], pictures.shape[1]
            stream.pix_fmt = "bgr0" if path.suffix == ".mkv" else "rgb24"
            stream.options = {} if path.suffix == ".mkv" else {"qp": "0", "bf": "0"}
            for i, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = (times[i] if times else i), Fraction(1, rate)
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        return path

    return made


@pytest.mark.parametrize("name", ["gray.mp4", "gray.mkv"])
def test_a_clip_gives_its_frames_and_their_rate(frames: Frames, write: Write, name: str) -> None:
    clip = read_clip(write(name, frames), size=960, seconds=4)
    assert np.array_equal(clip.frames, frames)
    assert (clip.fps, clip.name) == (25, "gray")
    assert np.array_equal(clip.photo.pixels, frames[0])


def test_only_the_beginning_is_read_and_scaled_like_a_photo(frames: Frames, write: Write) -> None:
    clip = read_clip(write("gray.mkv", frames), size=24, seconds=0.24)
    assert clip.frames.shape == (6, 16, 24, 3)
    assert clip.frames[:, 8, 8, 0].tolist() == [10, 20, 30, 40, 50, 60]


def test_each_moment_has_the_frame_nearest_in_time(frames: Frames, write: Write) -> None:
    path = write("uneven.mkv", frames[:5], times=[0, 1, 4, 5, 6])
    clip = read_clip(path, size=960, seconds=4)
    shown = [int(level) // 10 - 1 for level in clip.frames[:, 0, 0, 0]]
    times = np.array([0, 1, 4, 5, 6]) / 25
    assert shown == [int(np.abs(times - i / clip.fps).argmin()) for i in range(len(shown))]
    assert len(set(shown)) > 2


def test_a_turned_camera_is_turned_back() -> None:
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3, 1).repeat(3, 2)
    assert np.array_equal(clips._upright(picture, 0), picture)
    assert clips._upright(picture, -90)[..., 0].tolist() == [[3, 0], [4, 1], [5, 2]]
    assert clips._upright(picture, 90)[..., 0].tolist() == [[2, 5], [1, 4], [0, 3]]


def test_names_say_what_is_a_clip() -> None:
    assert is_clip(Path("sea.MP4")) and is_clip(Path("sea.webm"))
    assert not is_clip(Path("sea.jpg")) and not is_clip(Path("sea.gif"))


def refused(path: Path, *words: str, seconds: float = 4) -> None:
    with pytest.raises(StillflowError) as caught:
        read_clip(path, size=960, seconds=seconds)
    for word in words:
        assert word in str(caught.value)


def test_a_photo_as_a_clip_of_one_frame_is_refused(frames: Frames, write: Write) -> None:
    refused(write("one.mkv", frames[:1]), "one.mkv", "1 frame,", "one frame is a photo")


def test_what_is_no_video_is_refused(tmp_path: Path, frames: Frames, write: Write) -> None:
    refused(tmp_path / "none.mp4", "there is no such file")
    (tmp_path / "folder.mp4").mkdir()
    refused(tmp_path / "folder.mp4", "not a plain file")
    (tmp_path / "text.mp4").write_text("no video")
    refused(tmp_path / "text.mp4", "damaged or no such video")
    (tmp_path / "empty.mkv").write_bytes(b"")
    refused(tmp_path / "empty.mkv", "damaged or no such video")
    good = write("gray.mkv", frames)
    (tmp_path / "gray.gif").write_bytes(good.read_bytes())
    refused(tmp_path / "gray.gif", "its name ends in '.gif'")
    (tmp_path / "gray.mp4").write_bytes(good.read_bytes())
    refused(tmp_path / "gray.mp4", "damaged or no such video")


def test_pictures_that_nothing_here_can_decode_are_refused(
    tmp_path: Path, frames: Frames, write: Write
) -> None:
    good = write("gray.mkv", frames).read_bytes()
    assert good.count(b"V_FFV1") == 1
    (tmp_path / "later.mkv").write_bytes(good.replace(b"V_FFV1", b"V_XXX9"))
    refused(tmp_path / "later.mkv", "nothing here can decode it")


def test_a_playlist_under_a_videos_name_opens_nothing_else(
    tmp_path: Path, frames: Frames, write: Write
) -> None:
    good = write("gray.mp4", frames)
    listed = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{good}\n#EXT-X-ENDLIST\n"
    for name, text in (("list.mp4", listed), ("joined.mp4", f"ffconcat version 1.0\nfile {good}\n")):
        (tmp_path / name).write_text(text)
        refused(tmp_path / name, "damaged or no such video")


def test_what_is_too_large_or_too_fast_is_refused(
    frames: Frames, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("gray.mkv", frames)
    with monkeypatch.context() as patch:
        patch.setattr(clips, "MAX_PIXELS", 48 * 32 - 1)
        refused(path, "48x32")
    with monkeypatch.context() as patch:
        patch.setattr(clips, "MAX_BYTES", 5 * 48 * 32 * 3)
        refused(path, "6 frames of 48x32")
        assert len(read_clip(path, size=960, seconds=0.2).frames) == 5
    with monkeypatch.context() as patch:
        patch.setattr(clips, "MAX_FPS", 24.0)
        refused(path, "25 frames a second")


def test_times_that_do_not_pass_are_no_reason_to_read_on(
    frames: Frames, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "_rate", lambda stream, what: 1.0)
    assert len(read_clip(write("gray.mkv", frames), size=960, seconds=1).frames) == 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_clips_end_in_a_clear_error_or_in_frames(data: st.DataObject, write: Write) -> None:
    pictures = np.random.default_rng(1).integers(0, 255, (4, 32, 48, 3)).astype(np.uint8)
    name = data.draw(st.sampled_from(["noise.mp4", "noise.mkv"]))
    good = write(name, pictures).read_bytes()
    bad = bytearray(good[: data.draw(st.integers(1, len(good)))])
    for place in data.draw(st.lists(st.integers(0, len(bad) - 1), max_size=8)):
        bad[place] = data.draw(st.integers(0, 255))
    path = write(name, pictures).with_name(f"bad_{name}")
    path.write_bytes(bytes(bad))
    try:
        clip = read_clip(path, size=960, seconds=1)
    except StillflowError:
        return
    assert len(clip.frames) >= 2
