# SPDX-License-Identifier: Apache-2.0
"""What a file from before torch 1.6 must not do; that sound ones are read is tested in test_restricted.py."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from stillflow.errors import StillflowError
from stillflow_export.checkpoints.restricted import Checkpoint
from stillflow_export.checkpoints.torch_legacy import MAGIC, PROTOCOL


def written(folder: Path, *pickles: Any, rest: bytes = b"") -> Path:
    path = folder / "checkpoint.pth"
    path.write_bytes(b"".join(pickle.dumps(value, 2) for value in pickles) + rest)
    return path


SYSTEM = {"little_endian": True, "type_sizes": {"short": 2}}

ODD: dict[str, tuple[tuple[Any, ...], str]] = {
    "another magic": ((1, PROTOCOL, SYSTEM, {}, []), "no checkpoint of torch"),
    "another protocol": ((MAGIC, 7, SYSTEM, {}, []), "unknown or big-endian"),
    "big-endian": ((MAGIC, PROTOCOL, {"little_endian": False}, {}, []), "unknown or big-endian"),
    "a system that says nothing": ((MAGIC, PROTOCOL, [], {}, []), "unknown or big-endian"),
    "no list of storages": ((MAGIC, PROTOCOL, SYSTEM, {}, {}), "does not list its storages"),
    "storages named by numbers": ((MAGIC, PROTOCOL, SYSTEM, {}, [3]), "does not list its storages"),
    "storages that are not there": ((MAGIC, PROTOCOL, SYSTEM, {}, ["0"]), "truncated"),
    "pickles that end early": ((MAGIC, PROTOCOL, SYSTEM), "pickle is damaged"),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_files_are_refused(kind: str, tmp_path: Path) -> None:
    pickles, why = ODD[kind]
    with pytest.raises(StillflowError, match=why):
        Checkpoint(written(tmp_path, *pickles))


def test_a_file_without_tensors_is_read(tmp_path: Path) -> None:
    with Checkpoint(written(tmp_path, MAGIC, PROTOCOL, SYSTEM, {"epoch": 3}, [])) as opened:
        assert opened.content == {"epoch": 3}


@pytest.mark.parametrize("count", [-1, 0, 999, 1 << 62])
def test_a_storage_of_another_length_is_refused(count: int, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pth"
    torch.save({"a": torch.full((3,), 1.5)}, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    numbers = struct.pack("<q3f", 3, 1.5, 1.5, 1.5)
    assert data.endswith(numbers)
    path.write_bytes(data.removesuffix(numbers) + struct.pack("<q3f", count, 1.5, 1.5, 1.5))
    with pytest.raises(StillflowError, match="its pickle says otherwise"):
        Checkpoint(path)
