# SPDX-License-Identifier: Apache-2.0
"""A recipe as a command: labelled photos and a config file in, a run's folder out."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import click
import cv2
import torch

from stillflow_training.labels import LabelledPhoto, read_labels
from stillflow_training.run_folder import Run, open_run

T = TypeVar("T")

AHEAD = 4
"""Batches that are drawn before they are needed."""

Train = Callable[[Run, list[LabelledPhoto], dict[str, Any]], dict[str, Any]]
"""Trains from the run's last checkpoint if it has one, and returns the best weights' figures."""


def drawn_ahead(draw: Callable[[int], T], start: int, steps: int) -> Iterator[T]:
    """Draw the batches of steps start..steps-1 in a thread of their own, a few ahead; what fails there fails here."""
    with ThreadPoolExecutor(1) as thread:
        waiting = deque(thread.submit(draw, step) for step in range(start, min(start + AHEAD, steps)))
        for step in range(start, steps):
            batch = waiting.popleft().result()
            if step + AHEAD < steps:
                waiting.append(thread.submit(draw, step + AHEAD))
            yield batch


def recipe_command(name: str, train: Train, summary: str) -> click.Command:
    """Return the command of one network's recipe.

    Args:
        name: of the network; configs/NAME.json is its configuration.
        train: the recipe.
        summary: one sentence for --help.
    """

    @click.command(name=name, help=summary)
    @click.option(
        "--data", type=click.Path(path_type=Path), help="Folder with photos/, labels/, LICENCES.csv."
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
        help=f"JSON file; {name}.json of this package by default.",
    )
    @click.option("--threads", default=2, show_default=True, help="CPU threads.")
    def command(data: Path | None, out: Path, config: Path | None, threads: int) -> None:
        torch.set_num_threads(threads)
        cv2.setNumThreads(1)
        path = config or Path(__file__).with_name("configs") / f"{name}.json"
        settings = json.loads(path.read_text(encoding="utf-8"))
        photos = read_labels(data, settings["long_side"])
        assert data is not None  # read_labels refuses None.
        started = time.time()
        run = open_run(out, data)
        train(run, photos, settings)
        click.echo(
            f"{out}: best {json.dumps(run.best_figures)} after {time.time() - started:.0f} s", err=True
        )

    return command
