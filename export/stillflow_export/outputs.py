# SPDX-License-Identifier: Apache-2.0
"""Who makes each output by default: the network where it beat its closed form on held-back data, else that.

Imported networks make what they were imported for: nothing of ours was measured against them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stillflow.bundle.manifest import OUTPUT_CHOICES
from stillflow.errors import StillflowError

_GENERATOR_FIGURES = {
    "plate": ("push_pull", "plate_network", "plate_push_pull"),
    "blend": ("variance_preserving", "blend_network", "blend_closed"),
}
"""Output: (closed form, network's figure, closed form's figure); PSNR in dB on held-back photos."""

_DECODED = {"plate": "decoder", "blend": "symmetric_splat"}
"""What a bundle with a decoder is played by; the loop rule leaves no choice."""

_OPTION = {"scene_flow": "--flow", "encoder": "--generator", "decoder": "--generator"}
"""Graph -> where its weights are given, when that is not its own name."""


@dataclass(frozen=True)
class Decision:
    """Who makes one output.

    Attributes:
        chosen: "network", an imported graph, or the closed form's name.
        why: the reason in words.
        figures: what was compared, by name.
    """

    chosen: str
    why: str
    figures: Mapping[str, float] = field(default_factory=dict)


def decide_outputs(receipts: Mapping[str, Mapping[str, Any]], said: Mapping[str, str]) -> dict[str, Decision]:
    """Decide from the training receipts.

    Args:
        receipts: graph name -> its training receipt ({} when there is none); all graphs that the bundle gets.
        said: output -> choice, or "choice: the reason"; wins over the receipts.

    Returns:
        A decision for every output of the manifest.

    Raises:
        StillflowError: an unknown output or choice was said, or one whose graph is not there.
    """
    split = {output: text.partition(":") for output, text in said.items()}
    for output, (choice, _, _) in split.items():
        choices = OUTPUT_CHOICES.get(output)
        what = f"cannot let {choice} make the output {output}"
        if choices is None:
            raise StillflowError(what, "there is no such output", f"name one of {', '.join(OUTPUT_CHOICES)}")
        if choice not in choices:
            raise StillflowError(what, "it is not one of its choices", f"choose {' or '.join(choices)}")
        graph = choices[choice]
        if graph is not None and graph not in receipts:
            fix = f"give weights with {_OPTION.get(graph, f'--{graph}')}"
            raise StillflowError(what, f"the bundle gets no graph {graph}", fix)
        if "decoder" in receipts and choice != _DECODED.get(output, choice):
            why = f"an imported generator's frames are made by {_DECODED[output]}"
            raise StillflowError(what, why, "leave that output out")
    decisions = {
        "velocity_unguided": Decision("network", "there is no closed form"),
        "matte": Decision("network", "there is no closed form"),
        "velocity_guided": _velocity_guided(_validation(receipts, "flow")),
    }
    for output in _GENERATOR_FIGURES:
        decisions[output] = _of_generator(output, receipts)
    if "decoder" in receipts:
        for output, choice in _DECODED.items():
            decisions[output] = Decision(choice, "the imported generator makes whole frames")
    if "scene_flow" in receipts:
        for output in ("velocity_unguided", "velocity_guided"):
            decisions[output] = Decision("scene_flow", "the imported flow network was asked for")
    for output, (choice, _, reason) in split.items():
        why = f"said at export: {reason.strip()}" if reason.strip() else "said at export"
        decisions[output] = Decision(choice, why, decisions[output].figures)
    return decisions


def _validation(receipts: Mapping[str, Mapping[str, Any]], graph: str) -> Mapping[str, Any]:
    figures = receipts.get(graph, {}).get("validation", {})
    return figures if isinstance(figures, Mapping) else {}


def _velocity_guided(validation: Mapping[str, Any]) -> Decision:
    """Compare mean relative velocity errors over 1, 3 and 5 arrows; smaller is better."""
    errors = validation.get("velocity_error", {})
    try:
        pairs = [(float(e["network"]), float(e["rbf"])) for e in errors.values()]
    except (AttributeError, KeyError, TypeError, ValueError):
        pairs = []
    if not pairs or not all(math.isfinite(v) for pair in pairs for v in pair):
        return Decision("rbf", "the training receipt has no figures to compare, so the closed form runs")
    network, rbf = (sum(pair[i] for pair in pairs) / len(pairs) for i in (0, 1))
    figures = {"network": round(network, 4), "rbf": round(rbf, 4)}
    better = "smaller" if network < rbf else "not smaller"
    why = f"the network's mean relative velocity error on held-back scenes, 1 to 5 arrows, is {better}"
    return Decision("network" if network < rbf else "rbf", why, figures)


def _of_generator(output: str, receipts: Mapping[str, Mapping[str, Any]]) -> Decision:
    """Compare PSNRs on held-back photos; larger is better."""
    closed, ours, theirs = _GENERATOR_FIGURES[output]
    if "generator" not in receipts:
        return Decision(closed, "the bundle has no generator graph")
    validation = _validation(receipts, "generator")
    try:
        network, form = float(validation[ours]), float(validation[theirs])
    except (KeyError, TypeError, ValueError):
        return Decision(closed, "the training receipt has no figures to compare, so the closed form runs")
    better = "higher" if network > form else "not higher"
    why = f"the network's PSNR on held-back photos is {better} than the closed form's"
    return Decision("network" if network > form else closed, why, {"network": network, closed: form})
