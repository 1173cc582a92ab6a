# SPDX-License-Identifier: Apache-2.0
"""What the commands read: weights with their receipts, and folders of photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stillflow.errors import StillflowError

if TYPE_CHECKING:
    from stillflow_export.plan import Trained

FILE = click.Path(path_type=Path, dir_okay=False)
"""The type of an option that names a file."""


def photos_in(folder: Path | None) -> list[Path]:
    """List the pictures of a folder; without one those of samples/, when it exists."""
    if folder is None:
        folder = Path("samples")
    elif not folder.is_dir():
        raise StillflowError(
            f"cannot read photos from {folder}", "it is not a folder", "name a folder of photos"
        )
    return sorted(p for p in folder.glob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))


def trained_weights(graph: str, weights: Path) -> Trained:
    """Load weights and their receipt."""
    from stillflow_export.graphs import own_trained
    from stillflow_export.networks.flow import load_flow_network
    from stillflow_export.networks.generator import load_generator_network

    load = {"flow": load_flow_network, "generator": load_generator_network}[graph]
    what = f"cannot load the weights {weights}"
    if not weights.is_file():
        raise StillflowError(what, "there is no such file", "train with `make train`, or check the path")
    try:
        network = load(weights)
    # safetensors raises an exception type of its own; torch a RuntimeError that names the tensors.
    except Exception as error:
        why = " ".join(str(error).split())[:400]
        fix = f"give a safetensors file that the recipe of the {graph} network wrote"
        raise StillflowError(what, why, fix) from error
    beside = weights.with_suffix(".receipt.json")
    return own_trained(graph, network, weights, _receipt(beside) if beside.is_file() else None)


def _receipt(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StillflowError(
            f"cannot read the receipt {path}", str(error), "train again, or remove it"
        ) from error
    if not isinstance(content, dict):
        raise StillflowError(
            f"cannot read the receipt {path}", "it is not an object", "train again, or remove it"
        )
    return content
