# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from stillflow.errors import StillflowError
from stillflow_export.checkpoints.weights_file import read_weights, weights_path, write_weights

from .test_receipt import receipt

WEIGHTS = {"a": torch.arange(6).double().reshape(2, 3), "count": torch.tensor(3)}


def test_both_files_belong_together(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "weights"
    path, made = write_weights(folder, "x", WEIGHTS, receipt(), overwrite=False)
    assert sorted(p.name for p in folder.iterdir()) == ["x.json", "x.safetensors"]
    assert path.stat().st_mode == (folder / "x.json").stat().st_mode
    assert made.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    for name in ("x.json", "x.safetensors", "x"):
        weights, read = read_weights(folder / name)
        assert read == made
        assert weights["a"].dtype == torch.float32
        assert torch.equal(weights["a"], WEIGHTS["a"].float())
        assert weights["count"].dtype == torch.int64


def test_a_name_may_have_dots() -> None:
    assert weights_path(Path("w/v1.5")) == Path("w/v1.5.safetensors")
    assert weights_path(Path("w/v1.5.json")) == Path("w/v1.5.safetensors")


def test_nothing_is_replaced_unless_said(tmp_path: Path) -> None:
    write_weights(tmp_path, "x", WEIGHTS, receipt(), overwrite=False)
    with pytest.raises(StillflowError, match="there already") as caught:
        write_weights(tmp_path, "x", WEIGHTS, receipt(), overwrite=False)
    assert "--overwrite" in caught.value.fix
    write_weights(tmp_path, "x", WEIGHTS, receipt(width=7), overwrite=True)
    assert read_weights(tmp_path / "x")[1].width == 7


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StillflowError, match="cannot write"):
        write_weights(tmp_path / "file" / "w", "x", WEIGHTS, receipt(), overwrite=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
def test_a_disk_that_is_full_at_the_receipt_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, before = write_weights(tmp_path, "x", WEIGHTS, receipt(), overwrite=False)
    monkeypatch.setattr("os.getpid", lambda: 7)
    (tmp_path / ".x.7.receipt.part").symlink_to("/dev/full")
    with pytest.raises(StillflowError, match="No space left"):
        write_weights(tmp_path, "x", {"a": torch.zeros(2)}, receipt(), overwrite=True)
    weights, after = read_weights(tmp_path / "x")
    assert after == before
    assert weights.keys() == WEIGHTS.keys()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.json", "x.safetensors"]


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    write_weights(tmp_path, "x", WEIGHTS, receipt(), overwrite=False)
    data = bytearray((tmp_path / "x.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "x.safetensors").write_bytes(data)
    with pytest.raises(StillflowError, match=r"not the file that x\.json speaks of"):
        read_weights(tmp_path / "x")
    (tmp_path / "x.safetensors").unlink()
    with pytest.raises(StillflowError, match=r"x\.safetensors: No such file"):
        read_weights(tmp_path / "x")
    (tmp_path / "x.json").unlink()
    with pytest.raises(StillflowError, match=r"x\.json: No such file"):
        read_weights(tmp_path / "x")


def test_a_receipt_of_bytes_that_are_no_weights(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"garbage")
    digest = hashlib.sha256(b"garbage").hexdigest()
    from stillflow_export.checkpoints.receipt import encode_receipt

    (tmp_path / "x.json").write_bytes(encode_receipt(receipt(weights_sha256=digest)))
    with pytest.raises(StillflowError, match="no sound safetensors"):
        read_weights(tmp_path / "x")
