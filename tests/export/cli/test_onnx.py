# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from stillflow_export import cli, load
from stillflow_export.onnx_export import ExportedGraph
from stillflow_export.plan import Trained

WEIGHTS = "runs/flow/flow.safetensors"


def test_onnx_writes_graph_and_receipt(folder: Path, exported: ExportedGraph, capsys: Any) -> None:
    assert cli.main(["onnx", "flow", "--weights", WEIGHTS, "-o", "flow.onnx"]) == 0
    assert (folder / "flow.onnx").read_bytes() == exported.data
    assert json.loads((folder / "flow.receipt.json").read_text())["passed"]
    said = capsys.readouterr()
    assert "gate A flow.velocity: max" in said.out
    assert "exporting flow" in said.err


def test_other_precisions_go_beside(folder: Path, capsys: Any) -> None:
    assert (
        cli.main(["onnx", "flow", "--weights", WEIGHTS, "-o", "flow.onnx", "--precision", "fp16", "--json"])
        == 0
    )
    summary = json.loads(capsys.readouterr().out)
    assert summary["fp16_bytes"] == (folder / "flow.fp16.onnx").stat().st_size
    assert [gate["gate"] for gate in summary["gates"]] == ["A", "B"]
    assert json.loads((folder / "flow.fp16.receipt.json").read_text())["precision"] == "fp16"


@pytest.fixture
def imported(tmp_path: Path, imported_generator: Trained, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights with the json that an import leaves beside them, of a tiny generator."""
    for ending in (".safetensors", ".json"):
        (tmp_path / f"theirs{ending}").write_bytes(b"")
    monkeypatch.setattr(load, "load_trained", lambda path: imported_generator)
    monkeypatch.chdir(tmp_path)  # away from samples/
    return tmp_path / "theirs.safetensors"


def test_all_graphs_of_imported_weights_go_into_a_folder(imported: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "graphs"
    arguments = ["onnx", "--weights", str(imported), "-o", str(out), "--json"]
    assert cli.main(arguments) == 0
    summary = json.loads(capsys.readouterr().out)
    assert [entry["graph"] for entry in summary["graphs"]] == ["encoder", "decoder"]
    assert sorted(p.name for p in out.iterdir()) == [
        "decoder.onnx", "decoder.receipt.json", "encoder.onnx", "encoder.receipt.json",
    ]  # fmt: skip
    said = {e.key: e.value for e in onnx.load(out / "decoder.onnx").metadata_props}
    assert said["multiple"] == "8"
    assert said["halo"] == "2"
    assert "none-granted" in said["licence"]
    assert len(said["weights_sha256"]) == 64
    for output in summary["gates"][1]["outputs"].values():
        assert output["max_abs"] <= 1e-4


def test_a_graph_that_the_weights_do_not_hold(imported: Path, tmp_path: Path, capsys: Any) -> None:
    assert cli.main(["onnx", "flow", "--weights", str(imported), "-o", str(tmp_path / "x.onnx")]) == 2
    assert "name one of encoder, decoder" in capsys.readouterr().err


def test_the_summary_names_gate_and_precision(folder: Path, capsys: Any) -> None:
    assert cli.main(["onnx", "flow", "--weights", WEIGHTS, "-o", "flow.onnx", "--precision", "fp16"]) == 0
    said = capsys.readouterr().out
    assert "gate A flow.velocity: max" in said
    assert "gate B fp16 flow.velocity: max" in said


def test_where_nothing_can_be_written_no_work_is_done(folder: Path, capsys: Any) -> None:
    assert cli.main(["onnx", "flow", "--weights", WEIGHTS, "-o", "none/flow.onnx"]) == 2
    said = capsys.readouterr().err
    assert "does not exist" in said
    assert "exporting" not in said


def test_int8_wants_photos_to_calibrate_with(folder: Path, capsys: Any) -> None:
    assert cli.main(["onnx", "flow", "--weights", WEIGHTS, "-o", "flow.onnx", "--int8"]) == 2
    assert "--calibration" in capsys.readouterr().err


def test_a_name_without_an_ending_is_a_folder_also_for_one_graph(
    folder: Path, exported: ExportedGraph, capsys: Any
) -> None:
    assert cli.main(["onnx", "flow", "--weights", WEIGHTS, "-o", "graphs/", "--json"]) == 0
    assert (folder / "graphs" / "flow.onnx").read_bytes() == exported.data
    assert [entry["graph"] for entry in json.loads(capsys.readouterr().out)["graphs"]] == ["flow"]


def test_the_command_keeps_it_only_when_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    limits = importlib.import_module("stillflow_export.gates.gate_b").LIMITS
    monkeypatch.setitem(limits, "fp16", type(limits["fp16"])(peak=1e-9, rms=1e-9))
    arguments = ["onnx", "flow", "--weights", WEIGHTS, "--precision", "fp16"]
    for name, keep in (("a", []), ("b", ["--keep-failed"])):
        assert cli.main([*arguments, "-o", f"{name}/", *keep]) == 2
        assert "fails gate B" in capsys.readouterr().err
    assert sorted(p.name for p in (folder / "a").iterdir()) == ["flow.onnx", "flow.receipt.json"]
    kept = {p.name for p in (folder / "b").iterdir()}
    assert {"flow.fp16.failed.onnx", "flow.fp16.failed.npz"} <= kept
    assert "flow.fp16.onnx" not in kept
