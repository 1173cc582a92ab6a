# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from stillflow.errors import StillflowError
from stillflow_export.checkpoints.restricted import Checkpoint

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)


def sample() -> dict[str, Any]:
    base = torch.arange(24).float()
    tensors = {str(dtype).removeprefix("torch."): torch.arange(6).reshape(2, 3).to(dtype) for dtype in DTYPES}
    tensors |= {"view": base[3:15].view(3, 4), "turned": base.view(4, 6).T, "strided": base[1::5]}
    tensors |= {
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "number": torch.tensor(2.5),
        "empty": torch.empty(0, 3),
    }
    return {"state_dict": tensors, "epoch": 3, "losses": [0.5, None]}


def saved(folder: Path, content: Any, *, legacy: bool) -> Path:
    path = folder / "checkpoint.pth"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.mark.parametrize("legacy", [False, True])
def test_everything_comes_back(legacy: bool, tmp_path: Path) -> None:
    content = sample()
    path = saved(tmp_path, content, legacy=legacy)
    with Checkpoint(path) as opened:
        assert opened.kind == ("legacy" if legacy else "zip")
        assert opened.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (opened.content["epoch"], opened.content["losses"]) == (3, [0.5, None])
        got = {name: opened.read(stored) for name, stored in opened.content["state_dict"].items()}
    for name, expected in content["state_dict"].items():
        assert got[name].dtype == expected.dtype
        assert torch.equal(got[name], expected), name


@pytest.mark.parametrize("legacy", [False, True])
def test_only_what_is_asked_for_is_read(legacy: bool, tmp_path: Path) -> None:
    content = {"big": torch.zeros(5_000_000), "small": torch.ones(3)}
    path = saved(tmp_path, content, legacy=legacy)
    with Checkpoint(path) as opened:
        small = opened.read(opened.content["small"])
    assert small.untyped_storage().nbytes() == 12


class Reducer:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_reducer_does_not_run(legacy: bool, tmp_path: Path) -> None:
    made = tmp_path / "made"
    path = saved(tmp_path, {"state_dict": {}, "x": Reducer(f"touch {made}")}, legacy=legacy)
    with pytest.raises(StillflowError, match=r"names (posix|nt)\.system, which is no tensor") as caught:
        Checkpoint(path)
    assert "safetensors" in caught.value.fix
    assert not made.exists()


def test_a_whole_network_is_refused_by_its_class(tmp_path: Path) -> None:
    path = saved(tmp_path, torch.nn.Linear(2, 2), legacy=False)
    with pytest.raises(StillflowError, match=r"names torch\.nn\.modules\.linear\.Linear"):
        Checkpoint(path)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(legacy: bool, share: float, tmp_path: Path) -> None:
    path = saved(tmp_path, {"a": torch.ones(2000)}, legacy=legacy)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(StillflowError, match="cannot read the checkpoint"):
        Checkpoint(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    for path, why in ((tmp_path, "no plain file"), (tmp_path / "none", "No such file")):
        with pytest.raises(StillflowError, match=why):
            Checkpoint(path)
    for content, why in (
        (b"", "empty"),
        (b"hello, world", "neither"),
        (b"\x80\x02K\x01.", "no checkpoint of torch"),
    ):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(StillflowError, match=why):
            Checkpoint(tmp_path / "x")


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("originals")
    content = {"state_dict": {"a": torch.ones(3, 2), "b": torch.zeros(4)}, "epoch": 1}
    found = {kind: saved(folder, content, legacy=kind == "legacy").read_bytes() for kind in ("zip", "legacy")}
    save_file(content["state_dict"], folder / "a.safetensors")
    return {**found, "safetensors": (folder / "a.safetensors").read_bytes()}


def read_all(value: Any, opened: Checkpoint) -> None:
    if isinstance(value, dict):
        for inner in value.values():
            if hasattr(inner, "shape"):
                opened.read(inner)
            elif isinstance(inner, dict):
                read_all(inner, opened)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["zip", "legacy", "safetensors"]))
def test_only_stillflow_errors_come_out_of_changed_files(
    originals: dict[str, bytes], data: st.DataObject, kind: str, tmp_path: Path
) -> None:
    content = bytearray(originals[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(content) - 1))
        what = data.draw(st.sampled_from(["change", "cut", "insert"]))
        if what == "change":
            content[place] = data.draw(st.integers(0, 255))
        elif what == "cut":
            del content[place : place + data.draw(st.integers(1, 30))]
        else:
            content[place:place] = data.draw(st.binary(max_size=12))
        if not content:
            break
    path = tmp_path / "changed"
    path.write_bytes(content)
    try:
        with Checkpoint(path) as opened:
            read_all(opened.content, opened)
    except StillflowError:
        pass
