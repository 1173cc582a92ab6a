# SPDX-License-Identifier: Apache-2.0
"""The recipe from its command to its weights, a few steps long, broken off and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from stillflow_training.flow_recipe import flow

TINY = {"views": 1, "places": 16, "steps": 2, "batch": 16, "long_side": 96, "validate_every": 1}


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    import stillflow_training

    path = Path(stillflow_training.__file__).with_name("configs") / "flow.json"
    return {**json.loads(path.read_text()), **TINY}


def test_recipe_ends_in_weights_receipt_curve_and_sheets_and_resumes(
    labelled: Path, tmp_path: Path, settings: dict[str, object]
) -> None:
    config, out = tmp_path / "tiny.json", tmp_path / "run"
    config.write_text(json.dumps(settings))
    arguments = ["--data", str(labelled), "--out", str(out), "--config", str(config), "--threads", "1"]
    first = CliRunner().invoke(flow, arguments, catch_exceptions=False)
    assert first.exit_code == 0, first.output
    names = {path.name for path in out.iterdir()}
    assert {"flow.safetensors", "flow.receipt.json", "flow.curve.png", "checkpoint.pt"} <= names
    receipt = json.loads((out / "flow.receipt.json").read_text())
    assert {"iou_moves", "velocity_error"} <= set(receipt["validation"])
    assert all(credit["file"].endswith("_train.jpg") for credit in receipt["photos"])

    config.write_text(json.dumps({**settings, "steps": 3}))
    again = CliRunner().invoke(flow, arguments, catch_exceptions=False)
    assert again.exit_code == 0, again.output
    steps = [json.loads(line)["step"] for line in (out / "validation.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3]
