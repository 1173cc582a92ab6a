# SPDX-License-Identifier: Apache-2.0
"""The recipe of the flow network: joins its two trained halves and measures the whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import torch
from safetensors.torch import load_file
from torch import nn

from stillflow.errors import StillflowError
from stillflow.flow import LONG_SIDE
from stillflow_export.graphs import FLOW_OUTPUTS
from stillflow_export.networks.flow import build_flow_network
from stillflow_training.flow_sheets import write_sheets
from stillflow_training.flow_validation import FloatArray, Predict, validate
from stillflow_training.labels import read_labels
from stillflow_training.run_folder import open_run, photo_credits, save_weights

HALVES = ("classes", "velocity")
"""Names of the two networks' recipes, weights and parts of the flow network."""


def predictor(network: nn.Module) -> Predict:
    """Wrap a flow network in eval mode as a function of NumPy arrays."""

    def predict(photo: FloatArray, hints: FloatArray) -> dict[str, FloatArray]:
        with torch.no_grad():
            out = network(torch.from_numpy(photo[None]), torch.from_numpy(hints[None]))
        return {tensor.name: o[0].numpy() for tensor, o in zip(FLOW_OUTPUTS, out, strict=True)}

    return predict


def join(halves: dict[str, Path]) -> nn.Module:
    """Put two halves' weights into one flow network, in eval mode.

    Args:
        halves: weights (safetensors) by name.

    Raises:
        StillflowError: a file is missing or not that network's.
    """
    network = build_flow_network()
    for name, path in halves.items():
        try:
            getattr(network, name).load_state_dict(load_file(path))
        except (OSError, RuntimeError, ValueError) as error:
            raise StillflowError(
                f"cannot use {path} as the {name} network",
                f"it is missing or has other tensors ({str(error).splitlines()[0]})",
                f"train it with: python -m stillflow_training {name} --data DATA --out {path.parent}",
            ) from error
    return network.eval()


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Folder with photos/, labels/, LICENCES.csv.")
@click.option(
    "--classes", "classes_run", type=click.Path(path_type=Path), required=True, help="Run of `classes`."
)
@click.option(
    "--velocity", "velocity_run", type=click.Path(path_type=Path), required=True, help="Run of `velocity`."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for weights and receipt.")
@click.option("--long-side", default=LONG_SIDE, show_default=True, help="Size the network sees photos at.")
@click.option("--scenes", default=60, show_default=True, help="Procedural scenes for the velocity error.")
@click.option("--threads", default=2, show_default=True, help="CPU threads.")
def flow(
    data: Path | None,
    classes_run: Path,
    velocity_run: Path,
    out: Path,
    long_side: int,
    scenes: int,
    threads: int,
) -> None:
    """Join a class network and a velocity network, and measure them on the held-back photos."""
    torch.set_num_threads(threads)
    runs = dict(zip(HALVES, (classes_run, velocity_run), strict=True))
    network = join({name: run / f"{name}.safetensors" for name, run in runs.items()})
    photos = read_labels(data)
    assert data is not None  # read_labels refuses None.
    held_back = [p for p in photos if p.split == "val"]
    predict = predictor(network)
    figures: dict[str, Any] = validate(predict, held_back, long_side, scenes) if held_back else {}
    run = open_run(out, data)
    save_weights(network, out / "flow.safetensors")
    parts = {name: json.loads((run / f"{name}.receipt.json").read_text()) for name, run in runs.items()}
    config = {"long_side": long_side} | {
        name: {key: part[key] for key in ("config", "step", "validation")} for name, part in parts.items()
    }
    weights = sum(p.numel() for p in network.parameters())
    credits = photo_credits(data, [p for p in photos if p.split == "train"])
    run.write_receipt("flow", config, figures, sum(p["step"] for p in parts.values()), weights, credits)
    for name, part in runs.items():
        (out / f"{name}.curve.png").write_bytes((part / f"{name}.curve.png").read_bytes())
    if held_back:
        write_sheets(predict, held_back, long_side, out)
    click.echo(f"{out}: {json.dumps(figures)}", err=True)
