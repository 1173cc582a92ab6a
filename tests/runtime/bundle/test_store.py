# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from stillflow.bundle.store import MAX_ZIP_ENTRIES, open_store
from stillflow.errors import StillflowError


def refused(path: Path, why: str) -> None:
    with pytest.raises(StillflowError, match=why) as caught:
        open_store(path).read("a.txt", 100)
    assert caught.value.fix


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("secret")
    inside = tmp_path / "bundle"
    inside.mkdir()
    return inside


def test_nothing_there(tmp_path: Path) -> None:
    refused(tmp_path / "none", "no such folder or file")


def test_neither_folder_nor_zip(sample_photo: Path) -> None:
    refused(sample_photo, "neither a folder nor a zip file")


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"")
    refused(tmp_path / "x.zip", "neither a folder nor a zip file")


def test_named_pipe_does_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "a.txt")
    refused(folder, "not a plain file")
    refused(folder / "a.txt", "neither a folder nor a plain file")


def test_folder_in_place_of_a_file(folder: Path) -> None:
    (folder / "a.txt").mkdir()
    refused(folder, r"a\.txt")


def test_link_that_leads_out(folder: Path) -> None:
    (folder / "a.txt").symlink_to("../secret.txt")
    refused(folder, "leads out")


def test_linked_folder_that_leads_out(folder: Path) -> None:
    (folder / "sub").symlink_to("..")
    with pytest.raises(StillflowError, match="leads out"):
        open_store(folder).read("sub/secret.txt", 100)


def test_climbing_path(folder: Path) -> None:
    with pytest.raises(StillflowError, match="leads out"):
        open_store(folder).read("../secret.txt", 100)


def test_link_that_stays_inside(folder: Path) -> None:
    (folder / "b.txt").write_text("fine")
    (folder / "a.txt").symlink_to("b.txt")
    assert open_store(folder).read("a.txt", 100) == b"fine"


def test_circle_of_links(folder: Path) -> None:
    (folder / "a.txt").symlink_to("b.txt")
    (folder / "b.txt").symlink_to("a.txt")
    refused(folder, r"a\.txt")


def test_device_is_not_read_for_ever(folder: Path) -> None:
    (folder / "a.txt").symlink_to("/dev/zero")
    refused(folder, "leads out")


def test_longer_than_allowed(folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"x" * 101)
    refused(folder, "longer than the 100 bytes")


def pack(path: Path, *entries: zipfile.ZipInfo | str, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for entry in entries:
            archive.writestr(entry, b"hello" * 10)
    return path


def test_stored_zip_reads(tmp_path: Path) -> None:
    assert open_store(pack(tmp_path / "x.zip", "a.txt")).read("a.txt", 100) == b"hello" * 10


def test_missing_entry(tmp_path: Path) -> None:
    refused(pack(tmp_path / "x.zip", "b.txt"), "no such file")


@pytest.mark.parametrize("name", ["../a.txt", "/a.txt", "b/../../a.txt", "C:/a.txt"])
def test_entries_that_climb_out(tmp_path: Path, name: str) -> None:
    refused(pack(tmp_path / "x.zip", "a.txt", zipfile.ZipInfo(name)), "climbs out")


def test_entry_twice(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        path = pack(tmp_path / "x.zip", "a.txt", "a.txt")
    refused(path, "twice")


def test_link_in_a_zip(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("a.txt")
    entry.external_attr = 0o120777 << 16
    refused(pack(tmp_path / "x.zip", entry), "symbolic link")


def test_compressed_zip_says_how_to_pack(tmp_path: Path) -> None:
    refused(pack(tmp_path / "x.zip", "a.txt", compression=zipfile.ZIP_DEFLATED), r"compressed\n.*zip -0 -r")


def test_encrypted_zip(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", "a.txt")
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02")
    data[at + 8] |= 1
    path.write_bytes(data)
    refused(path, "encrypted")


def test_changed_byte_in_a_zip(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", "a.txt")
    data = bytearray(path.read_bytes())
    data[data.find(b"hello") + 7] ^= 1
    path.write_bytes(data)
    refused(path, "damaged")


def test_truncated_zips(tmp_path: Path, zipped: Callable[..., Path]) -> None:
    data = zipped().read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99, 0.9999):
        path = tmp_path / "cut.zip"
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(StillflowError):
            open_store(path)


def test_zip64_and_endless_lists(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, MAX_ZIP_ENTRIES + 1, 100, 0, 0)
    path.write_bytes(end)
    refused(path, "too many")
    path.write_bytes(b"PK\x06\x07" + b"\0" * 16 + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, 0, 0, 0, 0))
    refused(path, "zip64")
