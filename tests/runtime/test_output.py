# SPDX-License-Identifier: Apache-2.0
"""Output files: refused early with a reason, written whole, never left half-made."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from stillflow.errors import StillflowError
from stillflow.motion_file import check_motion_target
from stillflow.output import check_target, whole_file, write_error


def refusal(path: Path, **options: object) -> StillflowError:
    with pytest.raises(StillflowError) as caught:
        check_target(path, **options)  # type: ignore[arg-type]
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
    check_target(photo_file, force=True)


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


def test_whole_file_appears_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with whole_file(path) as part:
        part.write_bytes(b"1")
        assert not path.exists()
        assert part.suffix == ".npz"
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError(), SystemExit(143)])
def test_whole_file_leaves_nothing_and_loses_nothing(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")
    with pytest.raises(type(error)), whole_file(path) as part:
        part.write_bytes(b"half")
        raise error
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EFBIG, errno.EIO])
def test_errors_of_the_system_are_explained(tmp_path: Path, number: int) -> None:
    with pytest.raises(StillflowError) as caught, whole_file(tmp_path / "a.npz"):
        raise OSError(number, os.strerror(number))
    assert caught.value.why == os.strerror(number).lower()
    assert caught.value.fix
    assert list(tmp_path.iterdir()) == []


def test_full_disk() -> None:
    with pytest.raises(OSError) as caught, open("/dev/full", "wb", buffering=0) as full:
        full.write(b"x")
    assert "free some space" in write_error("loop.mp4", caught.value).fix


def test_motion_needs_a_known_extension(tmp_path: Path) -> None:
    for name in ("motion", "motion.jpg"):
        with pytest.raises(StillflowError, match="extension"):
            check_motion_target(tmp_path / name)
    assert check_motion_target(tmp_path / "MOTION.NPZ").name == "MOTION.NPZ"
