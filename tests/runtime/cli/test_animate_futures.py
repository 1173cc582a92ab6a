# SPDX-License-Identifier: Apache-2.0
"""``stillflow animate --futures`` and its verdict: several loops or none, refusals, warnings, --force."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stillflow.kernels.arrays import ByteArray

SHORT = ("--seconds", 0.5, "--fps", 8, "--size", 160)

pytestmark = pytest.mark.usefixtures("default_bundle")


@pytest.fixture
def masked(tmp_path: Path, scenery: ByteArray) -> tuple[object, ...]:
    """A photo whose lower half is said to move, as words of the command line."""
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(scenery).save(folder / "photo.png")
    mask = np.zeros((96, 128), np.uint8)
    mask[52:92, 12:116] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    return (folder / "photo.png", "--mask", folder / "mask.png")


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """A gray picture in which nothing could move."""
    path = tmp_path / "flat.png"
    Image.fromarray(np.full((256, 256, 3), 128, np.uint8)).save(path)
    return path


def test_four_files_that_differ(stillflow: Callable, masked: tuple[object, ...], tmp_path: Path) -> None:
    ended = stillflow("animate", *masked, "-o", tmp_path / "loop.rgb", "--futures", 4, *SHORT, "--json")
    assert ended.code == 0, ended.err
    names = [tmp_path / f"loop-{i}.rgb" for i in range(1, 5)]
    assert [one["output"] for one in ended.summary["futures"]] == [str(name) for name in names]
    assert [one["seed"] for one in ended.summary["futures"]] == [0, 1, 2, 3]
    assert len({name.read_bytes() for name in names}) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", *(name.name for name in names)]


def test_a_future_is_what_its_seed_gives_in_another_process(
    stillflow: Callable, masked: tuple[object, ...], tmp_path: Path
) -> None:
    ended = stillflow("animate", *masked, "-o", tmp_path / "loop.rgb", "--futures", 3, "--seed", 4, *SHORT)
    assert ended.code == 0, ended.err
    alone = [sys.executable, "-m", "stillflow", "animate", *masked, "-o", "-", "--seed", 6, *SHORT, "-q"]
    environment = {**os.environ, "PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([str(word) for word in alone], capture_output=True, check=True, env=environment)
    assert (
        hashlib.sha256(done.stdout).digest()
        == hashlib.sha256((tmp_path / "loop-3.rgb").read_bytes()).digest()
    )


def test_folders_of_pictures(stillflow: Callable, masked: tuple[object, ...], tmp_path: Path) -> None:
    ended = stillflow("animate", *masked, "-o", f"{tmp_path}/frames/", "--futures", 2, *SHORT)
    assert ended.code == 0, ended.err
    for number in (1, 2):
        assert len(list((tmp_path / f"frames-{number}").iterdir())) == 4


def test_one_existing_target_stops_all(
    stillflow: Callable, masked: tuple[object, ...], tmp_path: Path
) -> None:
    (tmp_path / "loop-3.gif").write_bytes(b"precious")
    stillflow("animate", *masked, "-o", tmp_path / "loop.gif", "--futures", 4, *SHORT).refused("loop-3.gif")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "loop-3.gif"]
    assert (tmp_path / "loop-3.gif").read_bytes() == b"precious"


def test_a_failure_at_the_last_one_leaves_none(
    stillflow: Callable, masked: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stillflow.video.gif import GifSink

    finish, seen = GifSink._finish, []

    def fail_third(self: GifSink) -> None:
        seen.append(self)
        if len(seen) == 3:
            raise OSError(28, "No space left on device")
        finish(self)

    monkeypatch.setattr(GifSink, "_finish", fail_third)
    ended = stillflow("animate", *masked, "-o", tmp_path / "loop.gif", "--futures", 3, *SHORT)
    ended.refused("the disk is full")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-o", "-", "--futures", 2), "one loop only"),
        (("-o", "%d.png", "--futures", 2), "one folder"),
        (("-o", "loop.mp4", "--futures", 0), "from 1 to 64"),
        (("-o", "loop.mp4", "--futures", 100), "from 1 to 64"),
        (("-o", "loop.mp4", "--futures", 2, "--seed", 2**32 - 1), "seed"),
    ],
)
def test_impossible_futures(
    stillflow: Callable, photo_file: Path, leftovers: Callable, words: tuple[object, ...], says: str
) -> None:
    stillflow("animate", photo_file, *words).refused(says)
    assert leftovers() == set()


def test_unsuitable_photo_is_refused_with_the_reason(
    stillflow: Callable, flat: Path, tmp_path: Path, leftovers: Callable
) -> None:
    before = leftovers()
    stillflow("animate", flat, "-o", tmp_path / "loop.mp4", *SHORT).refused("nothing", "--force", "flat.png")
    assert leftovers() == before
    ended = stillflow("animate", flat, "-o", tmp_path / "loop.mp4", *SHORT, "--force", "--json")
    assert ended.code == 0, ended.err
    assert ended.summary["suitability"]["verdict"] == "unsuitable"


@pytest.fixture
def narrow(tmp_path: Path) -> tuple[object, ...]:
    """A narrow upright band across which an arrow runs: most of it would come from elsewhere."""
    noise = np.random.default_rng(3).integers(0, 256, (240, 320, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "band.png")
    mask = np.zeros((240, 320), np.uint8)
    mask[40:200, 144:176] = 255
    Image.fromarray(mask).save(tmp_path / "band_mask.png")
    return (tmp_path / "band.png", "--mask", tmp_path / "band_mask.png", "--arrow", "0.46,0.5,0.54,0.5,0.3")


def test_risky_photo_is_slowed_down_and_warned_of(
    stillflow: Callable, narrow: tuple[object, ...], tmp_path: Path
) -> None:
    words = ("--seconds", 1, "--fps", 8, "--json", "--overwrite")
    ended = stillflow("animate", *narrow, "-o", tmp_path / "loop.gif", *words)
    assert ended.code == 0, ended.err
    assert "warning" in ended.err and "slowed down" in ended.err
    assert 0.4 <= ended.summary["strength"] < 1
    assert ended.summary["strength"] == ended.summary["suitability"]["clean_strength"]
    assert ended.summary["warnings"]
    for how in (("--strength", 1), ("--force",)):
        ended = stillflow("animate", *narrow, "-o", tmp_path / "loop.gif", *words, *how)
        assert (ended.code, ended.summary["strength"], ended.summary["strength_why"]) == (0, 1, "given")
