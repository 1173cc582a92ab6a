# SPDX-License-Identifier: Apache-2.0
"""The graphs of our own networks: names, shapes and meanings of what goes in and comes out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from stillflow.bundle.manifest import Tensor
from stillflow.errors import StillflowError
from stillflow.flow import LONG_SIDE as FLOW_SIDE
from stillflow.generator import LONG_SIDE as GENERATOR_SIDE
from stillflow.motion import CLASS_NAMES
from stillflow_export.plan import GraphPlan, Trained
from stillflow_export.samples import flow_samples, generator_samples

MULTIPLE = 32
"""The networks halve their input up to five times."""

LICENCE = "Apache-2.0"
"""Of our own weights."""

OWN_GRAPHS = ("flow", "generator")
"""Names of our own networks' graphs; imported networks have others."""


def is_own(trained: Trained) -> bool:
    """Whether weights are of our own networks, not imported."""
    return all(plan.name in OWN_GRAPHS for plan in trained.plans)


def image(
    name: str,
    meaning: str,
    channels: tuple[str, ...],
    bounds: tuple[float, float] | None = None,
    *,
    halved: bool = False,
) -> Tensor:
    """Describe an input or an output of the picture's size, or of half of it: float32, NCHW."""
    share = "/2" if halved else ""
    shape = (1, len(channels), f"height{share}", f"width{share}")
    return Tensor(name=name, dtype="float32", shape=shape, meaning=meaning, channels=channels, range=bounds)


FLOW_INPUTS = (
    image("photo", "the photo, sRGB", ("red", "green", "blue"), (0.0, 1.0)),
    image(
        "hints",
        "what the user asked for; all zero but the last channel when nothing was",
        (
            "1 where the user's mask or still map says something",
            "there: 1 moves, 0 still",
            "1 on an arrow's path, falling to 0.1 far from all; 0 when there is none",
            "x velocity of the arrows continued everywhere, picture widths a second times 10",
            "y velocity, likewise",
            "vertical coordinate: 0 at the top, 1 at the bottom",
        ),
    ),
)
FLOW_OUTPUTS = (
    image("classes", "logits of what each place is", CLASS_NAMES, halved=True),
    image("moves", "logit of whether it moves", ("moves",), halved=True),
    image("velocity", "picture widths a second, times 10; x right, y down", ("x", "y"), halved=True),
    image(
        "spread",
        "natural logarithm of the expected error of the velocity, in its unit",
        ("spread",),
        halved=True,
    ),
    image("either", "logit of whether the opposite direction would be as true", ("either",), halved=True),
    Tensor(
        name="suited",
        dtype="float32",
        shape=(1, 1, 1, 1),
        meaning="logit of whether a loop of the photo can look right",
        channels=("suited",),
    ),
)
GENERATOR_INPUTS = (
    image(
        "field",
        "the moving layer at a quarter of the picture's size",
        (
            "red of the plate, 0 to 1: the layer, continued beyond its edge by the closed form",
            "green, likewise",
            "blue, likewise",
            "1 where the photo shows the layer",
            "confidence that a place belongs to the layer, 0 to 1",
            "x displacement over one cycle, field pixels divided by 32",
            "y displacement, likewise",
            "luma of the photo, 0 to 1",
            "red minus blue of the photo",
        ),
    ),
)
GENERATOR_OUTPUTS = (
    image("plate", "local mean of the layer's colours, sRGB", ("red", "green", "blue"), (0.0, 1.0)),
    image(
        "trust",
        "how to paint what lies beyond the layer's edge, and how far to trust each place as a source",
        ("share of the texture to keep, 0 to 1", "what to add to the confidence"),
    ),
)


def own_trained(
    graph: str, network: nn.Module, weights: Path | None = None, receipt: Mapping[str, Any] | None = None
) -> Trained:
    """Return one of our networks with all that its graph needs.

    Args:
        graph: "flow" or "generator".
        network: with its weights.
        weights: the safetensors file they came from.
        receipt: what the training measured, as the recipe wrote it. The flow network runs at the size that was
            validated: it knows things at the scale it learnt them.

    Raises:
        KeyError: another graph.
    """
    side = int((receipt or {}).get("config", {}).get("long_side", FLOW_SIDE))
    plan = {
        "flow": partial(
            GraphPlan,
            what="photo and hints to classes, what moves, and velocity",
            inputs=FLOW_INPUTS,
            outputs=FLOW_OUTPUTS,
            samples=partial(flow_samples, long_side=side),
            long_side=side,
        ),
        "generator": partial(
            GraphPlan,
            what="moving layer to the colours its motion uncovers, and how far to trust them",
            inputs=GENERATOR_INPUTS,
            outputs=GENERATOR_OUTPUTS,
            samples=generator_samples,
            long_side=GENERATOR_SIDE,
        ),
    }[graph]
    source = "trained with stillflow_training"
    if receipt is not None:
        command = receipt.get("command", "stillflow_training")
        source = f"trained from nothing by `{command}`, {receipt.get('step', '?')} steps"
    made = plan(name=graph, network=network, multiple=MULTIPLE, half_weights=True)
    return Trained(plans=(made,), source=source, licence=LICENCE, weights=weights, receipt=receipt)


def training_receipt(weights: Path) -> dict[str, Any] | None:
    """Read what a recipe wrote beside its weights, NAME.receipt.json; None where there is none.

    Raises:
        StillflowError: it cannot be read, or is no object.
    """
    path = weights.with_suffix(".receipt.json")
    if not path.is_file():
        return None
    what, fix = f"cannot read the receipt {path}", "train again, or remove it"
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise StillflowError(what, str(error)[:200], fix) from error
    if not isinstance(content, dict):
        raise StillflowError(what, "it is not an object", fix)
    return content
