# SPDX-License-Identifier: Apache-2.0
"""The recipe of the generator network, beside its closed form: mirrored plate, confidence by distance, plain blend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stillflow_export.networks.generator import GeneratorNetwork, build_generator_network
from stillflow_training.generator_loops import (
    SHOWN,
    Loops,
    Moment,
    draw_loops,
    path_change,
    play,
    repainted,
)
from stillflow_training.generator_samples import draw_cuts
from stillflow_training.labels import LabelledPhoto
from stillflow_training.procedural import Pictures
from stillflow_training.procedural.plane import blur
from stillflow_training.recipe import recipe_command
from stillflow_training.run_folder import Run, keep, take_step

VALIDATION_SEED = 4321
"""Held-back cuts and loops are the same in every validation."""

STEP = 1 / 30
"""Of a cycle: frames between which flicker is measured."""

FINE = 1.5
"""Samples: what is finer than this Gaussian counts as detail."""

MOMENTS = 3
"""Of each loop in a batch; a step looks at one."""

POOL = 24
"""Batches of loops that are kept; each step learns from one of them."""

FRESH = 4
"""Steps after which the oldest batch makes way for a new one: drawing one takes as long as a step."""


def masked_square(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference inside a mask (n, h, w)."""
    return ((a - b).square().mean(1) * mask).sum() / (mask.sum() + 1)


def contrast(frame: Tensor) -> Tensor:
    """Local contrast of fine detail, (n, 1, h, w): root of the mean energy around a place."""
    fine = frame.mean(1, keepdim=True)
    fine = fine - blur(fine, FINE)
    return (nn.functional.avg_pool2d(fine.square(), 5, 1, 2) + 1e-5).sqrt()


def tensors(batch: dict[str, Any]) -> dict[str, Tensor]:
    """NumPy arrays to tensors, by name."""
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in batch.items()}


def psnr(square: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error of values 0..1."""
    return round(float(-10 * np.log10(max(square, 1e-10))), 3)


def losses(loops: Loops, moments: Sequence[Moment], plate: Tensor, trust: Tensor) -> dict[str, Tensor]:
    """What is wrong with loops after the network spoke.

    Args:
        loops: as the closed form prepares them.
        moments: of them that are looked at.
        plate: (n, 3, h, w), the network's.
        trust: (n, 2, h, w), the network's.

    Returns:
        frame: squared error of frames in units of 1/20; lost: the same where at most one source is valid;
        gone: where none is; detail: lacking or excess contrast there; surface: error of the painted mean near the edge.
    """
    painted, inside = repainted(loops, plate, trust)
    terms: dict[str, list[Tensor]] = {"frame": [], "lost": [], "gone": [], "detail": []}
    for moment in moments:
        made = play(painted, inside, moment)
        lost = loops.judged * (torch.minimum(*moment.sure) < SHOWN)
        terms["frame"].append(masked_square(made, moment.truth, loops.judged))
        terms["lost"].append(masked_square(made, moment.truth, lost))
        gone = loops.judged * (torch.maximum(*moment.sure) < SHOWN)
        terms["gone"].append(masked_square(made, moment.truth, gone))
        terms["detail"].append(masked_square(contrast(made), contrast(moment.truth), lost))
    near = ((1 - loops.known) * (blur(loops.known, 4.0) > 0.02)).squeeze(1)
    surface = blur(loops.surface, 2.0)
    mean = {name: 20 * torch.stack(values).mean() for name, values in terms.items()}
    return {**mean, "surface": ((plate - surface).abs().mean(1) * near).sum() / (near.sum() + 1)}


def validate(
    network: nn.Module, photos: list[LabelledPhoto], size: tuple[int, int], batches: int = 6
) -> dict[str, Any]:
    """Measure the network on held-back photos and on loops over scenes made of them, beside the closed form.

    Returns:
        plate_network and plate_push_pull: PSNR in dB of hidden parts of real layers; blend_network and
        blend_closed: PSNR inside the moving area of loops; one_...: where one source is invalid; lost_...: where
        both are; scene_...: inside the moving area against the scene's own frames, where what motion fields and
        gathers lose counts too; flicker_...: mean change along the path in 1/255; detail_...: energy over the truth's.
    """
    rng = np.random.default_rng(VALIDATION_SEED)
    generator = torch.Generator().manual_seed(VALIDATION_SEED)
    pictures = Pictures.of_labels(photos)
    totals: dict[str, list[float]] = {}
    count = 8

    def add(name: str, value: Tensor) -> None:
        totals.setdefault(name, []).append(float(value))

    with torch.no_grad():
        for _ in range(batches):
            cuts = tensors(draw_cuts(rng, photos, count, size))
            add("plate_network", masked_square(network(cuts["field"])[0], cuts["truth"], cuts["hidden"]))
            add("plate_push_pull", masked_square(cuts["field"][:, 0:3], cuts["truth"], cuts["hidden"]))
            loops = draw_loops(generator, pictures, count, size, 2, STEP, exact=True)
            plate, trust = network(loops.field)
            for name, ours in (("network", True), ("closed", False)):
                painted, inside = repainted(loops, plate, trust) if ours else (loops.plate, loops.inside)
                last: Tensor | None = None
                for moment in loops.moments:
                    made = play(painted, inside, moment)
                    least, most = torch.minimum(*moment.sure), torch.maximum(*moment.sure)
                    for what, where in (
                        ("blend", loops.judged),
                        ("one", loops.judged * (least < SHOWN) * (most >= SHOWN)),
                        ("lost", loops.judged * (most < SHOWN)),
                    ):
                        error = (made - moment.truth).square().mean(1)
                        add(f"{what}_{name}", (error * where).sum())
                        add(f"{what}_pixels", where.sum())
                    error = (made - moment.scene).square().mean(1)
                    add(f"scene_{name}", (error * loops.judged).sum())
                    add("scene_pixels", loops.judged.sum())
                    for what, frame in (("detail", made), ("true", moment.truth)):
                        add(f"{what}_{name}", (contrast(frame).squeeze(1).square() * loops.judged).sum())
                    if last is not None:
                        add(f"flicker_{name}", path_change(last, made, loops.travel, STEP, loops.judged))
                    last = made if last is None else None
    return _figures({name: float(np.sum(values)) for name, values in totals.items()}, batches)


def _figures(sums: dict[str, float], batches: int) -> dict[str, Any]:
    """Figures of ``validate`` from sums over all batches."""
    found: dict[str, Any] = {
        name: psnr(sums[name] / batches) for name in ("plate_network", "plate_push_pull")
    }
    for name in ("network", "closed"):
        for what in ("blend", "one", "lost", "scene"):
            # Pixels are counted for the network and for the closed form, so twice.
            pixels = max(sums[f"{what}_pixels"] / 2, 1)
            found[f"{what}_{name}"] = psnr(sums[f"{what}_{name}"] / pixels)
        found[f"flicker_{name}"] = round(255 * sums[f"flicker_{name}"] / batches / 2, 4)
        found[f"detail_{name}"] = round(sums[f"detail_{name}"] / max(sums[f"true_{name}"], 1e-9), 4)
    return found


def score(figures: dict[str, Any]) -> float:
    """One number to choose weights by: dB gained over the closed forms, less what flickers or lacks detail."""
    if not figures:
        return 0.0
    gain = figures["blend_network"] - figures["blend_closed"]
    gain += 0.3 * (figures["lost_network"] - figures["lost_closed"])
    gain += 0.3 * (figures["plate_network"] - figures["plate_push_pull"])
    flicker = max(0.0, figures["flicker_network"] / max(figures["flicker_closed"], 1e-6) - 1)
    return float(gain - 5 * flicker - 10 * max(0.0, 0.92 - figures["detail_network"]))


class LoopPool:
    """Batches of loops by number, drawn once and kept as long as they are learnt from."""

    def __init__(self, pictures: Pictures, seed: int, count: int, size: tuple[int, int]) -> None:
        self.pictures, self.seed, self.count, self.size = pictures, seed, count, size
        self._kept: dict[int, Loops] = {}

    def at(self, step: int) -> Loops:
        """The batch of a step: any of the last ``POOL`` numbers, so that a resumed run learns from the same."""
        newest = step // FRESH
        oldest = max(0, newest - POOL + 1)
        number = int(np.random.default_rng([self.seed, step, 7]).integers(oldest, newest + 1))
        for old in [n for n in self._kept if n < oldest]:
            del self._kept[old]
        if number not in self._kept:
            drawn = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
            self._kept[number] = draw_loops(drawn, self.pictures, self.count, self.size, MOMENTS)
        return self._kept[number]


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
    pool = LoopPool(Pictures.of_labels(learn), config["seed"], config["batch"], size)
    for step in range(run.resume(parts), config["steps"]):
        rng = np.random.default_rng([config["seed"], step])
        cuts = tensors(draw_cuts(rng, learn, max(1, config["batch"] // 4), size))
        loops = pool.at(step)
        turn = math.cos(math.pi * step / config["steps"])
        rate = config["rate"] * min(1.0, (step + 1) / 100) * (0.02 + 0.49 * (1 + turn))
        for group in optimiser.param_groups:
            group["lr"] = rate
        network.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=config["bfloat16"]):
            plate, trust = network(torch.cat([cuts["field"], loops.field]))
        plate, trust, first = plate.float(), trust.float(), len(cuts["field"])
        hidden = ((plate[:first] - cuts["truth"]).abs().mean(1) * cuts["hidden"]).sum() / cuts["hidden"].sum()
        moments = loops.moments[step % len(loops.moments) :][:1]
        terms = {"plate": hidden, **losses(loops, moments, plate[first:], trust[first:])}
        take_step(parts, terms, config["terms"], min(config["average"], (step + 1) / (step + 10)), clip=1.0)
        run.log(step, {name: float(value.detach()) for name, value in terms.items()})
        if (step + 1) % config["validate_every"] == 0 or step + 1 == config["steps"]:
            figures = validate(average, check, size, config["validation_batches"]) if check else {}
            keep(run, "generator", step + 1, parts, figures, score(figures), config, photos)
    return run.best_figures


generator = recipe_command(
    "generator",
    train,
    "Train the generator network on hidden parts of photos and on procedural loops.",
)
