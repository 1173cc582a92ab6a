# SPDX-License-Identifier: Apache-2.0
"""Flow networks of the published family as makers of velocity: photo, mask and hints or a text in, velocity out.

They speak in pixels a frame at their own size, and their frames are 1/30 s. What to move they do not know: our own
flow network or the user's mask says that. What the graph gives is played as it is; the published script of
text2cinemagraph cuts it to one pixel a frame at 512, which would overrule arrows, and --strength does the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.bundle.interfaces import CONTEXT_SHAPE
from stillflow.errors import StillflowError
from stillflow.guidance import Hints
from stillflow.kernels.arrays import FloatArray
from stillflow.motion import Motion
from stillflow.photo import Photo
from stillflow.velocity_field import VelocityField

if TYPE_CHECKING:
    from stillflow.bundle.manifest import Graph

Run = Callable[[Mapping[str, npt.NDArray[np.float32]]], Mapping[str, npt.NDArray[np.float32]]]
"""A session's ``run``: {"photo", "mask"} and "hint" or "context", to {"velocity"}."""

FPS = 30.0
"""Frames a second that the networks were trained on."""

LONG_SIDE = 768
"""Pixels at which such a network is run where the manifest does not say: the largest of the published sizes."""

MAX_CONTEXT_BYTES = 1 << 22
"""A text's context in float64 takes 0.5 MB."""

_CONTEXT_FIX = (
    'give --context FILE.npz with an array "context" of shape (1, 77, 768): the last hidden state of the text '
    "encoder CLIP ViT-L/14 for your text, padded to 77 tokens"
)


def context_from(source: str | os.PathLike[str] | npt.NDArray[Any]) -> FloatArray:
    """Take what a text encoder said, from a file or an array.

    Args:
        source: a .npz file that holds "context", or the array, (77, 768) or (1, 77, 768), of any float type.

    Returns:
        (1, 77, 768) float32.

    Raises:
        StillflowError: no such file, not such a file, another shape or type, NaN or infinite values.
    """
    what = "cannot use this context"
    if isinstance(source, (str, os.PathLike)):
        from stillflow.bundle.npz import read_npz

        what = f"cannot use the context {Path(source).name}"
        arrays = read_npz(Path(source), what, _CONTEXT_FIX, MAX_CONTEXT_BYTES)
        if "context" not in arrays:
            raise StillflowError(what, f"it holds {', '.join(sorted(arrays)) or 'nothing'}", _CONTEXT_FIX)
        array = arrays["context"]
    else:
        array = np.asarray(source)
    if array.dtype.kind != "f" or array.shape not in (CONTEXT_SHAPE, CONTEXT_SHAPE[1:]):
        raise StillflowError(what, f"it is {array.dtype} {array.shape}", _CONTEXT_FIX)
    with np.errstate(over="ignore"):
        context = np.ascontiguousarray(array, np.float32).reshape(CONTEXT_SHAPE)
    if not np.isfinite(context).all():
        raise StillflowError(what, "it holds NaN or infinity", _CONTEXT_FIX)
    return context


def scene_velocity(photo: Photo, motion: Motion, hints: Hints, run: Run, graph: Graph) -> FloatArray:
    """Ask a published flow network which way everything goes.

    Args:
        photo: the picture.
        motion: what our own network says: its matte is the mask, and without arrows its mean velocity the hint.
        hints: resolved guidance: mask, arrows, context, strength.
        run: the network's session.
        graph: its description: inputs, multiple, long side.

    Returns:
        (h, w, 2) float32 at the motion's size, picture widths a second, strength included; 0 where nothing moves.

    Raises:
        StillflowError: a network that reads a text got none, or what it answers is no velocity.
    """
    h, w = motion.matte.shape
    reads_text = any(tensor.name == "context" for tensor in graph.inputs)
    if reads_text and hints.context is None:
        raise StillflowError(
            f"cannot ask the network {graph.name} which way everything goes",
            "it reads a text, and there is none",
            _CONTEXT_FIX,
        )
    width, height = network_size(photo, graph)
    small = cv2.resize(photo.pixels, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    matte = cv2.resize(motion.flow_matte, (width, height), interpolation=cv2.INTER_LINEAR)
    mask = (matte > 0.5).astype(np.float32)
    if not mask.any():
        return np.zeros((h, w, 2), np.float32)
    inputs = {
        "photo": np.ascontiguousarray(small.transpose(2, 0, 1)[None] / np.float32(127.5) - 1),
        "mask": mask[None, None],
    }
    if reads_text:
        assert hints.context is not None
        inputs["context"] = hints.context
    else:
        hint = _hint(motion, hints, mask) * hint_unit(graph)
        inputs["hint"] = np.ascontiguousarray(hint.transpose(2, 0, 1)[None])
    velocity = run(inputs)["velocity"]
    if velocity.shape != (1, 2, height, width):
        raise StillflowError(
            f"cannot use the network {graph.name}",
            f"it answers a photo of {width}x{height} with a velocity of {velocity.shape}",
            "export the bundle again: its manifest and its graphs do not agree",
        )
    said = velocity[0].transpose(1, 2, 0) * mask[..., None]
    field = VelocityField.from_array(said, f"what the network {graph.name} says")
    velocity, _ = field.smooth(h, w, photo.height / photo.width)
    return np.asarray(velocity * np.float32(hints.strength), np.float32)


def hint_unit(graph: Graph) -> np.float32:
    """What a velocity is multiplied by to be a hint.

    Where a network bounds both, the same share of either range is the same speed: text2cinemagraph's hints are
    velocities of up to 64 pixels a frame over 64. All others take pixels a frame.
    """
    told = {tensor.name: tensor.range for tensor in (*graph.inputs, *graph.outputs)}
    hint, velocity = told.get("hint"), told.get("velocity")
    if hint is None or velocity is None or not velocity[1] > velocity[0] or not hint[1] > hint[0]:
        return np.float32(1)
    return np.float32((hint[1] - hint[0]) / (velocity[1] - velocity[0]))


def network_size(photo: Photo, graph: Graph) -> tuple[int, int]:
    """(width, height) at which a network sees a photo: at most its long side, multiples of its multiple."""
    multiple, long_side = graph.multiple or 256, graph.long_side or LONG_SIDE
    scale = min(1.0, long_side / max(photo.height, photo.width))
    most = max(multiple, long_side // multiple * multiple)
    width, height = (
        min(max(multiple, round(side * scale / multiple) * multiple), most)
        for side in (photo.width, photo.height)
    )
    return width, height


def dense_hint(
    places: FloatArray, velocities: FloatArray, mask: FloatArray, sigma: float | None = None
) -> FloatArray:
    """Spread hints over what moves: sum w_i v_i / sum w_i with w_i = exp(-(d_i / sigma)²).

    Args:
        places: (n, 2) float32, x and y in pixels of the mask.
        velocities: (n, 2) float32.
        mask: (h, w) float32, 0 or 1.
        sigma: pixels; None: h / n, the middle of the range the networks were trained with.

    Returns:
        (h, w, 2) float32, 0 outside the mask.
    """
    h, w = mask.shape
    sigma = h / len(places) if sigma is None else sigma
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    squared = np.stack([((x - px) ** 2 + (y - py) ** 2) / np.float32(sigma * sigma) for px, py in places])
    # A common factor cancels; without it all weights underflow far from every hint.
    weights = np.exp(squared.min(0) - squared)
    weights /= weights.sum(0)
    return np.asarray(np.tensordot(weights, velocities, (0, 0)) * mask[..., None], np.float32)


def _hint(motion: Motion, hints: Hints, mask: FloatArray) -> FloatArray:
    """The dense hint of the arrows; without any, of one at the mask's centroid with our own mean velocity."""
    h, w = mask.shape
    aspect = motion.height / motion.width
    # Picture widths a second, and picture heights a second, to pixels a frame.
    unit = np.array([w / FPS, h / (aspect * FPS)], np.float32)
    if hints.arrows:
        middles = [((a.x0 + a.x1) / 2 * (w - 1), (a.y0 + a.y1) / 2 * (h - 1)) for a in hints.arrows]
        speeds = [a.velocity(aspect) for a in hints.arrows]
        return dense_hint(np.array(middles, np.float32), np.array(speeds, np.float32) * unit, mask)
    rows, columns = np.nonzero(mask)
    flows = motion.flow_matte > 0.5
    mean = motion.velocity[flows].mean(0) if flows.any() else np.zeros(2, np.float32)
    # Strength comes last: a network asked for twice its natural speed answers something else.
    mean = mean / np.float32(hints.strength) if hints.strength > 0 else mean
    place = np.array([[columns.mean(), rows.mean()]], np.float32)
    return dense_hint(place, (mean * unit)[None].astype(np.float32), mask)
