# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stillflow.bundle import Bundle
from stillflow_export import cli, load
from stillflow_export.plan import Trained


def test_bundle_finds_the_weights_and_writes_what_verifies(folder: Path, capsys: Any) -> None:
    (folder / "runs/flow/flow.receipt.json").write_text(json.dumps({"step": 5, "validation": {}}))
    assert cli.main(["bundle", "-o", "out", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["outputs"]["plate"] == "push_pull"
    assert [gate["gate"] for gate in summary["gates"]] == ["A", "B"]
    bundle = Bundle.open(folder / "out")
    assert bundle.manifest.name == "out"
    assert [v.precision for v in bundle.graph("flow").all_variants] == ["fp32", "fp16"]
    assert all(check.ok for check in bundle.verify(precision="all"))
    assert json.loads(bundle.read("receipts/flow-training.json"))["step"] == 5


def test_float32_alone_can_be_asked_for(folder: Path, capsys: Any) -> None:
    assert cli.main(["bundle", "-o", "out", "--precision", "fp32", "--name", "mine", "--what", "a test"]) == 0
    manifest = Bundle.open(folder / "out").manifest
    assert (manifest.name, manifest.what) == ("mine", "a test")
    assert manifest.graphs[0].variants == ()


@pytest.mark.parametrize("words", [["-o", "ours", "--name", "../x"], ["-o", "two words"]])
def test_a_name_that_cannot_be_is_refused_before_the_work(
    words: list[str], folder: Path, capsys: Any
) -> None:
    assert cli.main(["bundle", *words]) == 2
    said = capsys.readouterr().err
    assert "cannot call the bundle" in said
    assert "exporting" not in said
    assert [p.name for p in folder.iterdir()] == ["runs"]


@pytest.mark.usefixtures("folder")
def test_without_any_weights(folder: Path, capsys: Any) -> None:
    (folder / "runs/flow/flow.safetensors").unlink()
    assert cli.main(["bundle"]) == 2
    assert "make train" in capsys.readouterr().err


@pytest.fixture
def imports(
    folder: Path, imported_flow: Trained, imported_generator: Trained, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Imported weights beside our own: one file holds both networks."""
    for ending in (".safetensors", ".json"):
        (folder / f"theirs{ending}").write_bytes(b"")
    both = Trained(
        plans=(*imported_generator.plans, *imported_flow.plans), source="a joint checkpoint", licence="MIT"
    )
    monkeypatch.setattr(load, "load_trained", lambda path: both)
    return folder


def test_imported_networks_make_no_default_bundle(imports: Path, capsys: Any) -> None:
    assert cli.main(["bundle", "--generator", "theirs.safetensors"]) == 2
    said = capsys.readouterr().err
    assert "-o FOLDER" in said
    assert sorted(p.name for p in imports.iterdir()) == ["runs", "theirs.json", "theirs.safetensors"]


def test_an_option_takes_its_own_graphs_of_a_file(
    imports: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    asked: list[list[str]] = []

    def instead(out: Path, networks: list[Trained], **options: Any) -> Any:
        asked.append([plan.name for trained in networks for plan in trained.plans])
        assert options["precisions"] == ("fp32",)
        raise KeyboardInterrupt

    monkeypatch.setattr("stillflow_export.bundle_writer.write_bundle", instead)
    flow, generator = ["--flow", "theirs.safetensors"], ["--generator", "theirs.safetensors"]
    for options in (
        flow,
        generator,
        [*flow, *generator],
        [*generator, "--flow", "runs/flow/flow.safetensors"],
    ):
        cli.main(["bundle", *options, "-o", "out"])
    assert asked == [
        ["scene_flow"],
        ["encoder", "decoder"],
        ["scene_flow", "encoder", "decoder"],
        ["flow", "encoder", "decoder"],
    ]
