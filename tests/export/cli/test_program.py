# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from torch import nn

from stillflow.bundle import Bundle, json_schema
from stillflow_export import bundle_writer, cli, onnx_export
from stillflow_export.networks import flow as flow_module
from stillflow_export.networks import generator as generator_module
from stillflow_export.onnx_export import ExportedGraph


@pytest.fixture
def folder(
    tmp_path: Path, flow_network: nn.Module, exported: ExportedGraph, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A working folder with weights in runs/, and the tiny network in place of the real one."""
    (tmp_path / "runs" / "flow").mkdir(parents=True)
    save_file(flow_network.state_dict(), tmp_path / "runs/flow/flow.safetensors")
    monkeypatch.setattr(flow_module, "load_flow_network", lambda path: flow_network)
    for module in (onnx_export, bundle_writer):
        monkeypatch.setattr(module, "export_onnx", lambda *a, **k: exported)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_bundle_finds_the_weights_and_writes_what_verifies(folder: Path, capsys: Any) -> None:
    (folder / "runs/flow/flow.receipt.json").write_text(json.dumps({"step": 5, "validation": {}}))
    assert cli.main(["bundle", "-o", "out", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["outputs"]["plate"] == "push_pull"
    assert summary["gates"][0]["passed"]
    bundle = Bundle.open(folder / "out")
    assert all(check.ok for check in bundle.verify())
    assert json.loads(bundle.read("receipts/flow-training.json"))["step"] == 5


def test_onnx_writes_graph_and_receipt(folder: Path, exported: ExportedGraph, capsys: Any) -> None:
    arguments = ["onnx", "flow", "--weights", "runs/flow/flow.safetensors", "-o", "flow.onnx"]
    assert cli.main(arguments) == 0
    assert (folder / "flow.onnx").read_bytes() == exported.data
    assert json.loads((folder / "flow.receipt.json").read_text())["passed"]
    assert "gate A flow.velocity: max" in capsys.readouterr().out


def test_schema(folder: Path) -> None:
    assert cli.main(["schema", "-o", "schema.json"]) == 0
    assert (folder / "schema.json").read_bytes() == json_schema()


MISTAKES = {
    "no such weights": (["bundle", "--flow", "none.safetensors"], "no such file"),
    "no such photos": (["bundle", "--photos", "none"], "not a folder"),
    "output without sign": (["bundle", "--output", "plate"], "no '='"),
    "unknown choice": (["bundle", "-o", "out", "--output", "plate=magic"], "not one of its choices"),
    "no such folder": (["bundle", "-o", "none/out"], "does not exist"),
    "unknown graph": (
        ["onnx", "sound", "--weights", "runs/flow/flow.safetensors", "-o", "y"],
        "belong to no network",
    ),
    "schema nowhere": (["schema", "-o", "none/x.json"], "cannot write"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_are_explained_with_code_2(kind: str, folder: Path, capsys: Any) -> None:
    arguments, why = MISTAKES[kind]
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert why in said
    assert "fix:" in said
    assert "Traceback" not in said
    assert sorted(p.name for p in folder.iterdir()) == ["runs"]


@pytest.mark.usefixtures("folder")
def test_without_any_weights(folder: Path, capsys: Any) -> None:
    (folder / "runs/flow/flow.safetensors").unlink()
    assert cli.main(["bundle"]) == 2
    assert "make train" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x10\0\0\0\0\0\0\0{}              "])
def test_files_that_are_no_weights(content: bytes, tmp_path: Path, capsys: Any) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(content)
    assert cli.main(["bundle", "--flow", str(bad), "-o", str(tmp_path / "out")]) == 2
    assert "cannot load the weights" in capsys.readouterr().err


def test_weights_of_another_network_name_the_tensor(tmp_path: Path, capsys: Any) -> None:
    other = generator_module.build_generator_network()
    save_file(other.state_dict(), tmp_path / "other.safetensors")
    assert (
        cli.main(["bundle", "--flow", str(tmp_path / "other.safetensors"), "-o", str(tmp_path / "out")]) == 2
    )
    assert "state_dict" in capsys.readouterr().err


def test_a_broken_receipt(folder: Path, capsys: Any) -> None:
    (folder / "runs/flow/flow.receipt.json").write_text("[1")
    assert cli.main(["bundle", "-o", "out"]) == 2
    assert "receipt" in capsys.readouterr().err
