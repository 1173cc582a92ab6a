# SPDX-License-Identifier: Apache-2.0
"""What a zip must not do; that sound ones are read is tested in test_restricted.py."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from stillflow.errors import StillflowError
from stillflow_export.checkpoints.restricted import Checkpoint


def saved(folder: Path, content: Any) -> Path:
    path = folder / "checkpoint.pth"
    torch.save(content, path)
    return path


def rewritten(path: Path, change: Any, *, compression: int = zipfile.ZIP_STORED) -> Path:
    """The zip with entries as ``change`` wants them: name and bytes to a list of names and bytes."""
    out = path.with_name("other.pth")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", compression) as new:
        for entry in old.infolist():
            for name, data in change(entry.filename, old.read(entry)):
                new.writestr(name, data)
    return out


ZIPS: dict[str, tuple[Any, str]] = {
    "no pickle": (lambda n, d: [] if n.endswith("data.pkl") else [(n, d)], "0 files data.pkl"),
    "two pickles": (
        lambda n, d: [(n, d), (f"b/{n}", d)] if n.endswith("data.pkl") else [(n, d)],
        "2 files data.pkl",
    ),
    "big-endian": (lambda n, d: [(n, b"big" if n.endswith("byteorder") else d)], "big-endian"),
    "storage of another length": (lambda n, d: [(n, d + b"1234" if "/data/" in n else d)], "takes"),
    "no storages": (lambda n, d: [] if "/data/" in n else [(n, d)], "no entry"),
    "not a pickle": (lambda n, d: [(n, b"#" if n.endswith("data.pkl") else d)], "pickle is damaged"),
}


@pytest.mark.parametrize("kind", ZIPS)
def test_odd_zips_are_refused(kind: str, tmp_path: Path) -> None:
    change, why = ZIPS[kind]
    path = rewritten(saved(tmp_path, {"a": torch.ones(3)}), change)
    with pytest.raises(StillflowError, match=why), Checkpoint(path) as opened:
        opened.read(opened.content["a"])


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a": torch.zeros(1_000_000)})
    bomb = rewritten(path, lambda n, d: [(n, d)], compression=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 20_000
    with pytest.raises(StillflowError, match="is compressed"):
        Checkpoint(bomb)


def test_overlapping_entries_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a": torch.zeros(100), "b": torch.zeros(100), "c": torch.zeros(100)})
    data = bytearray(path.read_bytes())
    # Every entry of the central directory claims 4000 bytes.
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        struct.pack_into("<2I", data, at + 20, 4000, 4000)
        at = data.find(b"PK\x01\x02", at + 4)
    path.write_bytes(data)
    with pytest.raises(StillflowError, match="overlap"):
        Checkpoint(path)


def test_a_flipped_number_is_noticed(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a": torch.full((100,), 1.5)})
    data = bytearray(path.read_bytes())
    place = data.find(struct.pack("<4f", 1.5, 1.5, 1.5, 1.5))
    data[place + 2] ^= 0x40
    path.write_bytes(data)
    with Checkpoint(path) as opened, pytest.raises(StillflowError, match="check sum"):
        opened.read(opened.content["a"])
