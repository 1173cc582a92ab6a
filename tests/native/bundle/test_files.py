# SPDX-License-Identifier: Apache-2.0
"""Folders and zips of bundles: what lies inside is read, and nothing else."""

from __future__ import annotations

import ctypes
import os
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..internals import Room, internals
from ..structs import FILE, FORMAT
from .calls import RefusedError, check

END = struct.Struct("<4s4H2LH")


def read(path: Path, name: str = "a.txt", most: int = 100) -> bytes:
    library = internals()
    library.test_files_read.argtypes = (
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
    ) + (ctypes.c_void_p,) * 2
    out, size = ctypes.c_void_p(), ctypes.c_size_t()
    with Room() as room:
        status = library.test_files_read(
            room.address, os.fsencode(path), name.encode(), most, ctypes.byref(out), ctypes.byref(size)
        )
        check(status, room.error)
        return ctypes.string_at(out.value, size.value) if size.value else b""


def refused(path: Path, why: str, name: str = "a.txt") -> RefusedError:
    with pytest.raises(RefusedError, match=why) as caught:
        read(path, name)
    assert caught.value.fix
    return caught.value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("secret")
    inside = tmp_path / "bundle"
    inside.mkdir()
    return inside


def test_nothing_there(tmp_path: Path) -> None:
    assert refused(tmp_path / "none", "no such folder or file").status == FILE


def test_neither_folder_nor_zip(tmp_path: Path) -> None:
    for content in (b"", b"x", b"hello" * 30_000):
        (tmp_path / "x.sfb").write_bytes(content)
        assert refused(tmp_path / "x.sfb", "neither a folder nor a zip").status == FORMAT


def test_a_named_pipe_does_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "a.txt")
    refused(folder, "not a plain file")
    refused(folder / "a.txt", "neither a folder nor a plain file")


def test_a_folder_in_place_of_a_file(folder: Path) -> None:
    (folder / "a.txt").mkdir()
    refused(folder, r"a\.txt: it is not a plain file")


def test_a_file_in_a_folder(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "a.txt").write_bytes(b"fine")
    (folder / "empty").write_bytes(b"")
    assert read(folder, "sub/a.txt") == b"fine"
    assert read(folder, "empty") == b""
    assert refused(folder, "no such file").status == FILE


def test_links_stay_inside(folder: Path) -> None:
    (folder / "b.txt").write_text("fine")
    (folder / "a.txt").symlink_to("b.txt")
    assert read(folder) == b"fine"
    (folder.parent / "other").symlink_to(folder)
    assert read(folder.parent / "other") == b"fine"
    (folder / "out.txt").symlink_to("../secret.txt")
    refused(folder, "leads out", "out.txt")
    (folder / "sub").symlink_to("..")
    refused(folder, "leads out", "sub/secret.txt")
    (folder.parent / "bundle2").mkdir()
    (folder.parent / "bundle2" / "x").write_text("beside, with a longer name")
    (folder / "beside").symlink_to("../bundle2/x")
    refused(folder, "leads out", "beside")
    (folder / "zero").symlink_to("/dev/zero")
    refused(folder, "leads out", "zero")
    (folder / "round").symlink_to("round")
    refused(folder, "circle", "round")


@pytest.mark.parametrize(
    "name",
    ["../secret.txt", "/etc/passwd", "./a.txt", "sub//a.txt", "sub/", "", ".hidden", "C:\\x", "a\\..\\x"],
)
def test_paths_that_climb(folder: Path, name: str) -> None:
    (folder / "a.txt").write_text("fine")
    refused(folder, "may lead out", name)


def test_longer_than_allowed(folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"x" * 101)
    refused(folder, "longer than")


def pack(path: Path, *entries: zipfile.ZipInfo | str, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for entry in entries:
            archive.writestr(entry, b"hello" * 10)
    return path


@pytest.mark.parametrize("top", ["", "edge/", "a b/"])
def test_a_stored_zip(tmp_path: Path, top: str) -> None:
    path = pack(tmp_path / "x.sfb", f"{top}manifest.json", f"{top}sub/a.txt")
    assert read(path, "sub/a.txt") == b"hello" * 10
    assert refused(path, "no such file").status == FILE


def test_the_top_of_a_zip_is_one_folder(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.sfb", "one/manifest.json", "two/a.txt")
    refused(path, "no such file", "manifest.json")


def test_a_zip_with_a_comment(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.sfb", "a.txt")
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"PK\x05\x06" + b"x" * 50
    assert read(path) == b"hello" * 10


@pytest.mark.parametrize("name", ["../a.txt", "/a.txt", "b/../../a.txt", "C:/a.txt", "b/.."])
def test_entries_that_climb_out(tmp_path: Path, name: str) -> None:
    refused(pack(tmp_path / "x.sfb", "a.txt", zipfile.ZipInfo(name)), "climbs out")


def test_tricks_in_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "x.sfb"
    with pytest.warns(UserWarning, match="Duplicate"):
        pack(path, "a.txt", "a.txt")
    refused(path, "twice")
    link = zipfile.ZipInfo("a.txt")
    link.external_attr = 0o120777 << 16
    refused(pack(path, link), "symbolic link")
    assert "zip -0 -r" in refused(pack(path, "a.txt", compression=zipfile.ZIP_DEFLATED), "compressed").fix


def changed(path: Path, at: bytes, offset: int, value: int) -> Path:
    """Overwrite a byte behind the last place where something stands."""
    data = bytearray(path.read_bytes())
    data[data.rfind(at) + offset] = value
    path.write_bytes(data)
    return path


def test_damage_in_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "x.sfb"
    refused(changed(pack(path, "a.txt"), b"PK\x01\x02", 8, 1), "encrypted")
    refused(changed(pack(path, "a.txt"), b"hello", 1, 0), "damaged")
    refused(changed(pack(path, "a.txt"), b"PK\x03\x04", 30, ord("b")), "two names")
    refused(changed(pack(path, "a.txt"), b"PK\x01\x02", 42, 200), "does not lie in the file")
    refused(changed(pack(path, "a.txt"), b"PK\x01\x02", 46, 0), "holds a 0")
    refused(changed(pack(path, "a.txt"), b"PK\x05\x06", 10, 2), "not where it should be")
    path.write_bytes(END.pack(b"PK\x05\x06", 0, 0, 8193, 8193, 100, 0, 0))
    refused(path, "too many")
    path.write_bytes(END.pack(b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 100, 0, 0))
    refused(path, "zip64")


def test_what_is_told_of_a_hostile_name_is_text(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.sfb", "../aaaa")
    path.write_bytes(path.read_bytes().replace(b"aaaa", b"a\xff\xc3\x1b"))
    refused(path, r"its entry '\.\./a\?\?\?' climbs")
    refused(pack(path, "../" + "\u00e4" * 60), "\u00e4\\?' climbs")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_refused_or_leaves_the_bytes(tmp_path: Path, data: st.DataObject) -> None:
    path = pack(tmp_path / "x.sfb", "b.txt", "a.txt")
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole))) :]
    path.write_bytes(whole)
    try:
        assert read(path) == b"hello" * 10
    except RefusedError as error:
        assert error.status in (FILE, FORMAT)


def test_no_file_stays_open(folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"x" * 101)
    path = pack(folder / "x.sfb", "a.txt")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        refused(folder, "longer than")
        assert read(path)
        refused(path, "no such file", "b.txt")
    assert len(os.listdir("/proc/self/fd")) == before
