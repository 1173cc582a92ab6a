# SPDX-License-Identifier: Apache-2.0
"""The recipe from its command to its weights, a few steps long, broken off and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from stillflow_training.generator_loops import draw_loops
from stillflow_training.generator_recipe import generator, losses, psnr, score

TINY = {"steps": 2, "batch": 1, "height": 64, "width": 64, "validate_every": 1, "validation_batches": 1}


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
    beside = (
        "plate_push_pull",
        "blend_closed",
        "one_closed",
        "lost_closed",
        "flicker_closed",
        "detail_closed",
    )
    ours = [f"{name.split('_')[0]}_network" for name in beside]
    assert {*beside, *ours} <= set(receipt["validation"])
    assert all(credit["file"].endswith("_train.jpg") for credit in receipt["photos"])
    assert all(
        torch.isfinite(tensor.float()).all() for tensor in load_file(out / "generator.safetensors").values()
    )

    config.write_text(json.dumps({**settings, "steps": 3}))
    again = CliRunner().invoke(generator, arguments)
    assert again.exit_code == 0, again.output
    steps = [json.loads(line)["step"] for line in (out / "validation.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3]


def test_losses_fall_where_the_truth_is_painted() -> None:
    loops = draw_loops(torch.Generator().manual_seed(2), None, 2, (64, 96), 1)
    blend = torch.zeros(2, 4, 64, 96)
    blend[:, 2] = 1
    wrong, right = (
        losses(loops, loops.moments, plate, blend) for plate in (torch.zeros_like(loops.plate), loops.surface)
    )
    assert all(right[name] < wrong[name] for name in ("lost", "surface"))


def test_score_counts_what_is_gained_and_what_it_costs() -> None:
    even = {f"{what}_{who}": 20.0 for what in ("blend", "lost", "flicker") for who in ("network", "closed")}
    even |= {"plate_network": 17.0, "plate_push_pull": 17.0, "detail_network": 1.0, "detail_closed": 1.0}
    assert score({}) == score(even) == 0
    assert score({**even, "blend_network": 21.0}) == pytest.approx(1.0)
    assert score({**even, "flicker_network": 22.0}) == pytest.approx(-0.5)
    assert score({**even, "detail_network": 0.82}) == pytest.approx(-1.0)


def test_psnr_is_in_decibels() -> None:
    assert psnr(0.01) == 20.0
    assert psnr(0.0) == 100.0
