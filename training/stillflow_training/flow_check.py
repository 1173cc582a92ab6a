# SPDX-License-Identifier: Apache-2.0
"""``python -m stillflow_training flow-check``: measure weights on the held-back photos and show them."""

from __future__ import annotations

import json
from pathlib import Path

import click
import torch

from stillflow.errors import StillflowError
from stillflow_export.networks.flow import load_flow_network
from stillflow_training.flow_recipe import predictor
from stillflow_training.flow_sheets import write_sheets
from stillflow_training.flow_validation import validate
from stillflow_training.labels import read_labels


@click.command()
@click.option("--weights", type=click.Path(path_type=Path), required=True, help="flow.safetensors")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder with photos/, labels/, LICENCES.csv.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for figures.json and sheets."
)
@click.option("--split", default="val", show_default=True, help="Photos to measure on: val or train.")
@click.option("--long-side", default=192, show_default=True, help="Size the network sees photos at.")
@click.option("--scenes", default=60, show_default=True, help="Procedural scenes for the velocity error.")
@click.option("--threads", default=1, show_default=True, help="CPU threads.")
def flow_check(
    weights: Path, data: Path, out: Path, split: str, long_side: int, scenes: int, threads: int
) -> None:
    """Measure a flow network on labelled photos: figures beside baselines, and contact sheets."""
    torch.set_num_threads(threads)
    predict = predictor(load_flow_network(weights))
    photos = [photo for photo in read_labels(data) if photo.split == split]
    if not photos:
        raise StillflowError(
            f"cannot measure on the split {split!r}",
            f"no labelled photo in {data} belongs to it",
            "give val or train",
        )
    out.mkdir(parents=True, exist_ok=True)
    figures = validate(predict, photos, long_side, scenes)
    (out / "figures.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    write_sheets(predict, photos, long_side, out)
    click.echo(json.dumps(figures, indent=1))
