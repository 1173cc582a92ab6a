# SPDX-License-Identifier: Apache-2.0
"""The writing of a bundle in one stroke is tested in test_bundle_writer.py, which interrupts it."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow_export.bundle_parts import Parts, as_json, as_npz, parts_for


def test_files_are_put_down_and_listed_in_order(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "new")
    digest = parts.add("vectors/b.npz", b"two")
    parts.add_receipt("gate-a", "flow", "what was measured", {"b": 1, "a": 2})
    parts.add_receipt("outputs", None, "who makes what", {})
    assert digest == hashlib.sha256(b"two").hexdigest()
    assert [f.path for f in parts.listed()] == [
        "receipts/flow-gate-a.json",
        "receipts/outputs.json",
        "vectors/b.npz",
    ]
    assert [(r.kind, r.graph, r.file) for r in parts.receipts] == [
        ("gate-a", "flow", "receipts/flow-gate-a.json"),
        ("outputs", None, "receipts/outputs.json"),
    ]
    for file in parts.listed():
        data = (tmp_path / "new" / file.path).read_bytes()
        assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_one_name_is_one_file(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    parts.add("a.txt", b"one")
    parts.add("a.txt", b"one")
    with pytest.raises(ValueError, match="two files want to be"):
        parts.add("a.txt", b"two")
    assert (tmp_path / "a.txt").read_bytes() == b"one"


def test_nothing_stays_when_nothing_was_published(tmp_path: Path) -> None:
    with parts_for(tmp_path / "made") as parts:
        parts.add("a.txt", b"one")
        assert [p.name for p in tmp_path.iterdir()] != []
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_disk_is_explained_and_leaves_nothing(tmp_path: Path) -> None:
    def fill_the_disk() -> None:
        with parts_for(tmp_path / "made") as parts:
            parts.add("a.txt", b"one")
            raise OSError(28, "No space left on device")

    with pytest.raises(StillflowError, match="No space left") as caught:
        fill_the_disk()
    assert caught.value.fix
    assert list(tmp_path.iterdir()) == []


def test_json_and_arrays_are_the_same_bytes_every_time() -> None:
    assert (
        as_json({"b": 1.5, "a": [2]})
        == as_json({"a": [2], "b": 1.5})
        == b'{\n "a": [\n  2\n ],\n "b": 1.5\n}\n'
    )
    with pytest.raises(ValueError, match="JSON"):
        as_json(float("nan"))
    arrays = {"input.x": np.arange(6, dtype=np.float32).reshape(2, 3)}
    data = as_npz(arrays)
    assert data == as_npz(arrays)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    with np.load(io.BytesIO(data)) as read:
        np.testing.assert_array_equal(read["input.x"], arrays["input.x"])
