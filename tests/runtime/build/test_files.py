# SPDX-License-Identifier: Apache-2.0
"""Who may have written a file, and what is left when the disk is full."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stillflow.build.files import (
    UnsafeError,
    private_folder,
    read_trusted,
    refusals,
    replace_private,
    trusted_folder,
    write_private,
)
from stillflow.errors import StillflowError


def read(folder: Path, name: str, limit: int = 100) -> bytes:
    with trusted_folder(folder) as descriptor:
        return read_trusted(name, descriptor, limit)


def test_written_files_are_ones_own(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "a" / "b")
    assert folder.stat().st_mode & 0o777 == 0o700
    write_private(folder / "x", b"data")
    assert (folder / "x").stat().st_mode & 0o777 == 0o600
    assert read(folder, "x") == b"data"
    with pytest.raises(FileExistsError):
        write_private(folder / "x", b"other")


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_folders_that_others_may_write_to(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(StillflowError, match="other users may write") as caught:
        private_folder(folder)
    assert "chmod 700" in caught.value.fix
    with pytest.raises(UnsafeError, match="other users may write"):
        read(folder, "x")


def test_files_that_others_may_write_to(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "f")
    write_private(folder / "x", b"data")
    (folder / "x").chmod(0o666)
    with pytest.raises(UnsafeError, match="x: other users may write"):
        read(folder, "x")


def test_links_pipes_and_folders_are_not_read(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "f")
    write_private(tmp_path / "outside", b"data")
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "inner").mkdir()
    os.mkfifo(folder / "pipe")
    for name, why in (
        ("link", "symbolic link"),
        ("inner", "not a plain file"),
        ("pipe", "not a plain file"),
        ("gone", "No such file"),
    ):
        with pytest.raises(UnsafeError, match=why):
            read(folder, name)
    (tmp_path / "linked").symlink_to(folder)
    with pytest.raises(UnsafeError, match="symbolic link"):
        read(tmp_path / "linked", "link")
    with pytest.raises(StillflowError, match="symbolic link"):
        private_folder(tmp_path / "linked")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "gone", "x")


def test_length_is_limited(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "f")
    write_private(folder / "x", b"12345")
    assert read(folder, "x", 5) == b"12345"
    with pytest.raises(UnsafeError, match="longer than 4"):
        read(folder, "x", 4)


def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    folder = private_folder(tmp_path / "f")
    os.chown(folder, 12345, 12345)
    with pytest.raises(StillflowError, match="another user"):
        private_folder(folder)


def test_replacing_shows_the_old_or_the_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    replace_private(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StillflowError, match="the disk is full"), refusals("cannot write x"):
        replace_private(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
