# SPDX-License-Identifier: Apache-2.0
"""The recipes of the flow network's two halves, a few steps long, broken off and resumed; then joined and measured."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from stillflow.errors import StillflowError
from stillflow_export.networks.flow import load_flow_network
from stillflow_training.classes_recipe import classes, phase_at, rate_at
from stillflow_training.classes_recipe import train as train_classes
from stillflow_training.flow_recipe import flow
from stillflow_training.labels import read_labels
from stillflow_training.run_folder import open_run
from stillflow_training.velocity_recipe import train as train_velocity
from stillflow_training.velocity_recipe import velocity

PHASES = [
    {"until": 1, "height": 32, "width": 64, "batch": 2},
    {"until": 9, "height": 64, "width": 96, "batch": 2},
]
TINY: dict[str, dict[str, Any]] = {
    "classes": {"steps": 2, "phases": PHASES, "validate_every": 1, "long_side": 96},
    "velocity": {
        "steps": 2, "height": 64, "width": 96, "views": 2, "scenes": 2, "pool": 24, "checks": 1,
        "validate_every": 1, "long_side": 96,
    },
}  # fmt: skip
TRAIN = {"classes": train_classes, "velocity": train_velocity}
COMMANDS = {"classes": classes, "velocity": velocity}


def settings(name: str, **more: object) -> dict[str, Any]:
    package = importlib.import_module("stillflow_training")
    path = Path(str(package.__file__)).with_name("configs") / f"{name}.json"
    return {**json.loads(path.read_text()), **TINY[name], **more}


@pytest.fixture(scope="module")
def runs(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A short run of each half, by its command."""
    folder = tmp_path_factory.mktemp("runs")
    for name, command in COMMANDS.items():
        (folder / f"{name}.json").write_text(json.dumps(settings(name)))
        arguments = ["--data", str(labelled), "--out", str(folder / name), "--threads", "1"]
        result = CliRunner().invoke(
            command, [*arguments, "--config", str(folder / f"{name}.json")], catch_exceptions=False
        )
        assert result.exit_code == 0, result.output
    return {name: folder / name for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_run_ends_in_weights_receipt_and_curve(runs: dict[str, Path], name: str) -> None:
    names = {path.name for path in runs[name].iterdir()}
    assert {f"{name}.safetensors", f"{name}.receipt.json", f"{name}.curve.png", "checkpoint.pt"} <= names
    receipt = json.loads((runs[name] / f"{name}.receipt.json").read_text())
    assert receipt["config"]["steps"] == 2
    assert receipt["validation"]
    assert receipt["photos"]
    assert all(credit["file"].endswith("_train.jpg") for credit in receipt["photos"])


@pytest.mark.parametrize("name", COMMANDS)
def test_a_broken_run_ends_in_the_same_weights(name: str, labelled: Path, tmp_path: Path) -> None:
    photos = [p for p in read_labels(labelled, 96) if p.split == "train"]
    config = settings(name, steps=4, validate_every=2, bfloat16=False)
    whole, broken = open_run(tmp_path / "whole", labelled), open_run(tmp_path / "broken", labelled)
    TRAIN[name](whole, photos, config)

    class StopError(Exception):
        pass

    def stop(step: int, terms: dict[str, float]) -> None:
        if step == 2:
            raise StopError

    broken.log = stop  # type: ignore[method-assign]
    with pytest.raises(StopError):
        TRAIN[name](broken, photos, config)
    TRAIN[name](open_run(tmp_path / "broken", labelled), photos, config)
    states = [torch.load(run.folder / "checkpoint.pt", weights_only=True) for run in (whole, broken)]
    assert states[0]["step"] == states[1]["step"] == 4
    for key, value in states[0]["average"].items():
        assert torch.equal(value, states[1]["average"][key]), key


def test_halves_are_joined_and_measured(runs: dict[str, Path], labelled: Path, tmp_path: Path) -> None:
    out = tmp_path / "flow"
    arguments = [
        "--data",
        str(labelled),
        "--out",
        str(out),
        "--long-side",
        "96",
        "--scenes",
        "2",
        "--threads",
        "1",
    ]
    arguments += ["--classes", str(runs["classes"]), "--velocity", str(runs["velocity"])]
    result = CliRunner().invoke(flow, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    receipt = json.loads((out / "flow.receipt.json").read_text())
    assert {"iou_moves", "suited_agreement", "velocity_error", "angle_median_unguided"} <= set(
        receipt["validation"]
    )
    assert receipt["config"]["classes"]["step"] in (1, 2)
    network = load_flow_network(out / "flow.safetensors")
    assert all(bool(torch.isfinite(v).all()) for v in network.state_dict().values())
    assert list(out.glob("sheet-*.png"))


def test_a_missing_half_is_named(labelled: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(labelled), "--out", str(tmp_path), "--classes", str(tmp_path)]
    with pytest.raises(StillflowError, match="classes network"):
        CliRunner().invoke(flow, [*arguments, "--velocity", str(tmp_path)], catch_exceptions=False)


@pytest.mark.parametrize("command", COMMANDS.values())
def test_without_data_it_says_so(command: Any, tmp_path: Path) -> None:
    with pytest.raises(StillflowError, match="--data"):
        CliRunner().invoke(command, ["--out", str(tmp_path)], catch_exceptions=False)


def test_phases_and_rates_follow_the_steps() -> None:
    config = {"phases": PHASES, "steps": 1000, "rate": 1.0}
    assert [phase_at(config, step)["height"] for step in (0, 1, 8, 999)] == [32, 64, 64, 64]
    rates = [rate_at(config, step) for step in range(1000)]
    assert rates[0] < 0.01
    assert rates.index(max(rates)) == 199
    assert rates[-1] < 0.02
