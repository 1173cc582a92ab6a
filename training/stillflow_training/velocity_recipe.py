# SPDX-License-Identifier: Apache-2.0
"""The recipe of the velocity network, the other half of the flow network: labelled photos and procedural scenes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stillflow.bend import FLOOR, MOST_STRETCH, SIGMA
from stillflow_export.networks.velocity import LOG_SPEED, VelocityNetwork, either_of, spread_of, velocity_of
from stillflow_training.classes_recipe import rate_at
from stillflow_training.labels import LabelledPhoto
from stillflow_training.photo_bank import PhotoBank
from stillflow_training.procedural import Pictures
from stillflow_training.recipe import drawn_ahead, recipe_command
from stillflow_training.run_folder import Run, keep, take_step
from stillflow_training.velocity_samples import Samples, ScenePool, draw_samples

TERMS = {"direction": 0.5, "speed": 0.3, "bent": 1.0, "shape": 0.3, "spread": 0.05, "either": 0.1}
"""Weight of each term of the loss."""


def bend(velocity: Tensor, arrows: Tensor) -> Tensor:
    """``stillflow.bend.bend_velocity`` in torch, for batches.

    Args:
        velocity: (n, 2, h, w).
        arrows: (n, k, 4): middle in picture widths, velocity in the field's unit; all zero where there is none.

    Returns:
        (n, 2, h, w); the velocity as it was where there are no arrows.
    """
    h, w = velocity.shape[2:]
    aspect = h / w
    x = torch.linspace(0, 1, w)[None, None, None]
    y = torch.linspace(0, aspect, h)[None, None, :, None]
    cx, cy = arrows[..., 0, None, None], arrows[..., 1, None, None]
    given = (arrows[..., 2:].abs().sum(-1) > 0).float()
    near = torch.exp(-((x - cx).square() + (y - cy).square()) / (2 * SIGMA**2)) + FLOOR
    near = near * given[..., None, None]
    weights = near / near.sum(1, keepdim=True).clamp(min=1e-12)
    spot = torch.stack([arrows[..., 0] * 2 - 1, arrows[..., 1] / aspect * 2 - 1], -1)[:, :, None]
    here = functional.grid_sample(velocity, spot, align_corners=True, padding_mode="border")[..., 0]
    b, s = here.permute(0, 2, 1), arrows[..., 2:]
    length_b, length_s = (v.square().sum(-1).add(1e-8).sqrt() for v in (b, s))
    stretch = torch.log(length_s / length_b).clamp(-math.log(MOST_STRETCH), math.log(MOST_STRETCH)) * given
    cos = (b * s).sum(-1) / (length_b * length_s)
    sin = (b[..., 0] * s[..., 1] - b[..., 1] * s[..., 0]) / (length_b * length_s)
    factor = torch.exp((weights * stretch[..., None, None]).sum(1))
    cos, sin = ((weights * v[..., None, None]).sum(1) for v in (cos, sin))
    # A floor, as the runtime has it, and not a sum: where the turns almost cancel, a sum would shorten what is left.
    size = (cos.square() + sin.square()).add(1e-12).sqrt().clamp(min=1e-3)
    cos, sin = cos / size * factor, sin / size * factor
    turned = torch.stack(
        [velocity[:, 0] * cos - velocity[:, 1] * sin, velocity[:, 0] * sin + velocity[:, 1] * cos], 1
    )
    return torch.where(given.any(1)[:, None, None, None], turned, velocity)


def losses(out: Tensor, samples: Samples) -> dict[str, Tensor]:
    """The terms of the loss, before ``TERMS``; all but the last are weighted by trust in the label.

    Without arrows, where the picture tells the direction: direction, 1 - cosine; speed, absolute error of the
    log-speed, so that slow clouds count as much as falls. With arrows: bent, the error of the bent field relative to
    the sample's mean speed; shape, 1 - the squared coherence of field and truth, which no turning and stretching
    of the whole changes. spread: Laplace likelihood of the velocity error (error / s + log s). either: cross entropy.

    Args:
        out: (n, OUTPUTS, h, w) of the network.
        samples: the truth.
    """
    field, truth, weight = velocity_of(out), samples.velocity, samples.weight
    velocity = bend(field, samples.arrows)
    told = samples.told[:, None, None, None].float()
    directed = samples.directed[:, None, None, None].float()
    free = weight * (1 - told) * directed
    length = truth.square().sum(1, keepdim=True).add(1e-6).sqrt()
    error = (velocity - truth).square().sum(1, keepdim=True).add(1e-6).sqrt()
    cosine = functional.cosine_similarity(out[:, 0:2], truth, dim=1, eps=1e-3)[:, None]
    known = weight * torch.maximum(told, directed)
    log_spread = spread_of(out).clamp(-5.0, 3.0)
    drifting = functional.binary_cross_entropy_with_logits(either_of(out), samples.either, reduction="none")
    return {
        "direction": ((1 - cosine) * free).sum() / (free.sum() + 1),
        "speed": ((out[:, 2:3] - LOG_SPEED - torch.log(length)).abs() * free).sum() / (free.sum() + 1),
        "bent": guided_error(velocity, samples),
        "shape": ((1 - coherence(field, truth, weight)) * told[:, 0, 0, 0]).sum() / (told.sum() + 1e-3),
        "spread": ((error.detach() * torch.exp(-log_spread) + log_spread) * known).sum() / (known.sum() + 1),
        "either": (drifting * free).sum() / (free.sum() + 1),
    }


def coherence(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Squared coherence of two fields of vectors, taken as complex numbers, (n,) in 0..1.

    |sum w conj(a) b|² / (sum w |a|² sum w |b|²): 1 where one is the other turned and stretched as a whole.
    """
    w = weight[:, 0]
    real = (w * (a * b).sum(1)).sum((1, 2))
    imaginary = (w * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])).sum((1, 2))
    energy = (w * a.square().sum(1)).sum((1, 2)) * (w * b.square().sum(1)).sum((1, 2))
    return (real.square() + imaginary.square()) / (energy + 1e-9)


def guided_error(velocity: Tensor, samples: Samples) -> Tensor:
    """Mean error of a velocity (n, 2, h, w) where there are arrows, relative to each sample's mean speed.

    Each sample counts the same, however small its moving part, and a wild one must not outweigh the batch.
    """
    truth, weight = samples.velocity, samples.weight
    told = samples.told.float()
    error, length = ((v.square().sum(1, keepdim=True) + 1e-6).sqrt() for v in (velocity - truth, truth))
    area = weight.sum((1, 2, 3))
    mean_speed = (length * weight).sum((1, 2, 3)) / (area + 1e-3)
    relative = (error / (mean_speed[:, None, None, None] + 0.01)).clamp(max=4.0)
    return ((relative * weight).sum((1, 2, 3)) / (area + 1.0) * told).sum() / (told.sum() + 1e-3)


def closed_form(samples: Samples) -> Tensor:
    """``stillflow.bend.rbf_velocity`` of the samples' arrows, (n, 2, h, w): it comes with the hints."""
    return functional.avg_pool2d(samples.hints[:, 3:5], 4)


def batches(
    bank: PhotoBank, learn: Tensor, pool: ScenePool, config: dict[str, Any], start: int
) -> Iterator[Samples]:
    """Draw the batches of all steps from ``start`` on, each from its own seed."""
    size, counts = (config["height"], config["width"]), (config["views"], config["scenes"])

    def draw(step: int) -> Samples:
        return draw_samples(bank, learn, pool, size, counts, config["seed"] * 1_000_003 + step)

    return drawn_ahead(draw, start, config["steps"])


def check(network: nn.Module, held_back: list[Samples]) -> dict[str, Any]:
    """The losses on held-back samples, with every "bent" beside the closed form's own error."""
    totals: dict[str, float] = {}
    for samples in held_back:
        with torch.no_grad():
            out = network(samples.photo, samples.classes, samples.hints)
            terms = losses(out, samples)
            terms["bent_rbf"] = guided_error(closed_form(samples), samples)
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
    parts = {"network": network, "average": average, "optimiser": optimiser}
    start = run.resume(parts)
    network.train()
    for step, samples in enumerate(batches(bank, learn, pool, config, start), start):
        for group in optimiser.param_groups:
            group["lr"] = rate_at(config, step)
        with torch.autocast("cpu", torch.bfloat16, enabled=config["bfloat16"]):
            out = network(samples.photo, samples.classes, samples.hints)
        terms = losses(out.float(), samples)
        take_step(parts, terms, TERMS, min(config["average"], (step + 1) / (step + 10)))
        run.log(step, {name: float(value.detach()) for name, value in terms.items()})
        if (step + 1) % config["validate_every"] == 0 or step + 1 == config["steps"]:
            figures = check(average, held_back) if held_back else {}
            keep(
                run,
                "velocity",
                step + 1,
                parts,
                figures,
                score(figures),
                config,
                [p for p in photos if p.split == "train"],
            )
    return run.best_figures


def _pictures(photos: list[LabelledPhoto], split: str) -> Pictures:
    return Pictures.of_labels([p for p in photos if p.split == split])


velocity = recipe_command(
    "velocity",
    train,
    "Train the velocity network on labelled photos and procedural scenes.",
)
