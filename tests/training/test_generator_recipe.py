# SPDX-License-Identifier: Apache-2.0
"""The recipe from its command to its weights, a few steps long, broken off and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from stillflow_training.generator_recipe import blended, generator, psnr

TINY = {"steps": 2, "batch": 1, "height": 64, "width": 64, "validate_every": 1}


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    import stillflow_training

    path = Path(stillflow_training.__file__).with_name("configs") / "generator.json"
    return {**json.loads(path.read_text()), **TINY}


def test_recipe_ends_in_weights_receipt_and_curve_and_resumes(
    labelled: Path, tmp_path: Path, settings: dict[str, object]
) -> None:
    config, out = tmp_path / "tiny.json", tmp_path / "run"
    config.write_text(json.dumps(settings))
    arguments = ["--data", str(labelled), "--out", str(out), "--config", str(config), "--threads", "1"]
    first = CliRunner().invoke(generator, arguments)
    assert first.exit_code == 0, first.output
    names = {"generator.safetensors", "generator.receipt.json", "generator.curve.png", "checkpoint.pt"}
    assert names <= {path.name for path in out.iterdir()}
    receipt = json.loads((out / "generator.receipt.json").read_text())
    assert {"plate_network", "plate_push_pull", "blend_network", "blend_closed"} <= set(receipt["validation"])
    assert all(credit["file"].endswith("_train.jpg") for credit in receipt["photos"])
    assert all(
        torch.isfinite(tensor.float()).all() for tensor in load_file(out / "generator.safetensors").values()
    )

    config.write_text(json.dumps({**settings, "steps": 3}))
    again = CliRunner().invoke(generator, arguments)
    assert again.exit_code == 0, again.output
    steps = [json.loads(line)["step"] for line in (out / "validation.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3]


def test_zero_coefficients_leave_the_closed_form() -> None:
    batch = {
        "u": torch.tensor([[0.25]]),
        "w0": torch.full((1, 4, 4), 0.75),
        "a": torch.ones(1, 3, 4, 4),
        "b": torch.zeros(1, 3, 4, 4),
    }
    assert torch.allclose(blended(batch, torch.zeros(1, 2, 4, 4)), torch.full((1, 3, 4, 4), 0.75), atol=1e-4)
    up = torch.zeros(1, 2, 4, 4)
    up[:, 0] = 2.0
    assert (blended(batch, up) > 0.75).all()


def test_psnr_is_in_decibels() -> None:
    assert psnr(0.01) == 20.0
    assert psnr(0.0) == 100.0
