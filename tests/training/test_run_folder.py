# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from stillflow_training.labels import read_labels
from stillflow_training.run_folder import open_run, photo_credits, write_curve


def test_a_broken_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    run = open_run(tmp_path / "run", tmp_path)
    part = nn.Linear(2, 2)
    assert run.resume({"part": part}) == 0
    run.validated(20, {"score": 0.5})
    assert run.is_best(0.5)
    for step in range(20):
        run.log(step, {"loss": 1.0})
    run.save(20, {"part": part})
    for step in range(20, 40):
        run.log(step, {"loss": 0.5})

    again, other = open_run(tmp_path / "run", tmp_path), nn.Linear(2, 2)
    assert again.resume({"part": other}) == 20
    assert torch.equal(other.weight, part.weight)
    assert again.best_score == 0.5
    assert again.best_figures == {"score": 0.5}
    assert not again.is_best(0.5)
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [20]


def test_receipt_and_curve_say_how_the_weights_came_about(tmp_path: Path, labelled: Path) -> None:
    run = open_run(tmp_path, labelled)
    learn = [photo for photo in read_labels(labelled) if photo.split == "train"]
    for step in range(20):
        run.log(step, {"loss": 2.0})
    run.validated(20, {"iou": 0.7})
    run.write_receipt("flow", {"seed": 1}, {"iou": 0.7}, 20, 1234, photo_credits(labelled, learn))
    receipt = json.loads((tmp_path / "flow.receipt.json").read_text())
    assert receipt["validation"] == {"iou": 0.7}
    assert receipt["config"] == {"seed": 1}
    assert receipt["step"] == 20
    assert receipt["weights"] == 1234
    assert abs(receipt["losses"]["loss"] - 2.0) < 1e-9
    assert [credit["file"] for credit in receipt["photos"]] == [f"photos/{photo.name}.jpg" for photo in learn]
    assert all(credit["licence"] for credit in receipt["photos"])
    write_curve(run, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000
