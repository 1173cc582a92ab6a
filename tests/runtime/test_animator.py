# SPDX-License-Identifier: Apache-2.0
"""The face of the library: photo in, loop out, networks kept warm, nothing printed."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import stillflow
from stillflow.animator import Animator, check_timing
from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu
from stillflow.guidance import Arrow, Guidance
from stillflow.kernels.arrays import ByteArray
from stillflow.photo import Photo

MOVING = np.zeros((96, 128), bool)
MOVING[52:92, 12:116] = True
STREAM = Guidance(mask=MOVING, arrows=(Arrow(0.3, 0.75, 0.5, 0.75, 1),))


@pytest.fixture(scope="module")
def animator(default_bundle: Path) -> Animator:
    return Animator(default_bundle)


def test_frames_of_a_loop(animator: Animator, scenery: ByteArray) -> None:
    loop = animator.animate(Photo.from_array(scenery), STREAM, seconds=1, fps=12)
    assert len(loop) == 12
    assert loop.fps == 12
    frames = [loop.frame(i) for i in range(12)]
    assert frames[0].shape == scenery.shape
    assert np.abs(frames[0].astype(int) - scenery).max() <= 1
    assert np.array_equal(loop.frame(12), frames[0])
    assert np.array_equal(loop.frame(-1), frames[11])
    still = loop.scene.matte == 0
    assert 0 < loop.moving_share < 0.5
    assert all(np.array_equal(frame[still], scenery[still]) for frame in frames)
    assert np.abs(frames[5].astype(int) - scenery)[~still].mean() > 1


def test_what_ran_and_how_long_it_took(animator: Animator, photo_file: Path, tmp_path: Path) -> None:
    loop = animator.animate(photo_file, seconds=0.5, fps=8)
    assert list(loop.seconds) == ["read", "motion", "assess", "scene"]
    assert loop.save(tmp_path / "loop.mp4") == (tmp_path / "loop.mp4").stat().st_size
    assert all(value >= 0 for value in loop.seconds.values())
    assert loop.seconds["video"] > 0
    assert loop.runs["bundle"] == "edge"
    assert {"engine", "provider", "velocity", "matte", "plate", "blend"} <= set(loop.runs)
    assert 0 <= loop.suitability.score <= 3


def test_second_photo_is_warm(
    default_bundle: Path, photo_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    load = Bundle.session

    def counted(self: Bundle, name: str, *words: str, **options: str) -> object:
        loaded.append(name)
        return load(self, name, *words, **options)

    monkeypatch.setattr(Bundle, "session", counted)
    warm = Animator(default_bundle)
    assert loaded == []
    for _ in range(2):
        warm.animate(photo_file, seconds=0.5, fps=8)
    assert sorted(set(loaded)) == sorted(loaded)
    assert "flow" in loaded


def test_progress_counts_every_frame(animator: Animator, photo_file: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    loop = animator.animate(photo_file, seconds=0.5, fps=8)
    loop.save(tmp_path / "loop.gif", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_nothing_is_printed(
    animator: Animator, photo_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    animator.animate(photo_file, seconds=0.5, fps=8, size=64).save(tmp_path / "loop.webp")
    assert capfd.readouterr() == ("", "")


def test_futures_share_the_network_and_differ(
    animator: Animator, scenery: ByteArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = animator.session("flow")
    runs = []
    monkeypatch.setitem(animator.networks.sessions, "flow", _Counted(session, runs))
    guidance = Guidance(mask=MOVING, seed=2)
    loops = list(animator.futures(Photo.from_array(scenery), guidance, 3, seconds=1, fps=8))
    assert len(runs) == 1
    assert [loop.seed for loop in loops] == [2, 3, 4]
    middles = [loop.frame(3) for loop in loops]
    assert not np.array_equal(middles[0], middles[1])
    assert not np.array_equal(middles[1], middles[2])
    alone = animator.animate(Photo.from_array(scenery), Guidance(mask=MOVING, seed=4), seconds=1, fps=8)
    assert all(np.array_equal(alone.frame(i), loops[2].frame(i)) for i in range(8))


class _Counted:
    """A session that notes each run."""

    def __init__(self, session, runs: list) -> None:
        self.engine, self.provider = session.engine, session.provider
        self.run = lambda inputs: runs.append(inputs) or session.run(inputs)


def test_futures_are_checked_before_the_first_is_made(animator: Animator, photo_file: Path) -> None:
    for count, guidance in ((0, None), (65, None), (2, Guidance(seed=2**32 - 1))):
        with pytest.raises(StillflowError, match="futures"):
            animator.futures(photo_file, guidance, count)


def test_unsuitable_is_a_verdict_unless_strict(animator: Animator) -> None:
    flat = Photo.from_array(np.full((128, 128, 3), 128, np.uint8))
    assert animator.animate(flat, seconds=0.5, fps=8).suitability.verdict == "unsuitable"
    with pytest.raises(StillflowError, match="nothing"):
        animator.animate(flat, seconds=0.5, fps=8, strict=True)


def test_strength_is_lowered_only_where_it_was_left_open(animator: Animator) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (240, 320, 3), np.uint8)
    band = np.zeros((240, 320), bool)
    band[40:200, 144:176] = True
    across = {"mask": band, "arrows": (Arrow(0.46, 0.5, 0.54, 0.5, 0.3),)}
    slowed = animator.animate(Photo.from_array(noise), Guidance(**across), seconds=1, fps=8)
    assert 0.4 <= slowed.strength < 1
    assert slowed.suitability.verdict == "risky"
    assert slowed.strength_why in slowed.suitability.warnings
    told = animator.animate(Photo.from_array(noise), Guidance(**across, strength=1), seconds=1, fps=8)
    assert (told.strength, told.strength_why) == (1, "given")
    flows = slowed.motion.flow_matte > 0.5
    assert np.allclose(
        slowed.motion.velocity[flows], told.motion.velocity[flows] * slowed.strength, atol=1e-6
    )


def test_strength_zero_stands_still(animator: Animator, scenery: ByteArray) -> None:
    frozen = Guidance(mask=MOVING, arrows=STREAM.arrows, strength=0)
    loop = animator.animate(Photo.from_array(scenery), frozen, seconds=1, fps=8)
    assert np.abs(loop.frame(4).astype(int) - scenery).max() <= 1


def test_error_leaves_the_animator_usable(animator: Animator, photo_file: Path, tmp_path: Path) -> None:
    with pytest.raises(StillflowError):
        animator.animate(tmp_path / "nowhere.jpg")
    assert len(animator.animate(photo_file, seconds=0.5, fps=8)) == 4


def test_interrupted_save_leaves_nothing(animator: Animator, photo_file: Path, tmp_path: Path) -> None:
    loop = animator.animate(photo_file, seconds=1, fps=8)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.save(tmp_path / "loop.mp4", progress=stop)
    assert [p.name for p in tmp_path.iterdir()] == ["photo.png"]


@pytest.mark.parametrize("engine", ["steam", ""])
def test_unknown_engine(default_bundle: Path, photo_file: Path, engine: str) -> None:
    with pytest.raises(StillflowError, match="engine"):
        Animator(default_bundle, engine).motion(photo_file)


@pytest.mark.parametrize(
    "words", [{"device": "gpu"}, {"precision": "fp8"}, {"device": "cpu", "engine": "rtx"}]
)
def test_words_that_mean_nothing_are_refused_at_once(default_bundle: Path, words: dict[str, str]) -> None:
    with pytest.raises(StillflowError):
        Animator(default_bundle, **words)


def test_the_choice_is_told(default_bundle: Path, photo_file: Path) -> None:
    positional = Animator(default_bundle, "onnxruntime", "fp16", "cpu", False)
    assert (positional.choice.device, positional.choice.frames, positional.choice.precision) == (
        "cpu",
        "cpu",
        "fp16",
    )
    loop = positional.animate(photo_file, seconds=0.5, fps=8)
    assert loop.warnings == positional.warnings == ()
    told = {name: loop.runs[name] for name in ("device", "engine", "precision", "frames", "why")}
    assert told == {
        "device": "cpu",
        "engine": "onnxruntime",
        "precision": "fp16",
        "frames": "cpu kernels",
        "why": "the device cpu was asked for",
    }


@pytest.mark.skipif(find_gpu() is not None, reason="a CUDA device is here")
def test_a_gpu_that_is_not_here_is_an_error_and_never_the_cpu(default_bundle: Path, photo_file: Path) -> None:
    for words in ({"device": "cuda"}, {"device": "cuda:1", "allow_fallback": True}, {"engine": "tensorrt"}):
        with pytest.raises(StillflowError, match=r"no NVIDIA GPU|no GPU"):
            Animator(default_bundle, **words).animate(photo_file)


def test_threads_share_an_animator(default_bundle: Path, scenery: ByteArray) -> None:
    shared = Animator(default_bundle)
    photos = [Photo.from_array(np.roll(scenery, 8 * k, axis=1)) for k in range(4)]
    found: dict[int, list[ByteArray]] = {}
    begin = threading.Barrier(len(photos))

    def animate(number: int) -> None:
        begin.wait()
        loop = shared.animate(photos[number], STREAM, seconds=0.5, fps=8)
        found[number] = [loop.frame(i) for i in range(4)]

    threads = [threading.Thread(target=animate, args=(number,)) for number in range(len(photos))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(shared.networks.sessions) == ["flow", "generator"]
    for number, photo in enumerate(photos):
        alone = Animator(default_bundle).animate(photo, STREAM, seconds=0.5, fps=8)
        assert all(np.array_equal(alone.frame(i), found[number][i]) for i in range(4))


def test_unknown_bundle() -> None:
    with pytest.raises(StillflowError, match="nowhere"):
        Animator("nowhere")


@pytest.mark.parametrize(
    ("seconds", "fps"),
    [
        (0, 30),
        (-1, 30),
        (math.nan, 30),
        (math.inf, 30),
        (61, 30),
        (4, 0),
        (4, math.nan),
        (4, 241),
        (0.01, 30),
    ],
)
def test_impossible_timing(seconds: float, fps: float) -> None:
    with pytest.raises(StillflowError) as caught:
        check_timing(seconds, fps)
    assert caught.value.fix


def test_every_exported_name_exists_and_is_documented() -> None:
    for name in stillflow.__all__:
        value = getattr(stillflow, name)
        assert name == "__version__" or value.__doc__
    assert set(stillflow.__all__) <= set(dir(stillflow))
    with pytest.raises(AttributeError, match="nonsense"):
        stillflow.nonsense


def test_import_is_free() -> None:
    heavy = {"numpy", "cv2", "PIL", "onnxruntime", "av"}
    code = f"import sys, stillflow; sys.exit(' '.join({heavy!r} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
