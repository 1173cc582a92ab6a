# SPDX-License-Identifier: Apache-2.0
"""The recipe of the generator network, beside its two closed forms: push-pull fill and plain weights."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import torch
from torch import Tensor, nn

from stillflow_export.networks.generator import GeneratorNetwork, build_generator_network
from stillflow_training.generator_samples import draw_blends, draw_cuts
from stillflow_training.labels import LabelledPhoto, read_labels
from stillflow_training.run_folder import (
    Run,
    open_run,
    photo_credits,
    save_weights,
    update_average,
    write_curve,
)

VALIDATION_SEED = 4321
"""Held-back cuts and moments are the same in every validation."""


def blended(batch: dict[str, Tensor], coefficients: Tensor) -> Tensor:
    """Mix both sources with the weights that the kernel would use, (n, 3, h, w)."""
    u = batch["u"][:, :, None]
    shift = torch.sin(torch.pi * u) * coefficients[:, 0] + torch.sin(2 * torch.pi * u) * coefficients[:, 1]
    odds = torch.exp(shift.clamp(-8, 8))
    w = batch["w0"]
    w = (w * odds / (w * odds + (1 - w) + 1e-6))[:, None]
    return w * batch["a"] + (1 - w) * batch["b"]


def masked_square(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference inside a mask (n, h, w)."""
    return ((a - b).square().mean(1) * mask).sum() / (mask.sum() + 1)


def tensors(batch: dict[str, Any]) -> dict[str, Tensor]:
    """NumPy arrays to tensors, by name."""
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in batch.items()}


def psnr(square: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error of values 0..1."""
    return round(float(-10 * np.log10(max(square, 1e-10))), 3)


def validate(
    network: nn.Module, photos: list[LabelledPhoto], size: tuple[int, int], batches: int = 6
) -> dict[str, Any]:
    """Measure both outputs on held-back photos and on scenes textured with them.

    Returns:
        plate_network and plate_push_pull: PSNR in dB of hidden parts; blend_network and blend_closed:
        PSNR in dB inside the moving region; lost_network and lost_closed: where both sources are invalid.
    """
    rng = np.random.default_rng(VALIDATION_SEED)
    totals: dict[str, list[float]] = {}
    with torch.no_grad():
        for _ in range(batches):
            cuts = tensors(draw_cuts(rng, photos, 8, size))
            plate, _ = network(cuts["field"])
            blends = tensors(draw_blends(rng, photos, 8, size))
            _, coefficients = network(blends["field"])
            made, closed = blended(blends, coefficients), blended(blends, torch.zeros_like(coefficients))
            for name, value in (
                ("plate_network", masked_square(plate, cuts["truth"], cuts["hidden"])),
                ("plate_push_pull", masked_square(cuts["field"][:, 0:3], cuts["truth"], cuts["hidden"])),
                ("blend_network", masked_square(made, blends["truth"], blends["inside"])),
                ("blend_closed", masked_square(closed, blends["truth"], blends["inside"])),
                ("lost_network", masked_square(made, blends["truth"], blends["lost"])),
                ("lost_closed", masked_square(closed, blends["truth"], blends["lost"])),
            ):
                totals.setdefault(name, []).append(float(value))
    return {name: psnr(float(np.mean(values))) for name, values in totals.items()}


def train(run: Run, photos: list[LabelledPhoto], config: dict[str, Any]) -> dict[str, Any]:
    """Train, from the run's last checkpoint if it has one; returns the best weights' figures."""
    learn = [p for p in photos if p.split == "train"]
    check = [p for p in photos if p.split == "val"]
    size = (config["height"], config["width"])
    torch.manual_seed(config["seed"])
    network: GeneratorNetwork = build_generator_network().to(memory_format=torch.channels_last)
    average = build_generator_network().eval()
    average.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config["rate"], weight_decay=config["weight_decay"]
    )
    parts = {"network": network, "average": average, "optimiser": optimiser}
    for step in range(run.resume(parts), config["steps"]):
        rng = np.random.default_rng([config["seed"], step])
        cuts = tensors(draw_cuts(rng, learn, config["batch"], size))
        blends = tensors(draw_blends(rng, learn, config["batch"], size))
        turn = math.cos(math.pi * step / config["steps"])
        rate = config["rate"] * min(1.0, step / 200) * (0.02 + 0.49 * (1 + turn))
        for group in optimiser.param_groups:
            group["lr"] = rate
        network.train()
        with torch.autocast("cpu", torch.bfloat16):
            plate, coefficients = network(torch.cat([cuts["field"], blends["field"]]))
        count = config["batch"]
        terms = {
            "plate": ((plate[:count].float() - cuts["truth"]).abs().mean(1) * cuts["hidden"]).sum()
            / cuts["hidden"].sum(),
            "blend": 20
            * masked_square(blended(blends, coefficients[count:].float()), blends["truth"], blends["inside"]),
            "small": 1e-4 * coefficients.float().square().mean(),
        }
        optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        update_average(average, network, min(config["average"], (step + 1) / (step + 10)))
        run.log(step, {name: float(value.detach()) for name, value in terms.items()})
        if (step + 1) % config["validate_every"] == 0 or step + 1 == config["steps"]:
            figures = validate(average, check, size) if check else {}
            run.validated(step + 1, figures)
            if run.is_best(figures.get("plate_network", 0.0) + figures.get("blend_network", 0.0)):
                save_weights(average, run.folder / "generator.safetensors")
                weights = sum(p.numel() for p in network.parameters())
                run.write_receipt(
                    "generator", config, figures, step + 1, weights, photo_credits(run.data, learn)
                )
            run.save(step + 1, parts)
            write_curve(run, run.folder / "generator.curve.png")
    return run.best_figures


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder with photos/, labels/, LICENCES.csv.",
)
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
    help="JSON file; generator.json of this package by default.",
)
@click.option("--threads", default=2, show_default=True, help="CPU threads.")
def generator(data: Path, out: Path, config: Path | None, threads: int) -> None:
    """Train the generator network on hidden parts of photos and on procedural loops."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)
    path = config or Path(__file__).with_name("configs") / "generator.json"
    run = open_run(out, data)
    train(run, read_labels(data, long_side=224), json.loads(path.read_text(encoding="utf-8")))
    click.echo(f"{run.folder}: best {json.dumps(run.best_figures)}", err=True)
