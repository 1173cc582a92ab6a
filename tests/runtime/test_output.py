# SPDX-License-Identifier: Apache-2.0
"""Output files: refused early with a reason, written whole, never left half-made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stillflow.errors import StillflowError
from stillflow.output import check_file, is_stream


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


def test_existing_file_needs_force(photo_file: Path) -> None:
    assert "--force" in refusal(photo_file).fix
    check_file(photo_file, force=True)


def test_photo_is_never_overwritten(photo_file: Path, tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(photo_file)
    for target in (photo_file, tmp_path / "link.png"):
        assert "the photo itself" in refusal(target, source=photo_file, force=True).why


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
