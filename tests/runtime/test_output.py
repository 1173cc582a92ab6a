# SPDX-License-Identifier: Apache-2.0
"""Output files: refused early with a reason, written whole, never left half-made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stillflow.errors import StillflowError
from stillflow.output import check_file, check_loop_targets, future_names, is_stream


def refusal(path: Path, **options: object) -> StillflowError:
    with pytest.raises(StillflowError) as caught:
        check_file(path, **options)  # type: ignore[arg-type]
    assert str(path) in caught.value.what
    return caught.value


def test_missing_folder(tmp_path: Path) -> None:
    error = refusal(tmp_path / "no" / "loop.mp4")
    assert "does not exist" in error.why
    assert error.fix == f"run: mkdir -p {tmp_path / 'no'}"


def test_file_for_a_folder(photo_file: Path) -> None:
    assert refusal(photo_file / "loop.mp4").why


def test_folder_for_a_file(tmp_path: Path) -> None:
    assert "folder" in refusal(tmp_path).why


def test_existing_file_needs_overwrite(photo_file: Path) -> None:
    assert "--overwrite" in refusal(photo_file).fix
    check_file(photo_file, overwrite=True)


def test_photo_is_never_overwritten(photo_file: Path, tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(photo_file)
    for target in (photo_file, tmp_path / "link.png"):
        assert "the photo itself" in refusal(target, source=photo_file, overwrite=True).why


def test_nothing_that_is_read_is_overwritten(tmp_path: Path, photo_file: Path) -> None:
    field = tmp_path / "field.npy"
    field.write_bytes(b"x")
    reads = {"mask": None, "velocity": field}
    assert "the velocity itself" in refusal(field, source=photo_file, reads=reads, overwrite=True).why
    with pytest.raises(StillflowError, match="the velocity itself"):
        check_loop_targets(str(field), format="gif", source=photo_file, reads=reads, overwrite=True)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write to a read-only folder")
def test_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert "read-only" in refusal(tmp_path / "loop.mp4").why
    finally:
        tmp_path.chmod(0o700)


def test_read_only_folder_as_seen_by_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert "read-only" in refusal(tmp_path / "loop.mp4").why


def test_read_only_disk_as_seen_by_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillflow.output._read_only_disk", lambda folder: True)
    assert "read-only" in refusal(tmp_path / "loop.mp4").why


def test_name_the_system_refuses(tmp_path: Path) -> None:
    assert "too long" in refusal(tmp_path / ("x" * 300 + ".mp4")).why


def test_streams(tmp_path: Path) -> None:
    assert is_stream("-")
    assert is_stream("/dev/full")
    os.mkfifo(tmp_path / "pipe")
    assert is_stream(str(tmp_path / "pipe"))
    assert not is_stream(str(tmp_path))
    assert not is_stream(str(tmp_path / "loop.mp4"))


@pytest.mark.parametrize(
    ("output", "names"),
    [
        ("loop.mp4", ["loop-1.mp4", "loop-2.mp4"]),
        ("out/my.loop.gif", ["out/my.loop-1.gif", "out/my.loop-2.gif"]),
        ("loop_%03d.mp4", ["loop_001.mp4", "loop_002.mp4"]),
        ("100%.mp4", ["100%-1.mp4", "100%-2.mp4"]),
        ("still.png", ["still-1.png", "still-2.png"]),
        ("frames/", ["frames-1/", "frames-2/"]),
        ("frames/%04d.png", ["frames-1/%04d.png", "frames-2/%04d.png"]),
    ],
)
def test_names_of_futures(output: str, names: list[str]) -> None:
    assert future_names(output, 2) == names
    assert future_names(output, 1) == [output]


def test_many_futures_sort_by_name() -> None:
    names = future_names("loop.mp4", 12)
    assert names[0] == "loop-01.mp4"
    assert names == sorted(names)


@pytest.mark.parametrize("output", ["-", "/dev/null", "%04d.png"])
def test_places_for_one_loop_only(output: str) -> None:
    with pytest.raises(StillflowError, match="2 futures") as caught:
        future_names(output, 2, format="raw" if output == "/dev/null" else None)
    assert caught.value.fix


def test_one_target_that_exists_refuses_all(tmp_path: Path, photo_file: Path) -> None:
    (tmp_path / "loop-3.mp4").write_bytes(b"precious")
    with pytest.raises(StillflowError, match=r"loop-3\.mp4"):
        check_loop_targets(str(tmp_path / "loop.mp4"), 4, source=photo_file)
    names = check_loop_targets(str(tmp_path / "loop.mp4"), 4, source=photo_file, overwrite=True)
    assert len(names) == 4
