# SPDX-License-Identifier: Apache-2.0
"""Short runs of the flow network's two halves."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from click.testing import CliRunner

from stillflow_training.labels import read_labels
from stillflow_training.run_folder import open_run

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


def settings(name: str, **more: object) -> dict[str, Any]:
    package = importlib.import_module("stillflow_training")
    path = Path(str(package.__file__)).with_name("configs") / f"{name}.json"
    return {**json.loads(path.read_text()), **TINY[name], **more}


def short_run(name: str, command: click.Command, data: Path, folder: Path) -> Path:
    """Run a recipe for two steps by its command; returns the run's folder."""
    (folder / f"{name}.json").write_text(json.dumps(settings(name)))
    arguments = ["--data", str(data), "--out", str(folder / name), "--threads", "1"]
    arguments += ["--config", str(folder / f"{name}.json")]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder / name


def check_run(name: str, run: Path) -> None:
    """Weights, receipt and curve are there and say what they must."""
    names = {path.name for path in run.iterdir()}
    assert {f"{name}.safetensors", f"{name}.receipt.json", f"{name}.curve.png", "checkpoint.pt"} <= names
    receipt = json.loads((run / f"{name}.receipt.json").read_text())
    assert receipt["config"]["steps"] == 2
    assert receipt["validation"]
    assert receipt["photos"]
    assert all(credit["file"].endswith("_train.jpg") for credit in receipt["photos"])


def check_resumed(name: str, train: Callable[..., Any], data: Path, folder: Path) -> None:
    """A run that is broken off and resumed ends in the weights of an unbroken one."""
    photos = [p for p in read_labels(data, 96) if p.split == "train"]
    config = settings(name, steps=4, validate_every=2, bfloat16=False)
    whole, broken = open_run(folder / "whole", data), open_run(folder / "broken", data)
    train(whole, photos, config)

    class StopError(Exception):
        pass

    def stop(step: int, terms: dict[str, float]) -> None:
        if step == 2:
            raise StopError

    broken.log = stop  # type: ignore[method-assign]
    with pytest.raises(StopError):
        train(broken, photos, config)
    train(open_run(folder / "broken", data), photos, config)
    states = [torch.load(run.folder / "checkpoint.pt", weights_only=True) for run in (whole, broken)]
    assert states[0]["step"] == states[1]["step"] == 4
    for key, value in states[0]["average"].items():
        assert torch.equal(value, states[1]["average"][key]), key
