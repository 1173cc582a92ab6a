# SPDX-License-Identifier: Apache-2.0
"""``stillflow animate``: what a user gets, and what a user with bad input gets."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from stillflow.gpu.description import find_gpu
from stillflow.kernels.arrays import ByteArray

SHORT = ("--seconds", 0.4, "--fps", 10)

pytestmark = pytest.mark.usefixtures("default_bundle")


def test_mp4_with_a_summary(stillflow: Callable, photo_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "loop.mp4"
    ended = stillflow("animate", photo_file, "-o", out, *SHORT)
    assert ended.code == 0, ended.err
    assert "4 frames at 10 fps, 128x96" in ended.out
    assert "suitability" in ended.out
    assert ended.err == ""
    with av.open(str(out)) as video:
        assert sum(1 for _ in video.decode(video=0)) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["loop.mp4", "photo.png"]


def test_json_is_exactly_one_object(stillflow: Callable, photo_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "loop.webp"
    ended = stillflow("animate", photo_file, "-o", out, *SHORT, "--json")
    assert ended.code == 0, ended.err
    found = ended.summary
    assert (found["frames"], found["fps"], found["width"], found["height"]) == (4, 10, 128, 96)
    assert found["output"] == str(out)
    assert found["bytes"] == out.stat().st_size
    assert set(found["seconds"]) == {"read", "motion", "assess", "scene", "video"}
    assert found["runs"]["engine"] in ("onnxruntime", "openvino")
    assert found["runs"]["provider"]
    for output in ("velocity", "matte", "plate", "blend"):
        assert found["runs"][output]
    assert 0 <= found["suitability"]["score"] <= 3
    assert ended.err == ""


def test_the_choice_is_told(stillflow: Callable, photo_file: Path, tmp_path: Path) -> None:
    words = ("animate", photo_file, "--device", "cpu", "-o", tmp_path / "loop.gif", "--overwrite", *SHORT)
    runs = stillflow(*words, "--json").summary["runs"]
    assert {name: runs[name] for name in ("device", "precision", "frames", "why")} == {
        "device": "cpu",
        "precision": "fp32",
        "frames": "cpu kernels",
        "why": "the device cpu was asked for",
    }
    ended = stillflow(*words, "--precision", "fp16", "--engine", "openvino")
    assert "bundle edge on openvino (CPU f32), fp16\n" in ended.out
    assert "device cpu, frames by cpu kernels: the device cpu was asked for\n" in ended.out
    assert ended.err == ""


@pytest.mark.skipif(find_gpu() is not None, reason="a CUDA device is here")
@pytest.mark.parametrize("words", [("--device", "cuda"), ("--device", "cuda:1"), ("--engine", "tensorrt")])
def test_a_gpu_that_is_not_here(
    stillflow: Callable, photo_file: Path, tmp_path: Path, leftovers: Callable, words: tuple[str, ...]
) -> None:
    for more in ((), ("--allow-fallback",)):
        ended = stillflow("animate", photo_file, "-o", tmp_path / "loop.mp4", *words, *more)
        ended.refused("cannot run", words[1], "NVIDIA", "--device cpu" if "cuda" in words[1] else "")
    assert leftovers() == set()


def test_quiet_says_nothing(stillflow: Callable, photo_file: Path, tmp_path: Path) -> None:
    ended = stillflow("animate", photo_file, "-o", tmp_path / "loop.gif", *SHORT, "-q")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_raw_frames_on_stdout(start_stillflow: Callable, photo_file: Path, scenery: ByteArray) -> None:
    out, err = start_stillflow("animate", photo_file, "-o", "-", *SHORT, "--json").communicate(timeout=60)
    frames = np.frombuffer(out, np.uint8).reshape(4, 96, 128, 3)
    assert np.abs(frames[0].astype(int) - scenery).max() <= 1
    assert json.loads(err)["output"] == "-"


def test_guidance_is_used(stillflow: Callable, photo_file: Path, tmp_path: Path) -> None:
    mask = np.zeros((96, 128), np.uint8)
    mask[56:88, 24:104] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    out = tmp_path / "frames.apng"
    words = ("--mask", tmp_path / "mask.png", "--arrow", "0.3,0.7,0.6,0.7,1", "--strength", 1.5, "--seed", 3)
    ended = stillflow("animate", photo_file, "-o", out, "--seconds", 1, "--fps", 8, *words, "--json")
    assert ended.code == 0, ended.err
    assert 0 < ended.summary["moving_share"] < 0.4
    first, middle = _frames(out, (0, 3))
    moved = np.abs(first.astype(int) - middle).max(axis=2)
    assert moved[:50].max() == 0
    assert moved[60:84].max() > 8


def _frames(path: Path, indices: tuple[int, ...]) -> list[ByteArray]:
    with av.open(str(path)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    return [frames[i] for i in indices]


def test_same_command_gives_the_same_bytes(stillflow: Callable, photo_file: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert (
            stillflow("animate", photo_file, "-o", tmp_path / f"{name}.rgb", "--format", "raw", *SHORT).code
            == 0
        )
    assert (tmp_path / "a.rgb").read_bytes() == (tmp_path / "b.rgb").read_bytes()


def test_size_and_loops(stillflow: Callable, photo_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "loop.mp4"
    ended = stillflow("animate", photo_file, "-o", out, *SHORT, "--size", 64, "--loops", 3, "--json")
    assert (ended.summary["width"], ended.summary["height"], ended.summary["loops"]) == (64, 48, 3)
    with av.open(str(out)) as video:
        assert sum(1 for _ in video.decode(video=0)) == 12


def test_alpha_of_the_moving_layer(stillflow: Callable, photo_file: Path, tmp_path: Path) -> None:
    mask = np.zeros((96, 128), np.uint8)
    mask[56:88, 24:104] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    out = tmp_path / "loop.webm"
    words = ("--mask", tmp_path / "mask.png", "--arrow", "0.3,0.7,0.6,0.7,1", "--alpha")
    assert stillflow("animate", photo_file, "-o", out, *SHORT, *words).code == 0
    with av.open(str(out)) as video:
        assert video.streams.video[0].metadata.get("alpha_mode") == "1"
    ended = stillflow("animate", photo_file, "-o", tmp_path / "loop.mp4", *SHORT, "--alpha")
    ended.refused("transparency", ".webm")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing", "no such file"),
        ("empty", "the file is empty"),
        ("text", "not those of a picture"),
        ("truncated", "damaged or cut short"),
        ("folder", "it is a folder"),
        ("one_pixel", "1x1"),
        ("bomb", "900,000,000 pixels"),
    ],
)
def test_bad_photo(
    stillflow: Callable,
    bad_pictures: dict[str, Path],
    tmp_path: Path,
    leftovers: Callable,
    name: str,
    says: str,
) -> None:
    stillflow("animate", bad_pictures[name], "-o", tmp_path / "loop.mp4").refused(
        says, bad_pictures[name].name
    )
    assert leftovers() == set()


@pytest.mark.parametrize("option", ["--mask", "--still"])
def test_map_of_another_aspect(
    stillflow: Callable, photo_file: Path, tmp_path: Path, option: str, leftovers: Callable
) -> None:
    Image.fromarray(np.full((64, 64), 255, np.uint8)).save(tmp_path / "square.png")
    before = leftovers()
    ended = stillflow("animate", photo_file, "-o", tmp_path / "loop.mp4", option, tmp_path / "square.png")
    ended.refused("64x64", "128x96", "square.png")
    assert leftovers() == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--arrow", "0.2,0.2,1.4,0.2"), "outside the picture"),
        (("--arrow", "-0.2,0.2,0.4,0.2"), "outside the picture"),
        (("--arrow", "0.5,0.5,0.5,0.5"), "no length"),
        (("--arrow", "nan,0.5,0.6,0.5"), "nan"),
        (("--arrow", "0.1,0.1,0.4,0.4,0"), "0 seconds"),
        (("--arrow", "up"), "1 numbers"),
        (("--strength", "nan"), "strength"),
        (("--strength", "4"), "between 0 and 3"),
        (("--strength", "much"), "--strength"),
        (("--seed", "-1"), "seed"),
        (("--seconds", "nan"), "nan"),
        (("--seconds", "0"), "above 0"),
        (("--seconds", "1e9"), "at most 60"),
        (("--fps", "inf"), "frame rate"),
        (("--fps", "0"), "frame rate"),
        (("--seconds", "0.01"), "0 frames"),
        (("--size", "3"), "16 pixels"),
        (("--size", "-5"), "16 pixels"),
        (("--loops", "0"), "loops"),
        (("--format", "mkv"), "mkv"),
        (("--engine", "steam"), "steam"),
        (("--device", "gpu"), "no such device"),
        (("--device", "cpu", "--engine", "rtx"), "NVIDIA GPUs only"),
        (("--precision", "fp64"), "no such precision"),
        (("--bundle", "nowhere"), "nowhere"),
        (("--bundle", "no/where"), "no such folder"),
        (("--mask", "nowhere.png"), "no such file"),
        (("--nonsense",), "--nonsense"),
    ],
)
def test_bad_options(
    stillflow: Callable,
    photo_file: Path,
    tmp_path: Path,
    leftovers: Callable,
    words: tuple[str, ...],
    says: str,
) -> None:
    stillflow("animate", photo_file, "-o", tmp_path / "loop.mp4", *words).refused(says)
    assert leftovers() == set()


def test_unknown_extension(
    stillflow: Callable, photo_file: Path, tmp_path: Path, leftovers: Callable
) -> None:
    stillflow("animate", photo_file, "-o", tmp_path / "loop.xyz").refused("loop.xyz")
    stillflow("animate", photo_file, "-o", tmp_path / "loop").refused("loop")
    assert leftovers() == set()


def test_name_and_format_that_contradict(
    stillflow: Callable, photo_file: Path, tmp_path: Path, leftovers: Callable
) -> None:
    stillflow("animate", photo_file, "-o", tmp_path / "loop.mp4", "--format", "png").refused(
        "its name says mp4"
    )
    assert leftovers() == set()


def test_output_folder_missing(
    stillflow: Callable, photo_file: Path, tmp_path: Path, leftovers: Callable
) -> None:
    stillflow("animate", photo_file, "-o", tmp_path / "no" / "loop.mp4").refused("does not exist", "mkdir -p")
    assert leftovers() == set()


def test_output_inside_a_file(stillflow: Callable, photo_file: Path) -> None:
    stillflow("animate", photo_file, "-o", photo_file / "loop.mp4").refused("not a folder")


def test_output_folder_read_only(
    stillflow: Callable,
    photo_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    leftovers: Callable,
) -> None:
    # Root may write anywhere, so the system's answer is given here instead of by permissions.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    stillflow("animate", photo_file, "-o", tmp_path / "loop.mp4").refused("read-only")
    assert leftovers() == set()


def test_existing_output_is_kept_unless_told_otherwise(
    stillflow: Callable, photo_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "loop.mp4"
    out.write_bytes(b"precious")
    stillflow("animate", photo_file, "-o", out, *SHORT).refused("exists", "--overwrite")
    assert out.read_bytes() == b"precious"
    for option in ("--overwrite", "--force"):
        out.write_bytes(b"precious")
        assert stillflow("animate", photo_file, "-o", out, *SHORT, option).code == 0
        assert out.read_bytes() != b"precious"


def test_photo_is_never_the_output(stillflow: Callable, photo_file: Path) -> None:
    before = photo_file.read_bytes()
    stillflow("animate", photo_file, "-o", photo_file, "--force").refused("the photo itself")
    assert photo_file.read_bytes() == before


def test_full_device(start_stillflow: Callable, photo_file: Path) -> None:
    with open("/dev/full", "wb") as full:
        process = start_stillflow("animate", photo_file, "-o", "-", *SHORT, stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert b"the disk is full" in err
    assert b"fix: " in err
    assert b"Traceback" not in err


@pytest.mark.parametrize(
    "name", ["loop.mp4", "loop.webm", "loop.webp", "loop.gif", "loop.apng", "frames/%04d.png"]
)
def test_file_that_cannot_grow(
    start_stillflow: Callable, scenery: ByteArray, tmp_path: Path, name: str
) -> None:
    # A limit on the size of files stands in for a full disk: it works for root, and it fails midway.
    noise = np.random.default_rng(1).integers(0, 256, (96, 128, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    process = start_stillflow(
        "animate", tmp_path / "photo.png", "-o", tmp_path / name, *SHORT, preexec_fn=limit
    )
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    assert b"Traceback" not in err
    assert b"fix: " in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["photo.png"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_while_writing(
    start_stillflow: Callable, photo_file: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    out = tmp_path / "loop.apng"
    process = start_stillflow("animate", photo_file, "-o", out, "--seconds", 60, "--fps", 240)
    wait_for_part(process, tmp_path)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert b"Traceback" not in err
    assert [p.name for p in tmp_path.iterdir()] == ["photo.png"]


def wait_for_part(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait until the half-made output has appeared beside its name."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"ended early with {process.returncode}")
        if any(name.endswith(".part") for name in os.listdir(folder)):
            return
        time.sleep(0.01)
    raise AssertionError("no output was begun within a minute")


def test_broken_pipe_is_quiet(start_stillflow: Callable, photo_file: Path) -> None:
    process = start_stillflow("animate", photo_file, "-o", "-", "--seconds", 10)
    process.stdout.read(1000)
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(60) == 141
    assert err == b""


def test_who_encodes_is_told(stillflow: Callable, photo_file: Path, tmp_path: Path) -> None:
    words = ("animate", photo_file, "--device", "cpu", "-o", tmp_path / "loop.mp4", *SHORT, "--json")
    runs = stillflow(*words).summary["runs"]
    assert runs["encoder"] == "libx264" and "encoder_why" not in runs, "frames of the CPU stay there"


def test_nvenc_where_it_is_not(stillflow: Callable, photo_file: Path, tmp_path: Path) -> None:
    for out, why in ((tmp_path / "loop.gif", "mp4, not gif"), (tmp_path / "loop.mp4", "NVENC")):
        ended = stillflow(
            "animate", photo_file, "-o", out, "--encoder", "nvenc", "--device", "cuda:97", *SHORT
        )
        assert ended.code == 2 and why in ended.err and "--encoder" in ended.err
        assert not out.exists()
