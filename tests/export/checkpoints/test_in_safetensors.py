# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stillflow.errors import StillflowError
from stillflow_export.checkpoints.restricted import Checkpoint


def test_tensors_are_listed_and_read(tmp_path: Path) -> None:
    save_file(
        {"a": torch.ones(2, 3), "half": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "a.safetensors"
    )
    with Checkpoint(tmp_path / "a.safetensors") as opened:
        assert opened.kind == "safetensors"
        assert opened.content["a"].shape == (2, 3)
        assert opened.read(opened.content["half"]).dtype == torch.bfloat16


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b'{"a":1}',
        b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}',
        b'{"a":{"dtype":"X"}}',
        b"[" * 50,
    ],
)
def test_damaged_headers_are_refused(header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(
        len(header).to_bytes(8, "little") + header.replace(b"[" * 50, b"{" + b"[" * 49) + b"1234"
    )
    with pytest.raises(StillflowError, match="no sound safetensors"):
        Checkpoint(path)


def test_a_header_longer_than_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes((1 << 60).to_bytes(8, "little") + b"{}")
    with pytest.raises(StillflowError, match="no sound safetensors"):
        Checkpoint(path)
