# SPDX-License-Identifier: Apache-2.0
"""Imported weights, read back: networks in eval mode, and the graphs they become."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from stillflow.bundle.manifest import Tensor
from stillflow.errors import StillflowError
from stillflow_export.checkpoints.receipt import ImportReceipt
from stillflow_export.checkpoints.weights_file import read_weights, weights_path
from stillflow_export.networks.published.generator import (
    DECODER_HALO,
    ENCODER_HALO,
    MULTIPLE,
    FeatureDecoder,
    FeatureEncoder,
)
from stillflow_export.networks.published.layers import AlphaDecoder, AlphaEncoder, BackgroundNetwork
from stillflow_export.plan import GraphPlan, Trained
from stillflow_export.published_samples import photo_samples, splatted_samples

_AGAIN = "import the checkpoint again with `stillflow-export import`"


def load_trained(path: Path) -> Trained:
    """Read weights that ``stillflow-export import`` wrote.

    Args:
        path: NAME.safetensors or NAME.json, or their common name.

    Raises:
        StillflowError: a file is missing or damaged, they do not belong together, or the tensors are not those of
            the network that the receipt names.
    """
    weights, receipt = read_weights(path)
    what = f"cannot use the weights {weights_path(path)}"
    if receipt.family not in _PLANS:
        fix = "import the checkpoint again with this version of stillflow"
        raise StillflowError(
            what, f"their family is '{receipt.family[:100]}', known are {', '.join(_PLANS)}", fix
        )
    trained = _PLANS[receipt.family](weights, receipt, what)
    told = f"{receipt.source_name}, {receipt.checkpoint.name}, sha256 {receipt.sha256}"
    return replace(
        trained,
        source=f"imported from {told}" + (f", {receipt.source_url}" if receipt.source_url else ""),
        licence=receipt.licence,
        weights=weights_path(path),
        licence_note=receipt.licence_note,
    )


Weights = Mapping[str, torch.Tensor]


def _filled(build: Callable[[], nn.Module], weights: Weights, what: str) -> nn.Module:
    """Return a network with these weights, which are exactly its own, in eval mode.

    It is built without memory, so that a receipt cannot ask for more than its weights take.
    """
    with torch.device("meta"):
        network = build()
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if expected != found:
        wrong = sorted(
            name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
        )
        why = f"{len(wrong)} tensors are missing, misshapen or too many, such as {', '.join(wrong[:4])}"
        raise StillflowError(what, why, _AGAIN)
    for name, value in weights.items():
        if value.dtype.is_floating_point and not bool(torch.isfinite(value).all()):
            raise StillflowError(what, f"{name} holds NaN or infinite values", _AGAIN)
    network.load_state_dict(dict(weights), assign=True)
    return network.eval()


class _Parts(nn.Module):
    """The networks of one file, under the names that their tensors begin with."""

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


def _generator(weights: Weights, receipt: ImportReceipt, what: str) -> Trained:
    layered = receipt.family == "layered_generator"
    w = receipt.width

    def build() -> nn.Module:
        parts: dict[str, nn.Module] = {"encoder": FeatureEncoder(w), "decoder": FeatureDecoder(w)}
        if layered:
            parts |= {"background": BackgroundNetwork(w), "alpha_encoder": AlphaEncoder(w)}
            parts |= {"alpha_decoder": AlphaDecoder(w)}
        return _Parts(parts)

    network = _filled(build, weights, what)
    part = network.get_submodule
    features = tuple(f"feature {i}" for i in range(2 * w))
    frame = partial(_image, channels=("red", "green", "blue"), range=(-1.0, 1.0))
    photo = frame("photo", "the photo, sRGB, -1 for black to 1")
    mask = _image("mask", "1 where anything landed, 0 in holes", ("mask",), range=(0.0, 1.0))
    closed = _image(
        "closed", "1 where the hole was closed, 0 where it was too wide", ("closed",), range=(0.0, 1.0)
    )
    splatted = partial(splatted_samples, encoders=(part("encoder"),))
    plans = [
        GraphPlan(
            name="encoder",
            what="photo to features and splat weights, once a photo",
            network=part("encoder"),
            inputs=(photo,),
            outputs=(
                _image("features", "what the decoder paints frames of", features),
                _image("weight", "natural logarithm of the splat weight", ("weight",)),
            ),
            multiple=MULTIPLE,
            samples=photo_samples,
            halo=ENCODER_HALO,
        ),
        GraphPlan(
            name="decoder",
            what="splatted features to a frame",
            network=part("decoder"),
            inputs=(_image("features", "splatted features, 0 in holes", features), mask),
            outputs=(frame("frame", "the frame, sRGB, -1 for black to 1"), closed),
            multiple=MULTIPLE,
            samples=splatted,
            halo=DECODER_HALO,
        ),
    ]
    if layered:
        plans += _layers(part, photo, mask, closed, features)
    return Trained(
        plans=tuple(plans), source="", licence="", receipt=_as_json(receipt), loop=dict(receipt.loop)
    )


def _layers(
    part: Callable[[str], nn.Module], photo: Tensor, mask: Tensor, closed: Tensor, features: tuple[str, ...]
) -> list[GraphPlan]:
    fluid = _image("alpha_fluid", "logit of how opaque the fluid is", ("alpha",))
    return [
        GraphPlan(
            name="background",
            what="photo to what lies behind the fluid, once a photo",
            network=part("background"),
            inputs=(photo,),
            outputs=(
                _image(
                    "background", "the background, sRGB, -1 for black to 1", photo.channels, range=(-1, 1)
                ),
            ),
            multiple=MULTIPLE,
            samples=photo_samples,
            halo=DECODER_HALO,
        ),
        GraphPlan(
            name="alpha_encoder",
            what="photo to how opaque background and fluid are, once a photo",
            network=part("alpha_encoder"),
            inputs=(photo,),
            outputs=(_image("alpha_background", "logit of how opaque the background is", ("alpha",)), fluid),
            multiple=MULTIPLE,
            samples=photo_samples,
            halo=ENCODER_HALO,
        ),
        GraphPlan(
            name="alpha_decoder",
            what="splatted features and fluid logit to how opaque the fluid is in a frame",
            network=part("alpha_decoder"),
            inputs=(
                _image(
                    "features", "splatted features and fluid logit, 0 in holes", (*features, "fluid logit")
                ),
                mask,
            ),
            outputs=(_image("alpha", "how opaque the fluid is", ("alpha",), range=(0.0, 1.0)), closed),
            multiple=MULTIPLE,
            samples=partial(splatted_samples, encoders=(part("encoder"), part("alpha_encoder"))),
            halo=DECODER_HALO,
        ),
    ]


def _image(
    name: str, meaning: str, channels: tuple[str, ...], range: tuple[float, float] | None = None
) -> Tensor:
    shape = (1, len(channels), "height", "width")
    return Tensor(name=name, dtype="float32", shape=shape, meaning=meaning, channels=channels, range=range)


def _as_json(receipt: ImportReceipt) -> dict[str, object]:
    import msgspec

    made: dict[str, object] = msgspec.to_builtins(receipt)
    return made


_PLANS: dict[str, Callable[[Weights, ImportReceipt, str], Trained]] = {
    "feature_generator": _generator,
    "layered_generator": _generator,
}
