# SPDX-License-Identifier: Apache-2.0
"""What the commands read: weights with their receipts, and folders of photos."""

from __future__ import annotations

import json
from dataclasses import replace
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


def trained_weights(weights: Path, graph: str | None = None) -> Trained:
    """Load weights with what is known of them.

    Args:
        weights: a safetensors file that a recipe or ``stillflow-export import`` wrote. Beside NAME.safetensors a
            recipe leaves NAME.receipt.json, an import NAME.json.
        graph: which of our own networks they are meant for; None: told by their tensors.

    Raises:
        StillflowError: no such file, or not the weights of a network that is known here.
    """
    what = f"cannot load the weights {weights}"
    if not weights.is_file():
        raise StillflowError(what, "there is no such file", "train with `make train`, or check the path")
    if weights.with_suffix(".json").is_file():
        from stillflow_export.load import load_trained

        return load_trained(weights)
    from stillflow_export.graphs import own_trained
    from stillflow_export.networks.flow import load_flow_network
    from stillflow_export.networks.generator import load_generator_network

    # safetensors raises an exception type of its own; torch a RuntimeError that names the tensors.
    try:
        graph = graph or _own_graph(weights)
        load = {"flow": load_flow_network, "generator": load_generator_network}[graph]
        network = load(weights)
    except Exception as error:
        why = " ".join(str(error).split())[:400]
        fix = (
            "give a safetensors file that a recipe wrote, or make one of a published checkpoint with "
            "`stillflow-export import`"
        )
        raise StillflowError(what, why, fix) from error
    beside = weights.with_suffix(".receipt.json")
    return own_trained(graph, network, weights, _receipt(beside) if beside.is_file() else None)


def _own_graph(weights: Path) -> str:
    """Tell our networks' weights apart by the names of their tensors."""
    from safetensors import safe_open

    with safe_open(weights, "pt") as file:
        roots = {name.partition(".")[0] for name in file.keys()}  # noqa: SIM118 - not a dict
    if {"classes", "velocity"} <= roots:
        return "flow"
    if {"stem", "context"} <= roots:
        return "generator"
    raise ValueError(f"its tensors belong to no network of ours: {', '.join(sorted(roots)[:6])}")


def with_weights_stored(trained: Trained, half: bool | None) -> Trained:
    """Let weights be stored as float16 or whole; None: as the network's plan has it."""
    if half is None:
        return trained
    return replace(trained, plans=tuple(replace(plan, half_weights=half) for plan in trained.plans))


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
