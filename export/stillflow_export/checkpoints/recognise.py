# SPDX-License-Identifier: Apache-2.0
"""Tells which networks a checkpoint holds: by its tensors, never by its file name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from stillflow_export.checkpoints.pickle_machine import Options
from stillflow_export.checkpoints.taking import HasShape

PREFIXES = (
    "model.module.",
    "model.",
    "module.",
    "netG.",
    "motion_regressor.motion_predictor.",
    "motion_predictor.",
)
"""What training scripts put before the names; several may be stacked."""

_IGNORED = re.compile(
    r"(^|\.)(netD|loss_function)\."  # discriminator; a VGG-19 that judged pictures
    r"|(^|\.)(min_z|max_z|discretized_zs)$"  # depth planes of another mode
    r"|xyzs|Z_predictor"
)
"""Beside the network in published files, and of no use in it."""

_NEW_SPECTRAL = {
    "parametrizations.weight.original": "weight_orig",
    "parametrizations.weight.0._u": "weight_u",
    "parametrizations.weight.0._v": "weight_v",
}
"""The newer layout of a spectral norm, as the older one names it."""

GENERATOR, LAYERS = "generator", "layers"
HINTED_FLOW, TEXT_FLOW = "hinted_flow", "text_flow"
EDGE_FLOW, EDGE_GENERATOR = "edge_flow", "edge_generator"
"""What may lie in a checkpoint: the last four are families of their own, the first two make one together."""

_ROOTS = {
    "encoder.gblocks": GENERATOR,
    "projector.eblocks": GENERATOR,
    "net_bg.eblocks": LAYERS,
    "net_alpha_encoder.gblocks": LAYERS,
    "net_alpha_decoder.eblocks": LAYERS,
}
_FLOW = re.compile(r"^(d?conv[1-8]|spade_layer[0-9_]*|attn_(input|middle|output)_block(_[1-4])?)\.")
_POINT_CLOUD = ("feature_net", "img_decoder")


@dataclass
class Recognised:
    """What lies in a checkpoint.

    Attributes:
        parts: network -> its tensors by published name.
        ignored: names that belong to no network of ours, known and unused.
        unknown: all other names.
        options: what the training was told; None when the file does not say.
        container: "state_dict", "netG" or "bare": how the tensors were wrapped.
        prefixes: those that were removed.
        beside: other entries of the file, such as optimisers.
    """

    parts: dict[str, dict[str, HasShape]] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    options: dict[str, Any] | None = None
    container: str = "bare"
    prefixes: set[str] = field(default_factory=set)
    beside: list[str] = field(default_factory=list)


class NotRecognisedError(Exception):
    """No network that can be imported; the message says what was found instead."""


def recognise(content: object) -> Recognised:
    """Sort the tensors of a checkpoint by network.

    Args:
        content: of a `restricted.Checkpoint`.

    Raises:
        NotRecognisedError: with what was found instead.
    """
    if not isinstance(content, dict):
        raise NotRecognisedError(f"it holds a {type(content).__name__} and no tensors by name")
    found = Recognised()
    state: Mapping[Any, Any] = content
    for container in ("state_dict", "netG"):
        inner = content.get(container)
        if isinstance(inner, dict):
            found.container, state = container, inner
            found.beside = sorted(str(key) for key in content if key not in (container, "opts"))
            break
    options = content.get("opts")
    found.options = dict(options) if isinstance(options, Options | dict) else None
    tensors: dict[str, HasShape] = {}
    for key, value in state.items():
        if not isinstance(key, str) or not key.isprintable():  # names are shown to people, in terminals too
            raise NotRecognisedError("its tensors are named by something other than words")
        name = _plain_name(key, found.prefixes)
        if not _is_tensor(value):
            if found.container == "bare":
                found.beside.append(name)
            else:
                found.unknown.append(name)
        elif name in tensors:
            raise NotRecognisedError(f"two of its tensors are named {name} once prefixes are removed")
        else:
            tensors[name] = value
    if not tensors:
        if found.container == "bare" and any(part in content for part in _POINT_CLOUD):
            raise NotRecognisedError(
                "it holds 3D-Cinemagraphy's renderer of point clouds, which is no 2-D generator"
            )
        raise NotRecognisedError("it holds no tensors")
    own = _own(tensors)
    if own is not None:
        found.parts[own] = tensors
        return found
    _sort(tensors, found)
    if not found.parts:
        some = ", ".join(sorted(tensors)[:4])
        raise NotRecognisedError(
            f"its tensors belong to no network known here; it has {len(tensors)}, such as {some}"
        )
    return found


def _sort(tensors: dict[str, HasShape], found: Recognised) -> None:
    flow: dict[str, HasShape] = {}
    for name, value in tensors.items():
        if _IGNORED.search(name):
            found.ignored.append(name)
        elif (root := ".".join(name.split(".")[:2])) in _ROOTS:
            found.parts.setdefault(_ROOTS[root], {})[name] = value
        elif _FLOW.match(name):
            flow[name] = value
        else:
            found.unknown.append(name)
    if any(name.startswith("attn_") for name in flow):
        found.parts[TEXT_FLOW] = flow
    elif any(name.endswith(".weight_orig") for name in flow):
        found.parts[HINTED_FLOW] = flow
    else:
        found.unknown += flow


def _plain_name(key: str, removed: set[str]) -> str:
    name = key
    while prefix := next((p for p in PREFIXES if name.startswith(p)), None):
        removed.add(prefix)
        name = name.removeprefix(prefix)
    for new, old in _NEW_SPECTRAL.items():
        if name.endswith(f".{new}"):
            return name.removesuffix(new) + old
    return name


def _is_tensor(value: object) -> bool:
    return isinstance(getattr(value, "shape", None), tuple)


def _own(tensors: Mapping[str, HasShape]) -> str | None:
    """One of our own networks, when most of its names are there."""
    for part, names in _own_names().items():
        if len(names & set(tensors)) * 2 > len(names):
            return part
    return None


@cache
def _own_names() -> dict[str, frozenset[str]]:
    import torch

    from stillflow_export.networks.flow import build_flow_network
    from stillflow_export.networks.generator import build_generator_network

    with torch.device("meta"):
        return {
            EDGE_FLOW: frozenset(build_flow_network().state_dict()),
            EDGE_GENERATOR: frozenset(build_generator_network().state_dict()),
        }
