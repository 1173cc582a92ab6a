# SPDX-License-Identifier: Apache-2.0
"""The recipe of the velocity network, the other half of the flow network: labelled photos and procedural scenes."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import cv2
import torch
from torch import Tensor, nn
from torch.nn import functional

from stillflow_export.networks.velocity import VelocityNetwork, either_of, spread_of, velocity_of
from stillflow_training.classes_recipe import rate_at
from stillflow_training.labels import LabelledPhoto, read_labels
from stillflow_training.photo_bank import PhotoBank
from stillflow_training.procedural import Pictures
from stillflow_training.run_folder import (
    Run,
    open_run,
    photo_credits,
    save_weights,
    update_average,
    write_curve,
)
from stillflow_training.velocity_samples import Samples, ScenePool, draw_samples

TERMS = {"direction": 0.5, "speed": 0.3, "bent": 1.0, "spread": 0.05, "either": 0.1}
"""Weight of each term of the loss."""


def losses(out: Tensor, samples: Samples) -> dict[str, Tensor]:
    """The terms of the loss, before ``TERMS``; all but the last are weighted by trust in the label.

    Without arrows, where the picture tells the direction: direction, 1 - cosine; speed, absolute error of the
    log-speed, so that slow clouds count as much as falls. With arrows: bent, the error relative to the sample's mean
    speed. spread: Laplace likelihood of the velocity error (error / s + log s). either: binary cross entropy.

    Args:
        out: (n, OUTPUTS, h, w) of the network.
        samples: the truth.
    """
    told_planes = functional.avg_pool2d(samples.hints, 4)
    velocity, truth, weight = velocity_of(out, told_planes), samples.velocity, samples.weight
    told = samples.told[:, None, None, None].float()
    free = weight * (1 - told) * samples.directed[:, None, None, None].float()
    length = truth.square().sum(1, keepdim=True).add(1e-6).sqrt()
    error = (velocity - truth).square().sum(1, keepdim=True).add(1e-6).sqrt()
    cosine = functional.cosine_similarity(out[:, 0:2], truth, dim=1, eps=1e-3)[:, None]
    mean_speed = (length * weight).sum((1, 2, 3), keepdim=True) / (weight.sum((1, 2, 3), keepdim=True) + 1e-3)
    relative = error / (mean_speed + 0.01)
    known = weight * torch.maximum(told, samples.directed[:, None, None, None].float())
    log_spread = spread_of(out).clamp(-5.0, 3.0)
    # Each guided sample counts the same, however small its moving part.
    per_sample = (relative * weight * told).sum((1, 2, 3)) / (weight.sum((1, 2, 3)) + 1.0)
    drifting = functional.binary_cross_entropy_with_logits(either_of(out), samples.either, reduction="none")
    return {
        "direction": ((1 - cosine) * free).sum() / (free.sum() + 1),
        "speed": ((out[:, 2:3] - 2.0 - torch.log(length)).abs() * free).sum() / (free.sum() + 1),
        "bent": per_sample.sum() / (told.sum() + 1e-3),
        "spread": ((error.detach() * torch.exp(-log_spread) + log_spread) * known).sum() / (known.sum() + 1),
        "either": (drifting * free).sum() / (free.sum() + 1),
    }


def batches(
    bank: PhotoBank, learn: Tensor, pool: ScenePool, config: dict[str, Any], start: int
) -> Iterator[Samples]:
    """Draw the batches of all steps from ``start`` on, in a thread of their own, each from its own seed."""
    ready: queue.Queue[Samples] = queue.Queue(4)
    size = (config["height"], config["width"])

    def draw() -> None:
        for step in range(start, config["steps"]):
            seed = config["seed"] * 1_000_003 + step
            ready.put(draw_samples(bank, learn, pool, size, (config["views"], config["scenes"]), seed))

    threading.Thread(target=draw, daemon=True).start()
    for _ in range(start, config["steps"]):
        yield ready.get()


def check(network: nn.Module, held_back: list[Samples]) -> dict[str, Any]:
    """The losses on held-back samples, with every "bent" beside the closed form's own error."""
    totals: dict[str, float] = {}
    for samples in held_back:
        with torch.no_grad():
            out = network(samples.photo, samples.classes, samples.hints)
            terms = losses(out, samples)
            terms["bent_rbf"] = losses(torch.zeros_like(out), samples)["bent"]
        for name, value in terms.items():
            totals[name] = totals.get(name, 0.0) + float(value) / len(held_back)
    return {name: round(value, 4) for name, value in totals.items()}


def score(figures: dict[str, Any]) -> float:
    """One number to choose weights by: the guided error and the unguided direction."""
    return -float(figures["bent"] + 0.5 * figures["direction"]) if figures else 0.0


def train(run: Run, photos: list[LabelledPhoto], config: dict[str, Any]) -> dict[str, Any]:
    """Train, from the run's last checkpoint if it has one.

    Returns:
        The validation figures of the best weights.
    """
    learn = torch.tensor([i for i, p in enumerate(photos) if p.split == "train"])
    aside = torch.tensor([i for i, p in enumerate(photos) if p.split == "val"])
    size = (config["height"], config["width"])
    bank = PhotoBank(photos)
    pool = ScenePool(_pictures(photos, "train"), config["pool"], *size, config["seed"])
    held_back = []
    if len(aside):
        other = ScenePool(_pictures(photos, "val"), config["pool"] // 8, *size, config["seed"] + 1)
        counts = (config["views"], config["scenes"])
        held_back = [draw_samples(bank, aside, other, size, counts, 77 + k) for k in range(config["checks"])]
    torch.manual_seed(config["seed"])
    network, average = VelocityNetwork(), VelocityNetwork().eval()
    average.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config["rate"], weight_decay=config["weight_decay"]
    )
    start = run.resume({"network": network, "average": average, "optimiser": optimiser})
    network.train()
    for step, samples in enumerate(batches(bank, learn, pool, config, start), start):
        for group in optimiser.param_groups:
            group["lr"] = rate_at(config, step)
        with torch.autocast("cpu", torch.bfloat16, enabled=config["bfloat16"]):
            out = network(samples.photo, samples.classes, samples.hints)
        terms = losses(out.float(), samples)
        optimiser.zero_grad()
        torch.stack([TERMS[name] * value for name, value in terms.items()]).sum().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimiser.step()
        update_average(average, network, min(config["average"], (step + 1) / (step + 10)))
        run.log(step, {name: float(value.detach()) for name, value in terms.items()})
        if (step + 1) % config["validate_every"] == 0 or step + 1 == config["steps"]:
            figures = check(average, held_back) if held_back else {}
            run.validated(step + 1, figures)
            if run.is_best(score(figures)):
                save_weights(average, run.folder / "velocity.safetensors")
                weights = sum(p.numel() for p in network.parameters())
                credits = photo_credits(run.data, [p for p in photos if p.split == "train"])
                run.write_receipt("velocity", config, figures, step + 1, weights, credits)
            # After the weights: a run broken in between measures them once more, and none are lost.
            run.save(step + 1, {"network": network, "average": average, "optimiser": optimiser})
            write_curve(run, run.folder / "velocity.curve.png")
    return run.best_figures


def _pictures(photos: list[LabelledPhoto], split: str) -> Pictures:
    return Pictures.of_labels([p for p in photos if p.split == split])


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Folder with photos/, labels/, LICENCES.csv.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the run; resumed if it exists."
)
@click.option(
    "--config", type=click.Path(path_type=Path), help="JSON file; velocity.json of this package by default."
)
@click.option("--threads", default=2, show_default=True, help="CPU threads.")
def velocity(data: Path | None, out: Path, config: Path | None, threads: int) -> None:
    """Train the velocity network on labelled photos and procedural scenes."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)
    path = config or Path(__file__).with_name("configs") / "velocity.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    photos = read_labels(data, settings["long_side"])
    assert data is not None  # read_labels refuses None.
    started = time.time()
    run = open_run(out, data)
    train(run, photos, settings)
    click.echo(f"{out}: best {json.dumps(run.best_figures)} after {time.time() - started:.0f} s", err=True)
