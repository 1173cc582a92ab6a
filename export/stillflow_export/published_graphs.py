# SPDX-License-Identifier: Apache-2.0
"""The graphs that published networks become: names, shapes and meanings of what goes in and comes out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import nn

from stillflow.bundle.manifest import Tensor
from stillflow_export.graphs import image
from stillflow_export.networks.published import hinted_flow, text_flow
from stillflow_export.networks.published.generator import (
    DECODER_HALO,
    ENCODER_HALO,
    MULTIPLE,
    FeatureDecoder,
    FeatureEncoder,
)
from stillflow_export.networks.published.layers import AlphaDecoder, AlphaEncoder, BackgroundNetwork
from stillflow_export.plan import GraphPlan, Samples
from stillflow_export.published_samples import (
    hinted_flow_samples,
    photo_samples,
    splatted_samples,
    text_flow_samples,
)

COLOURS = ("red", "green", "blue")


def generator_parts(width: int, *, layered: bool) -> dict[str, nn.Module]:
    """Return the networks of a feature generator, untrained, by graph.

    Args:
        width: channels of the first encoder blocks.
        layered: whether it has a background and alphas.
    """
    parts: dict[str, nn.Module] = {"encoder": FeatureEncoder(width), "decoder": FeatureDecoder(width)}
    if layered:
        parts |= {"background": BackgroundNetwork(width), "alpha_encoder": AlphaEncoder(width)}
        parts |= {"alpha_decoder": AlphaDecoder(width)}
    return parts


def generator_plans(parts: Mapping[str, nn.Module], width: int) -> tuple[GraphPlan, ...]:
    """Return the graphs of a feature generator.

    Args:
        parts: as `generator_parts` names them, with their weights.
        width: of them.
    """
    features = tuple(f"feature {i}" for i in range(2 * width))
    photo = image("photo", "the photo, sRGB, -1 for black to 1", COLOURS, (-1.0, 1.0))
    mask = image("mask", "1 where anything landed, 0 in holes", ("mask",), (0.0, 1.0))
    closed = image("closed", "1 where a hole was closed, 0 where it was too wide", ("closed",), (0.0, 1.0))
    encoder = parts["encoder"]
    plans = [
        GraphPlan(
            name="encoder",
            what="photo to features and splat weights, once a photo",
            network=encoder,
            inputs=(photo,),
            outputs=(
                image("features", "what the decoder paints frames of", features),
                image("weight", "natural logarithm of the splat weight", ("weight",)),
            ),
            multiple=MULTIPLE,
            samples=photo_samples,
            halo=ENCODER_HALO,
        ),
        GraphPlan(
            name="decoder",
            what="splatted features to a frame",
            network=parts["decoder"],
            inputs=(image("features", "splatted features, 0 in holes", features), mask),
            outputs=(image("frame", "the frame, sRGB, -1 for black to 1", COLOURS, (-1.0, 1.0)), closed),
            multiple=MULTIPLE,
            samples=partial(splatted_samples, encoders=(encoder,)),
            halo=DECODER_HALO,
        ),
    ]
    if "background" not in parts:
        return tuple(plans)
    both = partial(splatted_samples, encoders=(encoder, parts["alpha_encoder"]))
    splatted = image("features", "splatted features and fluid logit, 0 in holes", (*features, "fluid logit"))
    plans += [
        GraphPlan(
            name="background",
            what="photo to what lies behind the fluid, once a photo",
            network=parts["background"],
            inputs=(photo,),
            outputs=(image("background", "the background, sRGB, -1 for black to 1", COLOURS, (-1.0, 1.0)),),
            multiple=MULTIPLE,
            samples=photo_samples,
            halo=DECODER_HALO,
        ),
        GraphPlan(
            name="alpha_encoder",
            what="photo to how opaque background and fluid are, once a photo",
            network=parts["alpha_encoder"],
            inputs=(photo,),
            outputs=(
                image("alpha_background", "logit of how opaque the background is", ("alpha",)),
                image("alpha_fluid", "logit of how opaque the fluid is", ("alpha",)),
            ),
            multiple=MULTIPLE,
            samples=photo_samples,
            halo=ENCODER_HALO,
        ),
        GraphPlan(
            name="alpha_decoder",
            what="splatted features and fluid logit to how opaque the fluid is in a frame",
            network=parts["alpha_decoder"],
            inputs=(splatted, mask),
            outputs=(image("alpha", "how opaque the fluid is", ("alpha",), (0.0, 1.0)), closed),
            multiple=MULTIPLE,
            samples=both,
            halo=DECODER_HALO,
        ),
    ]
    return tuple(plans)


def hinted_flow_plan(network: nn.Module, *, scale: float | None, hint_scale: float) -> GraphPlan:
    """Return the graph of a flow network with hints.

    Args:
        network: with its weights.
        scale: largest velocity, where a tanh bounds it; None: it has no bound.
        hint_scale: what a hint in pixels a frame is multiplied by. Then the ranges of hint and velocity say so too:
            the same share of either is the same speed.
    """
    unit = "pixels a frame" if hint_scale == 1.0 else f"pixels a frame times {hint_scale:g}"
    bound = None if scale is None else (-scale * hint_scale, scale * hint_scale)
    hint = image("hint", f"the arrows, spread over the mask and 0 outside, {unit}", ("x", "y"), bound)
    return _scene_flow(
        "photo, mask and hint to velocity",
        network,
        hint,
        scale,
        hinted_flow.MULTIPLE,
        hinted_flow.LONG_SIDE,
        partial(hinted_flow_samples, hint_scale=hint_scale),
    )


def text_flow_plan(network: nn.Module, *, scale: float) -> GraphPlan:
    """Return the graph of a flow network that reads a text.

    Args:
        network: with its weights.
        scale: largest velocity.
    """
    context = Tensor(
        name="context",
        dtype="float32",
        shape=(1, *text_flow.CONTEXT),
        layout="NTC",
        meaning="last hidden state of CLIP ViT-L/14's text encoder, padded to 77 tokens",
    )
    return _scene_flow(
        "photo, mask and text to velocity",
        network,
        context,
        scale,
        text_flow.MULTIPLE,
        text_flow.LONG_SIDE,
        text_flow_samples,
    )


def _scene_flow(
    what: str,
    network: nn.Module,
    told: Tensor,
    scale: float | None,
    multiple: int,
    long_side: int,
    samples: Samples,
) -> GraphPlan:
    bound = None if scale is None else (-scale, scale)
    return GraphPlan(
        name="scene_flow",
        what=what,
        network=network,
        inputs=(
            image("photo", "the photo, sRGB, -1 for black to 1", COLOURS, (-1.0, 1.0)),
            image("mask", "1 where it moves, 0 elsewhere", ("mask",), (0.0, 1.0)),
            told,
        ),
        outputs=(image("velocity", "pixels a frame at this size; x right, y down", ("x", "y"), bound),),
        multiple=multiple,
        samples=samples,
        long_side=long_side,
    )
