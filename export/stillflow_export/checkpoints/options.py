# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint's options decide: which graph it is, and how its outputs are to be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stillflow.errors import StillflowError

Value = str | int | float | bool | None

SELECTING: dict[str, tuple[str, ...]] = {
    # The joint training script leaves out the ending and builds the same graph.
    "refine_model_type": (
        "resnet_256W8UpDown64_de_resnet_pconv2_nonorm",
        "resnet_256W8UpDown64_de_resnet_pconv2",
    ),
    "pconv": ("pconv_pbn_woresbias",),
    "norm_G": ("sync:spectral_batch",),
}
"""Options that select the published generator. Nothing reads ``use_softmax_splatter``, though scripts set it."""

ANOTHER_RULE = {
    "use_softmax_splatter_v1": "splat weights are normalised another way",
    "use_softmax_splatter_v2": "splat weights are normalised another way",
    "use_softmax_splatter_v3": "splat weights are normalised another way",
    "use_3d_splatter": "features are splatted in three dimensions",
    "use_mesh_splatter": "features are splatted as a mesh",
    "use_sum1_alpha": "the background's alpha is made from the fluid's",
    "use_alpha_softmax": "the two alphas are mixed by a softmax",
    "use_fluid_alpha_only": "only the fluid has an alpha",
    "use_bg_alpha_only": "only the background has an alpha",
    "use_bg_as_alpha_input": "the alpha's encoder reads the background too",
    "use_fluid_as_alpha_input": "the alpha's encoder reads the fluid too",
    "use_mask_as_alpha_input": "the alpha's encoder reads the mask too",
    "clamp_alpha": "alphas are clamped",
}
"""Options that leave the tensors as they are and change how frames are made of them. Refused when they are set."""

WEIGHT_FLOOR = -20.0
"""Of SLR-SFS's logarithms of splat weights, relative to the largest, in checkpoints without ``no_clamp_Z``."""

EDGE_SHARE = 1 / 600
"""Smallest share that either direction keeps in SLR-SFS version 1."""

OLD_DIV_FLOW = 20.0
"""What SLR-SFS's code takes for ``div_flow`` where the options do not have it."""

MOTION_NORM = 64.0
"""Pixels a frame that text2cinemagraph's tanh stands for; its hints are divided by it."""


@dataclass(frozen=True)
class Reading:
    """What was read.

    Attributes:
        options: for the receipt, and to build the network with.
        assumed: what the file does not say, in sentences.
        loop: fields of a bundle's loop.
    """

    options: Mapping[str, Value] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    loop: Mapping[str, str | float | None] = field(default_factory=dict)


def read_options(family: str, source: str, told: Mapping[str, Any] | None, width: int, what: str) -> Reading:
    """Read what decides how a network is run.

    Args:
        family: its key.
        source: who published it.
        told: the file's options; None when it has none.
        width: of its networks, from its tensors.
        what: for the message.

    Raises:
        StillflowError: the options select another graph than the tensors, or make no sense.
    """
    if family in ("feature_generator", "layered_generator"):
        return _generator(family, source, told, width, what)
    if family == "hinted_flow":
        return _hinted_flow(source, told, what)
    if family == "text_flow":
        return Reading({"activation": "tanh", "scale": MOTION_NORM})
    return Reading()


def _generator(family: str, source: str, told: Mapping[str, Any] | None, width: int, what: str) -> Reading:
    options: dict[str, Value] = {}
    for key, admitted in SELECTING.items():
        if told is None or key not in told:
            continue
        options[key] = str(told[key])[:200]
        if told[key] not in admitted:
            raise StillflowError(
                what,
                f"its option {key} is {str(told[key])[:80]!r}, another graph than {' or '.join(admitted)}",
                "only the graph that SLR-SFS and text2cinemagraph released can be imported",
            )
    for key, why in ANOTHER_RULE.items():
        if told is not None and told.get(key):
            raise StillflowError(
                what,
                f"its option {key} is {str(told[key])[:80]!r}: {why}, and such frames are not played",
                "give a checkpoint that was trained without it, as those that SLR-SFS released",
            )
    if told is not None and "ngf" in told:
        if told["ngf"] != 2 * width:
            raise StillflowError(
                what,
                f"its option ngf is {str(told['ngf'])[:80]}, its tensors have {2 * width} features",
                "give the checkpoint as published: its options and its tensors must agree",
            )
        options["ngf"] = int(told["ngf"])
    loop: dict[str, str | float | None] = {"rule": "symmetric_splat", "weight_floor": None, "edge_share": 0.0}
    assumed: tuple[str, ...] = ()
    if family == "layered_generator":
        loop["edge_share"] = EDGE_SHARE
        key = "use_alpha0_as_blending_weight"
        if told is None:
            assumed = (
                "The fluid's alpha is thrown by its own share, as in the released version 1: no options.",
            )
        else:
            # As the published code asks: there, and true.
            loop["alpha_weight"] = "share" if told.get(key) else "features"
            options[key] = bool(told.get(key))
    elif source == "slr" and told is None:
        assumed = ("Splat weights have no floor: the file has no options, and training sets no_clamp_Z.",)
    elif source == "slr" and told is not None:
        # The published code asks whether the name is there, not what it says.
        options["no_clamp_Z"] = "there" if "no_clamp_Z" in told else "not there"
        loop["weight_floor"] = None if "no_clamp_Z" in told else WEIGHT_FLOOR
    return Reading(options, assumed, loop)


def _hinted_flow(source: str, told: Mapping[str, Any] | None, what: str) -> Reading:
    if source == "t2c":
        return Reading({"activation": "tanh", "scale": MOTION_NORM, "hint_scale": 1 / MOTION_NORM})
    options: dict[str, Value] = {"activation": "identity", "scale": 1.0, "hint_scale": 1.0}
    if source == "3dc" and told is None:
        return Reading(options)
    if told is None:
        return Reading(options, ("The flow is in pixels a frame (div_flow 1): the file has no options.",))
    div_flow = told.get("div_flow", OLD_DIV_FLOW if source == "slr" else 1.0)
    if isinstance(div_flow, bool) or not isinstance(div_flow, int | float) or not 1e-3 <= div_flow <= 1e3:
        raise StillflowError(
            what, f"its option div_flow is {str(div_flow)[:80]}", "give the checkpoint as published"
        )
    options["scale"] = float(div_flow)
    assumed = (
        () if "div_flow" in told else (f"The flow is multiplied by {div_flow:g}: div_flow is not said.",)
    )
    return Reading(options, assumed)
