# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from stillflow.errors import StillflowError
from stillflow_export.checkpoints.importer import import_checkpoint
from stillflow_export.load import load_trained, trained_weights
from stillflow_export.networks.flow import build_flow_network
from stillflow_export.networks.generator import build_generator_network
from stillflow_export.plan import Trained

from .published_checkpoints import random_checkpoint


def imported(folder: Path, family: str, width: int, source: str = "slr", **said: Any) -> Path:
    path, _ = random_checkpoint(family, folder, width, source=source, **said)
    return import_checkpoint(path, folder / "weights", name="x")[0].weights


def names(trained: Trained) -> list[str]:
    return [plan.name for plan in trained.plans]


def test_a_generator_becomes_two_graphs(tmp_path: Path) -> None:
    weights = imported(tmp_path, "generator", 4, options={"no_clamp_Z": None})
    trained = load_trained(weights)
    assert names(trained) == ["encoder", "decoder"]
    assert trained.weights == weights
    assert trained.loop == {"rule": "symmetric_splat", "weight_floor": -20.0, "edge_share": 0.0}
    assert trained.licence == "LicenseRef-SLR-SFS-none-granted"
    assert "no licence" in trained.licence_note
    assert trained.source.startswith("imported from SLR-SFS, checkpoint.pth, sha256 ")
    assert str(tmp_path) not in trained.source
    assert trained.receipt is not None
    assert trained.receipt["tensors"]["used"] == 452
    assert json.loads(json.dumps(trained.receipt)) == trained.receipt
    assert not any(plan.network.training for plan in trained.plans)


def test_layers_become_five_graphs(tmp_path: Path) -> None:
    trained = load_trained(imported(tmp_path, "layered", 4))
    assert names(trained) == ["encoder", "decoder", "background", "alpha_encoder", "alpha_decoder"]
    assert trained.loop["edge_share"] == 1 / 600


@pytest.mark.parametrize("source", ["slr", "t2c", "3dc"])
def test_a_flow_network_becomes_one_graph(source: str, tmp_path: Path) -> None:
    trained = load_trained(imported(tmp_path, "hinted_flow", 8, source))
    assert names(trained) == ["scene_flow"]
    assert trained.loop == {}
    (plan,) = trained.plans
    ranges = {tensor.name: tensor.range for tensor in (*plan.inputs, *plan.outputs)}
    # Hints of text2cinemagraph are velocities over 64: the same share of either range is the same speed.
    bounds = (None, None) if source != "t2c" else ((-1.0, 1.0), (-64.0, 64.0))
    assert (ranges["hint"], ranges["velocity"]) == bounds


def test_our_own_networks_come_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    flow, generator = build_flow_network().eval(), build_generator_network().eval()
    for name, network in (("flow", flow), ("generator", generator)):
        save_file(network.state_dict(), tmp_path / f"{name}.safetensors")
        import_checkpoint(tmp_path / f"{name}.safetensors", tmp_path / "w", name=name)
    trained = load_trained(tmp_path / "w" / "flow.json")
    photo, hints = torch.rand(1, 3, 64, 64), torch.rand(1, 6, 64, 64)
    with torch.no_grad():
        for got, expected in zip(trained.plans[0].network(photo, hints), flow(photo, hints), strict=True):
            assert torch.equal(got, expected)
    assert names(load_trained(tmp_path / "w" / "generator")) == ["generator"]
    assert trained.licence == "Apache-2.0"


def told_otherwise(weights: Path, **fields: Any) -> None:
    receipt = weights.with_suffix(".json")
    receipt.write_text(json.dumps({**json.loads(receipt.read_text()), **fields}))


def rewritten(weights: Path, change: Any) -> None:
    tensors = load_file(weights)
    change(tensors)
    save_file(tensors, weights)
    told_otherwise(weights, weights_sha256=hashlib.sha256(weights.read_bytes()).hexdigest())


def nan(tensors: dict[str, torch.Tensor]) -> None:
    tensors["up.0.bias"][3] = float("nan")


CHANGED: dict[str, tuple[Any, str]] = {
    "missing": (
        lambda t: t.pop("up.7.bias"),
        r"1 tensors are missing, misshapen or too many, such as up\.7\.bias",
    ),
    "extra": (lambda t: t.update(more=torch.zeros(1)), "such as more"),
    "misshapen": (lambda t: t.update({"down.0.bias": torch.zeros(3)}), r"such as down\.0\.bias"),
    "NaN": (nan, r"up\.0\.bias holds NaN"),
}


@pytest.mark.parametrize("kind", CHANGED)
def test_changed_weights_are_refused(kind: str, tmp_path: Path) -> None:
    weights = imported(tmp_path, "hinted_flow", 8)
    change, why = CHANGED[kind]
    rewritten(weights, change)
    with pytest.raises(StillflowError, match=why) as caught:
        load_trained(weights)
    assert "import the checkpoint again" in caught.value.fix


TOLD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown family": ({"family": "magic"}, "family is 'magic'"),
    "another family": ({"family": "feature_generator"}, "missing, misshapen or too many"),
    "another width": ({"width": 16}, "missing, misshapen or too many"),
    "huge width": ({"width": 4096}, "missing, misshapen or too many"),
    "a width that cannot be": ({"width": 9}, "a width of 9"),
    "no scale": ({"options": {}}, "option scale is None"),
    "senseless scale": ({"options": {"scale": 0, "hint_scale": 1.0}}, "option scale is 0"),
    "scale that is no number": ({"options": {"scale": "1", "hint_scale": 1.0}}, "option scale is 1"),
}


@pytest.mark.parametrize("kind", TOLD)
def test_receipts_that_tell_otherwise_are_refused(kind: str, tmp_path: Path) -> None:
    weights = imported(tmp_path, "hinted_flow", 8)
    fields, why = TOLD[kind]
    told_otherwise(weights, **fields)
    with pytest.raises(StillflowError, match=why):
        load_trained(weights)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x10\0\0\0\0\0\0\0{}              "])
def test_files_that_are_no_weights(content: bytes, tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(content)
    for graph in ("flow", None):
        with pytest.raises(StillflowError, match="cannot load the weights"):
            trained_weights(bad, graph)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file(build_generator_network().state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(StillflowError, match="state_dict") as caught:
        trained_weights(tmp_path / "other.safetensors", "flow")
    assert "fix" not in caught.value.why


@pytest.mark.parametrize("name", ["flow", "generator"])
def test_our_networks_are_told_by_their_tensors(name: str, tmp_path: Path) -> None:
    build = {"flow": build_flow_network, "generator": build_generator_network}[name]
    save_file(build().state_dict(), tmp_path / "weights.safetensors")
    (tmp_path / "weights.receipt.json").write_text(json.dumps({"step": 5, "command": "train"}))
    trained = trained_weights(tmp_path / "weights.safetensors")
    assert [plan.name for plan in trained.plans] == [name]
    assert trained.source == "trained from nothing by `train`, 5 steps"
    assert trained.weights == tmp_path / "weights.safetensors"


def test_imported_weights_are_those_with_a_json_beside(tmp_path: Path) -> None:
    trained = trained_weights(imported(tmp_path, "generator", 8))
    assert names(trained) == ["encoder", "decoder"]
    assert "none-granted" in trained.licence
    assert not any(plan.half_weights for plan in trained.plans)
