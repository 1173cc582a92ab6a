# SPDX-License-Identifier: Apache-2.0
"""The recipe from its command to its weights, a few steps long, broken off and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from stillflow.errors import StillflowError
from stillflow_training.flow_recipe import flow, train
from stillflow_training.labels import read_labels
from stillflow_training.run_folder import open_run

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


def test_a_broken_run_ends_in_the_same_weights(
    labelled: Path, tmp_path: Path, settings: dict[str, object]
) -> None:
    photos = read_labels(labelled)
    whole, broken = open_run(tmp_path / "whole", labelled), open_run(tmp_path / "broken", labelled)
    config = {**settings, "steps": 4, "validate_every": 2}
    train(whole, [p for p in photos if p.split == "train"], config)

    class StopError(Exception):
        pass

    def stop(step: int, terms: dict[str, float]) -> None:
        if step == 2:
            raise StopError

    broken.log = stop  # type: ignore[method-assign]
    with pytest.raises(StopError):
        train(broken, [p for p in photos if p.split == "train"], config)
    train(open_run(tmp_path / "broken", labelled), [p for p in photos if p.split == "train"], config)
    states = [torch.load(run.folder / "checkpoint.pt", weights_only=True) for run in (whole, broken)]
    assert states[0]["step"] == states[1]["step"] == 4
    for name, value in states[0]["average"].items():
        assert torch.equal(value, states[1]["average"][name]), name


def test_without_data_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StillflowError, match="--data"):
        CliRunner().invoke(flow, ["--out", str(tmp_path)], catch_exceptions=False)
