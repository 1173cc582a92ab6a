# SPDX-License-Identifier: Apache-2.0
"""Weights of ours and imported ones, read: networks in eval mode, and the graphs they become."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import torch
from safetensors import safe_open
from torch import nn

from stillflow.errors import StillflowError
from stillflow_export.checkpoints.families import FAMILIES
from stillflow_export.checkpoints.receipt import AGAIN, ImportReceipt, encode_receipt
from stillflow_export.checkpoints.weights_file import read_weights, weights_path
from stillflow_export.graphs import own_trained, training_receipt
from stillflow_export.networks.flow import build_flow_network, load_flow_network
from stillflow_export.networks.generator import build_generator_network, load_generator_network
from stillflow_export.networks.published.hinted_flow import HintedFlow
from stillflow_export.networks.published.text_flow import TextFlow
from stillflow_export.plan import Trained
from stillflow_export.published_graphs import (
    generator_parts,
    generator_plans,
    hinted_flow_plan,
    text_flow_plan,
)

Weights = Mapping[str, torch.Tensor]


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
        return load_trained(weights)
    # safetensors raises an exception type of its own; torch a RuntimeError that names the tensors.
    try:
        graph = graph or _own_graph(weights)
        load = {"flow": load_flow_network, "generator": load_generator_network}[graph]
        network = load(weights)
    except Exception as error:
        why = error.why if isinstance(error, StillflowError) else " ".join(str(error).split())[:400]
        fix = (
            "give a safetensors file that a recipe wrote, or make one of a published checkpoint with "
            "`stillflow-export import`"
        )
        raise StillflowError(what, why, fix) from error
    return own_trained(graph, network, weights, training_receipt(weights))


def load_trained(path: Path) -> Trained:
    """Read weights that ``stillflow-export import`` wrote; nothing in them is trusted.

    Args:
        path: NAME.safetensors or NAME.json, or their common name.

    Raises:
        StillflowError: a file is missing or damaged, they do not belong together, or the tensors are not those of
            the network that the receipt names.
    """
    weights, receipt = read_weights(path)
    file = weights_path(path)
    what = f"cannot use the weights {file}"
    if receipt.family not in _FAMILIES:
        known = ", ".join(_FAMILIES)
        raise StillflowError(what, f"their family is '{receipt.family[:100]}', known are {known}", AGAIN)
    if receipt.width % FAMILIES[receipt.family].multiple:
        raise StillflowError(what, f"their receipt says a width of {receipt.width}", AGAIN)
    made = _FAMILIES[receipt.family](weights, receipt, what)
    told = f"{receipt.source_name}, {receipt.checkpoint.name}, sha256 {receipt.sha256}"
    where = f", {receipt.source_url}" if receipt.source_url else ""
    return replace(
        made,
        source=made.source or f"imported from {told}{where}",
        licence=receipt.licence,
        weights=file,
        licence_note=receipt.licence_note,
        loop=dict(receipt.loop),
    )


def _generator(weights: Weights, receipt: ImportReceipt, what: str) -> Trained:
    layered = receipt.family == "layered_generator"
    network = _filled(lambda: nn.ModuleDict(generator_parts(receipt.width, layered=layered)), weights, what)
    plans = generator_plans(dict(network.named_children()), receipt.width)
    return Trained(plans=plans, source="", licence="", receipt=_plain(receipt))


def _hinted_flow(weights: Weights, receipt: ImportReceipt, what: str) -> Trained:
    bounded = receipt.options.get("activation") == "tanh"
    scale, hint_scale = (_number(receipt, key, what) for key in ("scale", "hint_scale"))
    network = _filled(lambda: HintedFlow(receipt.width, bounded=bounded, scale=scale), weights, what)
    plan = hinted_flow_plan(network, scale=scale if bounded else None, hint_scale=hint_scale)
    return Trained(plans=(plan,), source="", licence="", receipt=_plain(receipt))


def _text_flow(weights: Weights, receipt: ImportReceipt, what: str) -> Trained:
    scale = _number(receipt, "scale", what)
    network = _filled(lambda: TextFlow(receipt.width, scale=scale), weights, what)
    plan = text_flow_plan(network, scale=scale)
    return Trained(plans=(plan,), source="", licence="", receipt=_plain(receipt))


def _edge_flow(weights: Weights, receipt: ImportReceipt, what: str) -> Trained:
    # Its filters of edges are no weights and so not in the file: a network built without memory lacks them.
    network = build_flow_network()
    network.load_state_dict(_filled(build_flow_network, weights, what).state_dict())
    return own_trained("flow", network.eval(), receipt=receipt.training)


def _edge_generator(weights: Weights, receipt: ImportReceipt, what: str) -> Trained:
    return own_trained("generator", _filled(build_generator_network, weights, what), receipt=receipt.training)


_FAMILIES: dict[str, Callable[[Weights, ImportReceipt, str], Trained]] = {
    "feature_generator": _generator,
    "layered_generator": _generator,
    "hinted_flow": _hinted_flow,
    "text_flow": _text_flow,
    "edge_flow": _edge_flow,
    "edge_generator": _edge_generator,
}


def _filled(build: Callable[[], nn.Module], weights: Weights, what: str) -> nn.Module:
    """Return a network with these weights, which are exactly its own, in eval mode.

    It is built without memory, so a receipt cannot ask for more than its weights take.
    """
    with torch.device("meta"):
        network = build()
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if expected != found:
        either = sorted(expected.keys() | found.keys())
        wrong = [name for name in either if expected.get(name) != found.get(name)]
        why = f"{len(wrong)} tensors are missing, misshapen or too many, such as {', '.join(wrong[:4])}"
        raise StillflowError(what, why, AGAIN)
    for name, value in weights.items():
        if not bool(torch.isfinite(value).all()):
            raise StillflowError(what, f"{name} holds NaN or infinite values", AGAIN)
    network.load_state_dict(dict(weights), assign=True)
    return network.eval()


def _number(receipt: ImportReceipt, key: str, what: str) -> float:
    value = receipt.options.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1e-3 <= value <= 1e3:
        raise StillflowError(what, f"their receipt's option {key} is {str(value)[:80]}", AGAIN)
    return float(value)


def _plain(receipt: ImportReceipt) -> dict[str, object]:
    made: dict[str, object] = msgspec.json.decode(encode_receipt(receipt))
    return made


def _own_graph(weights: Path) -> str:
    """Tell our networks' weights apart by the names of their tensors."""
    with safe_open(weights, "pt") as file:
        roots = {name.partition(".")[0] for name in file.keys()}  # noqa: SIM118 - not a dict
    if {"classes", "velocity"} <= roots:
        return "flow"
    if {"stem", "context"} <= roots:
        return "generator"
    raise ValueError(f"its tensors belong to no network of ours: {', '.join(sorted(roots)[:6])}")
