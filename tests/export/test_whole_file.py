# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from stillflow.errors import StillflowError
from stillflow_export.whole_file import check_text_file, write_text, write_whole


def test_written_whole_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    for text in ("one", "two \ud800"):
        check_text_file(path, (".html",))
        write_text(path, text)
    assert path.read_bytes() == b"two ?"
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]


def test_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "d.html").mkdir()
    for name, why in (
        ("photo.jpg", "ends in '.jpg'"),
        ("none/a.html", "does not exist"),
        ("d.html", "a folder"),
    ):
        with pytest.raises(StillflowError, match=why):
            check_text_file(tmp_path / name, (".html", ".htm"))


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(StillflowError, match="not a plain file"):
        write_whole(tmp_path / "pipe.json", b"x")
    assert (tmp_path / "pipe.json").is_fifo()


def test_a_folder_that_went_away(tmp_path: Path) -> None:
    with pytest.raises(StillflowError, match="no such file or directory"):
        write_text(tmp_path / "none" / "a.html", "x")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_whole(path, b"before")
    monkeypatch.setattr("os.getpid", lambda: 7)
    (tmp_path / ".a.json.7.part").symlink_to("/dev/full")
    with pytest.raises(StillflowError, match="no space left"):
        write_whole(path, b"after")
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
