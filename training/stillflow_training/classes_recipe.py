# SPDX-License-Identifier: Apache-2.0
"""The recipe of the class network, one half of the flow network: labelled photos in, weights out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stillflow.motion import CLASS_NAMES, STILL_CLASSES
from stillflow_export.networks.classes import STRIDE, ClassNetwork
from stillflow_training.flow_validation import ClassFigures, network_size, shrink
from stillflow_training.labels import LabelledPhoto
from stillflow_training.photo_bank import PhotoBank, Views
from stillflow_training.procedural import Pictures, draw_scenes
from stillflow_training.recipe import drawn_ahead, recipe_command
from stillflow_training.run_folder import Run, keep, take_step

CLASS_WEIGHTS = (0.9, 1.0, 1.0, 1.2, 1.5, 0.9, 1.2, 1.4, 1.4, 1.0)
"""Weight of each class in the cross entropy: rare ones count more."""

TERMS = {"classes": 1.0, "moves": 0.5, "overlap": 0.5, "picture": 0.3}
"""Weight of each term of the loss."""

PRESENT = 0.02
"""Share of a view above which a class counts as present in it."""


def losses(classes: Tensor, moves: Tensor, picture: Tensor, views: Views) -> dict[str, Tensor]:
    """The terms of the loss, before ``TERMS``.

    classes: weighted cross entropy. moves: binary cross entropy. overlap: 1 - soft IoU of what moves, a view at a
    time, since that is what counts in the end. picture: binary cross entropies of which classes are present and
    of suitability.

    Args:
        classes: (n, 10, h, w) logits.
        moves: (n, 1, h, w) logits.
        picture: (n, 11, 1, 1) logits.
        views: the truth, at ``STRIDE`` times the size.
    """
    half = STRIDE // 2
    labels = views.classes[:, half::STRIDE, half::STRIDE]
    truth = functional.avg_pool2d(views.moves[:, None], STRIDE)
    share = torch.sigmoid(moves)
    both = (share * truth).sum((1, 2, 3))
    any_ = (share + truth - share * truth).sum((1, 2, 3))
    present = functional.one_hot(views.classes, len(CLASS_NAMES)).float().mean((1, 2)) > PRESENT
    said = picture[:, :, 0, 0]
    known = (views.suited >= 0).float()
    suited = functional.binary_cross_entropy_with_logits(
        said[:, 10], views.suited.clamp(min=0), reduction="none"
    )
    return {
        "classes": functional.cross_entropy(
            classes, labels, torch.tensor(CLASS_WEIGHTS), label_smoothing=0.03
        ),
        "moves": functional.binary_cross_entropy_with_logits(moves, truth),
        "overlap": (1 - (both + 4) / (any_ + 4)).mean(),
        "picture": functional.binary_cross_entropy_with_logits(said[:, :10], present.float())
        + 0.3 * (suited * known).sum() / (known.sum() + 1),
    }


def draw_scene_photos(photos: list[LabelledPhoto], count: int, seed: int) -> list[LabelledPhoto]:
    """Procedural scenes between the photos' own parts, as labelled photos of 128x176.

    Args:
        photos: to take backgrounds, things in front, and textures from.
        count: scenes, rounded up to a multiple of 20.
        seed: of all choices.
    """
    random = torch.Generator().manual_seed(seed)
    pictures, result = Pictures.of_labels(photos), []
    for _ in range(0, count, 20):
        batch = draw_scenes(random, 20, 128, 176, pictures)
        pixels = (batch.photo.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
        classes = torch.where(batch.classes < len(CLASS_NAMES), batch.classes, 0).numpy()
        for photo, labels in zip(pixels, classes, strict=True):
            moves = (~np.isin(labels, STILL_CLASSES)).astype(np.uint8)
            nothing = np.zeros(labels.shape, np.float32)
            result.append(
                LabelledPhoto(
                    name="procedural",
                    split="train",
                    photo=photo,
                    classes=labels,
                    moves=moves,
                    velocity=np.zeros((*labels.shape, 2), np.float32),
                    weight=nothing,
                    arrows=np.zeros((0, 5), np.float32),
                    suitability=-1,
                    either=np.zeros_like(moves),
                )
            )
    return result


def batches(bank: PhotoBank, among: Tensor, config: dict[str, Any], start: int) -> Iterator[Views]:
    """Draw the batches of all steps from ``start`` on.

    Seeded at each step: a resumed run draws the very batches an unbroken one would have drawn.
    """

    def draw(step: int) -> Views:
        phase = phase_at(config, step)
        random = torch.Generator().manual_seed(config["seed"] * 1_000_003 + step)
        return bank.draw(phase["batch"], phase["height"], phase["width"], random, among)

    return drawn_ahead(draw, start, config["steps"])


def phase_at(config: dict[str, Any], step: int) -> dict[str, Any]:
    """The phase a step belongs to: views start small, so that steps are many, and end at the size of use."""
    return next(p for p in config["phases"] if step < p["until"] or p is config["phases"][-1])


def rate_at(config: dict[str, Any], step: int) -> float:
    """Learning rate: a linear start over 200 steps, then a cosine down to 1 %."""
    fall = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / config["steps"]))
    return float(config["rate"] * min(1.0, (step + 1) / 200) * fall)


def check(network: nn.Module, photos: list[LabelledPhoto], long_side: int) -> dict[str, Any]:
    """Figures of the class network alone on held-back photos (``ClassFigures``)."""
    figures = ClassFigures()
    for item in photos:
        h, w = network_size(*item.classes.shape, long_side)
        photo = torch.from_numpy(shrink(item.photo, h, w)[None])
        row = torch.linspace(0, 1, h)[None, None, :, None].expand(1, 1, h, w)
        with torch.no_grad():
            classes, moves, picture = network(photo, row)
        figures.add(item, classes[0].numpy(), moves[0, 0].numpy(), float(picture[0, -1]))
    return figures.figures()


def score(figures: dict[str, Any]) -> float:
    """One number to choose weights by: what moves, then the classes that matter most."""
    if not figures:
        return 0.0
    classes = [figures["iou_class"].get(name, 0.0) for name in ("water", "cloud", "foliage", "static", "sky")]
    return float(figures["iou_moves"] + 0.5 * np.mean(classes))


def train(run: Run, photos: list[LabelledPhoto], config: dict[str, Any]) -> dict[str, Any]:
    """Train, from the run's last checkpoint if it has one.

    Returns:
        The validation figures of the best weights.
    """
    held_back = [p for p in photos if p.split == "val"]
    learn = [p for p in photos if p.split == "train"]
    scenes = draw_scene_photos(learn, config["scenes"], config["seed"])
    bank = PhotoBank(learn + scenes)
    if scenes:
        share = config["scene_share"] / (1 - config["scene_share"])
        bank.often[len(learn) :] = share * bank.often[: len(learn)].sum() / len(scenes)
    everything = torch.arange(len(learn) + len(scenes))
    torch.manual_seed(config["seed"])
    network = ClassNetwork().to(memory_format=torch.channels_last)
    average = ClassNetwork().eval()
    average.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(
        [
            {
                "params": [p for p in network.parameters() if p.ndim > 1],
                "weight_decay": config["weight_decay"],
            },
            {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=config["rate"],
    )
    parts = {"network": network, "average": average, "optimiser": optimiser}
    start = run.resume(parts)
    network.train()
    for step, views in enumerate(batches(bank, everything, config, start), start):
        torch.manual_seed(config["seed"] * 1_000_003 + step)
        for group in optimiser.param_groups:
            group["lr"] = rate_at(config, step)
        n, _, h, w = views.photo.shape
        row = torch.linspace(0, 1, h)[None, None, :, None].expand(n, 1, h, w)
        # bfloat16 halves the time of a step on processors that have it; the weights stay float32.
        with torch.autocast("cpu", torch.bfloat16, enabled=config["bfloat16"]):
            out = network(views.photo.to(memory_format=torch.channels_last), row)
        terms = losses(*(o.float() for o in out), views)
        take_step(parts, terms, TERMS, min(config["average"], (step + 1) / (step + 10)))
        run.log(step, {name: float(value.detach()) for name, value in terms.items()})
        if (step + 1) % config["validate_every"] == 0 or step + 1 == config["steps"]:
            figures = check(average, held_back, phase_at(config, step)["width"]) if held_back else {}
            keep(run, "classes", step + 1, parts, figures, score(figures), config, photos)
    return run.best_figures


classes = recipe_command(
    "classes",
    train,
    "Train the class network on labelled photos.",
)
