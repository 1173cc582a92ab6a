# SPDX-License-Identifier: Apache-2.0
"""Two halves are joined, measured and shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from stillflow.errors import StillflowError
from stillflow_export.networks.flow import load_flow_network
from stillflow_training.classes_recipe import classes
from stillflow_training.flow_recipe import flow
from stillflow_training.velocity_recipe import velocity

from .halves import short_run


def test_halves_are_joined_and_measured(labelled: Path, tmp_path: Path) -> None:
    commands = {"classes": classes, "velocity": velocity}
    runs = {name: short_run(name, command, labelled, tmp_path) for name, command in commands.items()}
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
