# SPDX-License-Identifier: Apache-2.0
"""Outputs of a batch: all of them get their names, or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow.video import Batch, open_sink

FRAME = np.full((16, 24, 3), 90, np.uint8)


def write(batch: Batch, path: str) -> int:
    with batch.hold(open_sink(path, width=24, height=16, fps=8)) as sink:
        sink.write(FRAME)
        return sink.close()


def visible(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def test_names_appear_with_the_commit(tmp_path: Path) -> None:
    with Batch() as batch:
        sizes = [write(batch, f"{tmp_path}/{name}") for name in ("a.gif", "b.mp4", "c/", "d.rgb")]
        assert visible(tmp_path) == []
        assert batch.commit() == sizes
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["a.gif", "b.mp4", "c", "d.rgb"]
    assert sizes[0] == (tmp_path / "a.gif").stat().st_size
    assert sizes[3] == 16 * 24 * 3


def interrupted(folder: Path) -> None:
    with Batch() as batch:
        write(batch, f"{folder}/a.gif")
        write(batch, f"{folder}/c/")
        raise KeyboardInterrupt


def test_without_a_commit_nothing_stays(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(b"precious")
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.gif"]
    assert (tmp_path / "a.gif").read_bytes() == b"precious"


def test_an_aborted_sink_is_not_named(tmp_path: Path) -> None:
    with Batch() as batch:
        write(batch, f"{tmp_path}/a.gif")
        batch.hold(open_sink(f"{tmp_path}/b.gif", width=24, height=16, fps=8)).abort()
        assert len(batch.commit()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.gif"]


def refused_in_the_middle(folder: Path) -> None:
    with Batch() as batch:
        for name in ("a.gif", "b.gif", "c.gif"):
            write(batch, f"{folder}/{name}")
        (folder / "b.gif").mkdir()
        (folder / "b.gif" / "full").touch()
        batch.commit()


def test_a_refused_name_is_an_error_and_the_rest_is_removed(tmp_path: Path) -> None:
    with pytest.raises(StillflowError, match="cannot write"):
        refused_in_the_middle(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gif", "b.gif"]
