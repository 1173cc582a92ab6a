# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from stillflow.errors import StillflowError
from stillflow_export import cli
from stillflow_export.cli.inputs import photos_in, trained_weights, with_weights_stored
from stillflow_export.graphs import own_trained
from stillflow_export.networks.flow import build_flow_network
from stillflow_export.networks.generator import build_generator_network

from ..published_checkpoints import random_checkpoint


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x10\0\0\0\0\0\0\0{}              "])
def test_files_that_are_no_weights(content: bytes, tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(content)
    for graph in ("flow", None):
        with pytest.raises(StillflowError, match="cannot load the weights"):
            trained_weights(bad, graph)


def test_weights_of_another_network_name_the_tensor(tmp_path: Path) -> None:
    save_file(build_generator_network().state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(StillflowError, match="state_dict"):
        trained_weights(tmp_path / "other.safetensors", "flow")


@pytest.mark.parametrize("name", ["flow", "generator"])
def test_our_networks_are_told_by_their_tensors(name: str, tmp_path: Path) -> None:
    build = {"flow": build_flow_network, "generator": build_generator_network}[name]
    save_file(build().state_dict(), tmp_path / "weights.safetensors")
    (tmp_path / "weights.receipt.json").write_text(json.dumps({"step": 5, "command": "train"}))
    trained = trained_weights(tmp_path / "weights.safetensors")
    assert [plan.name for plan in trained.plans] == [name]
    assert trained.source == "trained from nothing by `train`, 5 steps"
    assert trained.weights == tmp_path / "weights.safetensors"


def test_a_broken_receipt(tmp_path: Path) -> None:
    save_file(build_generator_network().state_dict(), tmp_path / "weights.safetensors")
    for content in ("[1", "[1]"):
        (tmp_path / "weights.receipt.json").write_text(content)
        with pytest.raises(StillflowError, match="receipt"):
            trained_weights(tmp_path / "weights.safetensors")


def test_imported_weights_are_those_with_a_json_beside(tmp_path: Path, capsys: Any) -> None:
    random_checkpoint("generator", tmp_path, 8)
    made = ["import", str(tmp_path / "checkpoint.pth"), "-o", str(tmp_path / "weights"), "--name", "theirs"]
    assert cli.main(made) == 0
    trained = trained_weights(tmp_path / "weights" / "theirs.safetensors")
    assert [plan.name for plan in trained.plans] == ["encoder", "decoder"]
    assert "none-granted" in trained.licence
    assert not any(plan.half_weights for plan in trained.plans)


def test_how_weights_are_stored_can_be_said() -> None:
    trained = own_trained("flow", build_flow_network())
    assert with_weights_stored(trained, None) is trained
    assert not with_weights_stored(trained, False).plans[0].half_weights
    assert with_weights_stored(with_weights_stored(trained, False), True).plans[0].half_weights


def test_photos_are_pictures_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in photos_in(tmp_path)] == ["a.PNG", "b.jpg"]
    with pytest.raises(StillflowError, match="not a folder"):
        photos_in(tmp_path / "none")
