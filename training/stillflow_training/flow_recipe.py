# SPDX-License-Identifier: Apache-2.0
"""The recipe of the flow network: one command, resumable, ends in weights, a receipt and a curve."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stillflow_export.networks.flow import (
    AROUND,
    BASE,
    COLOURS,
    LOCAL,
    build_flow_network,
    join_velocity,
    load_flow_network,
    split_outputs,
)
from stillflow_training.flow_samples import draw_cells
from stillflow_training.flow_sheets import write_sheets
from stillflow_training.flow_validation import FloatArray, Predict, validate
from stillflow_training.labels import LabelledPhoto, read_labels
from stillflow_training.run_folder import (
    Run,
    open_run,
    photo_credits,
    save_weights,
    update_average,
    write_curve,
)

CLASS_WEIGHTS = (0.9, 1.0, 1.0, 1.2, 1.5, 0.9, 1.2, 1.3, 1.3, 1.0)
"""Weight of each class in the cross entropy: rare ones count more."""

TERMS = {"classes": 1.0, "moves": 1.0, "direction": 0.5, "speed": 0.3, "spread": 0.05}
"""Weight of each term of the loss."""

NOISE = 0.1
"""Deviations of a measure by which it is shaken at every step: photos are few."""


def losses(
    out: Tensor, classes: Tensor, moves: Tensor, velocity: Tensor, weight: Tensor
) -> dict[str, Tensor]:
    """The terms of the loss, before ``TERMS``.

    classes: weighted cross entropy. moves: binary cross entropy. direction: 1 - cosine. speed: absolute
    error of the log-speed, so that slow clouds count as much as falls. spread: Laplace likelihood of the
    velocity error (error / s + log s). The last three are weighted by trust in the label.

    Args:
        out: (n, OUTPUTS, 1, 1).
        classes: (n,) int64.
        moves: (n,) 0 or 1.
        velocity: (n, 2) tenths of a width a second.
        weight: (n,) 0..1.
    """
    chosen, moving, direction, log_speed, spread = split_outputs(out)
    error = (
        (join_velocity(direction, log_speed)[:, :, 0, 0] - velocity).square().sum(1).add(1e-6).sqrt().detach()
    )
    log_spread = spread[:, 0, 0, 0].clamp(-5.0, 3.0)
    log_true = 0.5 * torch.log(velocity.square().sum(1) + 1e-5)
    cosine = functional.cosine_similarity(direction[:, :, 0, 0], velocity, dim=1, eps=1e-3)
    total = weight.sum() + 1
    return {
        "classes": functional.cross_entropy(
            chosen[:, :, 0, 0], classes, torch.tensor(CLASS_WEIGHTS), label_smoothing=0.03
        ),
        "moves": functional.binary_cross_entropy_with_logits(moving[:, 0, 0, 0], moves),
        "direction": ((1 - cosine) * weight).sum() / total,
        "speed": ((log_speed[:, 0, 0, 0] - log_true).abs() * weight).sum() / total,
        "spread": ((error * torch.exp(-log_spread) + log_spread) * weight).sum() / total,
    }


def predictor(network: nn.Module) -> Predict:
    """Wrap a network in eval mode as a function of NumPy arrays."""

    def predict(photo: FloatArray, hints: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        with torch.no_grad():
            classes, moves, velocity, _ = network(
                torch.from_numpy(photo[None]), torch.from_numpy(hints[None])
            )
        return classes[0].numpy(), moves[0, 0].numpy(), velocity[0].numpy()

    return predict


def train(run: Run, photos: list[LabelledPhoto], config: dict[str, Any]) -> dict[str, Any]:
    """Train, from the run's last checkpoint if it has one.

    Returns:
        The validation figures of the best weights.
    """
    learn = [p for p in photos if p.split == "train"]
    check = [p for p in photos if p.split == "val"]
    torch.manual_seed(config["seed"])
    network = build_flow_network()
    chosen = {key: config[key] for key in ("views", "places", "long_side", "seed")}
    cells = draw_cells(learn, network.measures, **chosen)
    every = cells.measures.float()
    network.centre.copy_(every.mean(0)[None, :, None, None])
    network.scale.copy_(1 / (every.std(0) + 1e-3)[None, :, None, None])
    del every
    average = build_flow_network().eval()
    average.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config["rate"], weight_decay=config["weight_decay"]
    )
    start = run.resume({"network": network, "average": average, "optimiser": optimiser})
    for step in range(start, config["steps"]):
        # Seeded at each step: a resumed run draws the very batches an unbroken one would have drawn.
        torch.manual_seed(config["seed"] * 1_000_003 + step)
        mine = torch.randint(len(cells), (config["batch"],))
        measures = cells.measures[mine].float()[:, :, None, None]
        measures = measures + NOISE * torch.randn_like(measures) / network.scale
        for group in optimiser.param_groups:
            group["lr"] = float(
                config["rate"] * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * step / config["steps"])))
            )
        network.train()
        out = network.judge(*measures.split([LOCAL, AROUND, BASE + COLOURS], 1))
        terms = losses(out, cells.classes[mine], cells.moves[mine], cells.velocity[mine], cells.weight[mine])
        optimiser.zero_grad()
        torch.stack([TERMS[name] * value for name, value in terms.items()]).sum().backward()
        optimiser.step()
        update_average(average, network, min(config["average"], (step + 1) / (step + 10)))
        run.log(step, {name: float(value.detach()) for name, value in terms.items()})
        if (step + 1) % config["validate_every"] == 0 or step + 1 == config["steps"]:
            figures = validate(predictor(average), check, config["long_side"]) if check else {}
            run.validated(step + 1, figures)
            if run.is_best(score(figures)):
                save_weights(average, run.folder / "flow.safetensors")
                weights = sum(p.numel() for p in network.parameters())
                run.write_receipt("flow", config, figures, step + 1, weights, photo_credits(run.data, learn))
            # After the weights: a run broken in between measures them once more, and none are lost.
            run.save(step + 1, {"network": network, "average": average, "optimiser": optimiser})
            write_curve(run, run.folder / "flow.curve.png")
    return run.best_figures


def score(figures: dict[str, Any]) -> float:
    """One number to choose weights by: matte, then classes, then direction."""
    if not figures:
        return 0.0
    classes = float(
        np.mean([figures["iou_class"].get(name, 0.0) for name in ("water", "cloud", "foliage", "static")])
    )
    return float(figures["iou_two_way"] + classes - 0.2 * figures.get("angle_median_unguided", 90.0) / 90)


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Folder with photos/, labels/, LICENCES.csv.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the run; an existing one is resumed.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=None,
    help="JSON file; flow.json of this package by default.",
)
@click.option("--threads", default=2, show_default=True, help="CPU threads.")
def flow(data: Path | None, out: Path, config: Path | None, threads: int) -> None:
    """Train the flow network on labelled photos."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)
    settings = json.loads(
        (config or Path(__file__).with_name("configs") / "flow.json").read_text(encoding="utf-8")
    )
    photos = read_labels(data)
    assert data is not None  # read_labels refuses None.
    started = time.time()
    run = open_run(out, data)
    train(run, photos, settings)
    check = [photo for photo in photos if photo.split == "val"]
    weights = run.folder / "flow.safetensors"
    if check and weights.is_file():
        write_sheets(predictor(load_flow_network(weights)), check, settings["long_side"], run.folder)
    click.echo(
        f"{run.folder}: best {json.dumps(run.best_figures)} after {time.time() - started:.0f} s", err=True
    )
