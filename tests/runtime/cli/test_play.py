# SPDX-License-Identifier: Apache-2.0
"""``stillflow play``: a baked scene becomes a video."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from stillflow.baked import read_baked, write_scene


@pytest.fixture
def scene(source_tree: Path) -> Path:
    return source_tree / "tests" / "data" / "baked" / "falls-1.0.sflow"


def test_frames_are_those_of_the_scene(stillflow: Callable, scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "frames.rgb"
    ended = stillflow("play", scene, "-o", out, "--loops", 2)
    assert ended.code == 0, ended.err
    assert "12 frames at 12 fps, 48x32, 2.0 s" in ended.out
    assert "not filmed" in ended.out
    frames = np.fromfile(out, np.uint8).reshape(24, 32, 48, 3)
    played = read_baked(scene).scene
    for index, frame in enumerate(frames):
        assert np.array_equal(frame, played.frame(index % 12))


def test_what_a_file_says_of_itself_is_shown_and_not_obeyed(
    stillflow: Callable, scene: Path, tmp_path: Path
) -> None:
    played = read_baked(scene).scene
    loud = tmp_path / "loud.sflow"
    write_scene(
        played, loud, about={"alt": "\x1b]0;mine\x07\x9b2J", "credit": "N.\nN.", "note": {"no": "text"}}
    )
    out = stillflow("play", loud, "-o", tmp_path / "frames.rgb").out
    assert "  alt: \\x1b]0;mine\\x07\\x9b2J\n  credit: N. N.\n" in out
    assert "note" not in out


def test_a_video(stillflow: Callable, scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "loop.mp4"
    found = stillflow("play", scene, "-o", out, "--json").summary
    assert found["bytes"] == out.stat().st_size
    assert found["about"]["synthetic"] is True
    with av.open(str(out)) as video:
        assert sum(1 for _ in video.decode(video=0)) == 12


def test_what_cannot_be_played(
    stillflow: Callable, scene: Path, photo_file: Path, tmp_path: Path, leftovers: Callable
) -> None:
    stillflow("play", tmp_path / "no.sflow", "-o", tmp_path / "a.mp4").refused("no such file")
    stillflow("play", photo_file, "-o", tmp_path / "a.mp4").refused("not a baked scene", "stillflow bake")
    stillflow("play", scene, "-o", tmp_path / "a.xyz").refused("no known format")
    stillflow("play", scene, "-o", tmp_path / "a.mp4", "--format", "gif").refused("its name says mp4")
    assert leftovers() == set()
    short = tmp_path / "short.sflow"
    short.write_bytes(scene.read_bytes()[:-9])
    stillflow("play", short, "-o", tmp_path / "a.mp4").refused("its header says")
    stillflow("play", short, "-o", short, "--format", "raw", "--overwrite").refused("scene itself")
    assert not (tmp_path / "a.mp4").exists()
