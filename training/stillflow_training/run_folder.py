# SPDX-License-Identifier: Apache-2.0
"""A training run's folder: checkpoint, log, best weights, receipt and curve."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from stillflow_training.labels import LabelledPhoto, licence_rows


@dataclass
class Run:
    """One run. ``log.jsonl`` has a line every 20 steps, ``validation.jsonl`` one a validation."""

    folder: Path
    data: Path
    best_score: float = float("-inf")
    best_figures: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.time)
    _sums: dict[str, float] = field(default_factory=dict)
    _figures: dict[str, Any] = field(default_factory=dict)

    def log(self, step: int, terms: dict[str, float]) -> None:
        """Add one step's losses; every 20 steps their means go to the log."""
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, 0.0) + value / 20
        if (step + 1) % 20 == 0:
            self._append(
                "log.jsonl", {"step": step + 1, "seconds": round(time.time() - self.started, 1), **self._sums}
            )
            self._sums = {}

    def validated(self, step: int, figures: dict[str, Any]) -> None:
        """Record a validation."""
        self._figures = figures
        self._append("validation.jsonl", {"step": step, **figures})

    def is_best(self, score: float) -> bool:
        """Whether the last validation is the best so far; remembers it if so."""
        if score <= self.best_score:
            return False
        self.best_score, self.best_figures = score, self._figures
        return True

    def save(self, step: int, parts: dict[str, Any]) -> None:
        """Write the state to resume from, in one stroke."""
        state = {name: part.state_dict() for name, part in parts.items()}
        temporary = self.folder / "checkpoint.tmp"
        torch.save(
            {"step": step, "best_score": self.best_score, "best": json.dumps(self.best_figures), **state},
            temporary,
        )
        os.replace(temporary, self.folder / "checkpoint.pt")

    def resume(self, parts: dict[str, Any]) -> int:
        """Load the last state; returns the step to go on with, 0 in a new run."""
        path = self.folder / "checkpoint.pt"
        if not path.is_file():
            return 0
        state = torch.load(path, weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(state[name])
        self.best_score, self.best_figures = state["best_score"], json.loads(state["best"])
        step = int(state["step"])
        # Steps after the checkpoint are taken again: their lines would be in the logs twice.
        for file in ("log.jsonl", "validation.jsonl"):
            log = self.folder / file
            if log.is_file():
                kept = [
                    row
                    for row in log.read_text(encoding="utf-8").splitlines()
                    if json.loads(row)["step"] <= step
                ]
                log.write_text("".join(row + "\n" for row in kept), encoding="utf-8")
        return step

    def write_receipt(
        self,
        name: str,
        config: dict[str, Any],
        figures: dict[str, Any],
        step: int,
        weights: int,
        credits: list[dict[str, str]],
    ) -> None:
        """Write NAME.receipt.json: how the best weights came about and what they are worth."""
        halves = "".join(f" --{half} runs/{half}" for half in ("classes", "velocity") if half in config)
        log = self.folder / "log.jsonl"
        losses = (
            [json.loads(row) for row in log.read_text(encoding="utf-8").splitlines()] if log.is_file() else []
        )
        receipt = {
            "network": name,
            "command": f"python -m stillflow_training {name} --data DATA{halves} --out runs/{name}",
            "config": config,
            "step": step,
            "weights": weights,
            "losses": losses[-1] if losses else {},
            "validation": figures,
            "torch": torch.__version__,
            "machine": platform.machine(),
            "photos": credits,
        }
        (self.folder / f"{name}.receipt.json").write_text(
            json.dumps(receipt, indent=1, ensure_ascii=False), encoding="utf-8"
        )

    def _append(self, file: str, row: dict[str, Any]) -> None:
        with (self.folder / file).open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")


def save_weights(network: nn.Module, path: Path) -> None:
    """Write a network's weights in one stroke, so that who reads them meanwhile gets the old or the new.

    In float16: half the bytes in the repository. The generator's plate moves by at most 2e-4 of its range.
    """
    temporary = path.with_suffix(".tmp")
    rounded = {k: v.half() if v.dtype.is_floating_point else v for k, v in network.state_dict().items()}
    save_file(rounded, temporary)
    temporary.chmod(0o644)
    temporary.replace(path)


def keep(
    run: Run,
    name: str,
    step: int,
    parts: dict[str, Any],
    figures: dict[str, Any],
    score: float,
    config: dict[str, Any],
    photos: list[LabelledPhoto],
) -> None:
    """Record a validation, keep the weights if they are the best so far, and save the state.

    Args:
        run: the run.
        name: of the network.
        step: steps taken.
        parts: to resume from; "average" holds the weights that were measured.
        figures: of the validation.
        score: higher is better.
        config: of the recipe.
        photos: labelled; those of the training split are credited.
    """
    run.validated(step, figures)
    if run.is_best(score):
        save_weights(parts["average"], run.folder / f"{name}.safetensors")
        weights = sum(p.numel() for p in parts["average"].parameters())
        learnt = [p for p in photos if p.split == "train"]
        run.write_receipt(name, config, figures, step, weights, photo_credits(run.data, learnt))
    # After the weights: a run broken in between measures them once more, and none are lost.
    run.save(step, parts)
    write_curve(run, run.folder / f"{name}.curve.png")


def take_step(
    parts: dict[str, Any],
    terms: dict[str, torch.Tensor],
    weights: dict[str, float],
    decay: float,
    clip: float = 2.0,
) -> None:
    """Go down the gradient of a weighted sum of losses, and let the average follow.

    Args:
        parts: "network", "average" and "optimiser".
        terms: losses by name.
        weights: of each term.
        decay: of the average.
        clip: largest norm of the gradient.
    """
    parts["optimiser"].zero_grad()
    torch.stack([weights[name] * value for name, value in terms.items()]).sum().backward()
    nn.utils.clip_grad_norm_(parts["network"].parameters(), clip)
    parts["optimiser"].step()
    update_average(parts["average"], parts["network"], decay)


def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Exponential moving average of weights and of batch norm's statistics."""
    with torch.no_grad():
        for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            if kept.dtype.is_floating_point:
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)


def open_run(folder: Path, data: Path) -> Run:
    """Open or create a run's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return Run(folder, data)


def photo_credits(data: Path, photos: list[LabelledPhoto]) -> list[dict[str, str]]:
    """Name, author, licence and source of every photo that was trained on."""
    names = {p.name for p in photos}
    return [
        {key: row[key] for key in ("file", "author", "licence", "source")}
        for row in licence_rows(data)
        if Path(row["file"]).stem in names and row["file"].startswith("photos/")
    ]


def write_curve(run: Run, path: Path) -> None:
    """Draw losses and validation figures over the steps."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for axis, file in ((left, "log.jsonl"), (right, "validation.jsonl")):
        source = run.folder / file
        rows = [json.loads(line) for line in source.read_text().splitlines()] if source.is_file() else []
        names = sorted(
            {k for row in rows for k, v in row.items() if isinstance(v, (int, float))} - {"step", "seconds"}
        )
        for name in names:
            if "angle_median" in name or "speed_median" in name or name == "static_photos":
                continue
            axis.plot([r["step"] for r in rows], [r.get(name) for r in rows], label=name, linewidth=1)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
        if names:
            axis.legend(fontsize=7)
    left.set_yscale("log")
    left.set_title("training losses")
    right.set_title("held-back photos")
    figure.savefig(path, dpi=90)
    plt.close(figure)
