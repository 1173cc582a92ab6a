# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow_bench.gpu.slices import Slices, files_below, sha256_of, write_archive
from stillflow_bench.gpu.unpack import Joined


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 17))
def test_slices_joined_are_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], limit: int
) -> None:
    folder = tmp_path_factory.mktemp("slices")
    with Slices(folder, "a", limit) as cut:
        for piece in pieces:
            assert cut.write(piece) == len(piece)
    whole = b"".join(pieces)
    assert [path.stat().st_size for path in cut.paths] == [
        len(whole[i : i + limit]) for i in range(0, len(whole), limit)
    ]
    assert io.BufferedReader(Joined(cut.paths), 7).read() == whole
    for piece in cut.described():
        assert piece.sha256 == sha256_of(folder / piece.file)


def test_an_archive_is_the_same_for_the_same_files(tmp_path: Path) -> None:
    program = tmp_path / "run"
    program.write_bytes(b"#!/bin/sh\n" * 400)
    program.chmod(0o750)
    entries: list[tuple[str, Path | bytes]] = [("bin/run", program), ("note", b"text")]
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        slices = write_archive(tmp_path / name, "all", entries, 100, effort=0)
        assert all(piece.bytes <= 100 for piece in slices)
        made.append([(piece.file, piece.sha256) for piece in slices])
        paths = [tmp_path / name / piece.file for piece in slices]
        with tarfile.open(fileobj=io.BytesIO(b"".join(p.read_bytes() for p in paths)), mode="r:xz") as tar:
            assert [(m.name, m.mode, m.size) for m in tar] == [("bin/run", 0o755, 4000), ("note", 0o644, 4)]
    assert made[0] == made[1]


def test_caches_of_python_are_left_out(tmp_path: Path) -> None:
    for name in ("b.py", "a/__pycache__/a.pyc", "a/c.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert [name for name, _ in files_below(tmp_path, "x")] == ["x/a/c.py", "x/b.py"]
