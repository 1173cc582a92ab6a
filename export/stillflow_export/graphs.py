# SPDX-License-Identifier: Apache-2.0
"""The graphs stillflow exports: names, shapes and meanings of what goes in and comes out."""

from __future__ import annotations

from stillflow.bundle.manifest import Graph, Tensor
from stillflow.motion import CLASS_NAMES

OPSET = 18
"""The newest opset that TensorRT 8.6 parses in full, and that ONNX Runtime and OpenVINO all read."""

MULTIPLE = 32
"""The networks halve their input up to five times."""

LONG_SIDE = 320
"""Longest side, in samples, that a network is run at by default: the generator's. The flow network's is
``stillflow.flow.LONG_SIDE``, unless its receipt names another."""


def _image(name: str, meaning: str, channels: tuple[str, ...], **rest: object) -> Tensor:
    shape = (1, len(channels), "height", "width")
    return Tensor(name=name, dtype="float32", shape=shape, meaning=meaning, channels=channels, **rest)  # type: ignore[arg-type]


def _half(name: str, meaning: str, channels: tuple[str, ...], **rest: object) -> Tensor:
    shape = (1, len(channels), "height/2", "width/2")
    return Tensor(name=name, dtype="float32", shape=shape, meaning=meaning, channels=channels, **rest)  # type: ignore[arg-type]


FLOW_INPUTS = (
    _image("photo", "the photo, sRGB", ("red", "green", "blue"), range=(0.0, 1.0)),
    _image(
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
    _half("classes", "logits of what each place is", CLASS_NAMES),
    _half("moves", "logit of whether it moves", ("moves",)),
    _half("velocity", "picture widths a second, times 10; x right, y down", ("x", "y")),
    _half("spread", "natural logarithm of the expected error of the velocity, in its unit", ("spread",)),
    _half("either", "logit of whether the opposite direction would be as true", ("either",)),
    Tensor(
        name="suited",
        dtype="float32",
        shape=(1, 1, 1, 1),
        meaning="logit of whether a loop of the photo can look right",
        channels=("suited",),
    ),
)
GENERATOR_INPUTS = (
    _image(
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
    _image("plate", "local mean of the layer's colours, sRGB", ("red", "green", "blue"), range=(0.0, 1.0)),
    _image(
        "trust",
        "how to paint what lies beyond the layer's edge, and how far to trust each place as a source",
        ("share of the texture to keep, 0 to 1", "what to add to the confidence"),
    ),
)

WHAT = {
    "flow": "photo and hints to classes, what moves, and velocity",
    "generator": "moving layer to the colours its motion uncovers, and how far to trust them",
}
INPUTS = {"flow": FLOW_INPUTS, "generator": GENERATOR_INPUTS}
OUTPUTS = {"flow": FLOW_OUTPUTS, "generator": GENERATOR_OUTPUTS}


def describe(name: str, file: str, sha256: str) -> Graph:
    """Return the manifest's entry for one of our graphs.

    Args:
        name: "flow" or "generator".
        file: its ONNX file, relative to the bundle.
        sha256: of that file.
    """
    return Graph(
        name=name,
        what=WHAT[name],
        file=file,
        sha256=sha256,
        opset=OPSET,
        inputs=INPUTS[name],
        outputs=OUTPUTS[name],
    )
