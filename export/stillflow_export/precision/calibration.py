# SPDX-License-Identifier: Apache-2.0
"""Scales of int8 values, from what the tensors of a graph hold on real photos."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper

from stillflow.errors import StillflowError
from stillflow_export.samples import Sample

STEPS = 127
"""Largest int8 value that is used: -128 has no opposite, and TensorRT wants scales that are symmetric."""

BINS = 2048
"""Of the histograms; 16 to a step of int8."""

CLIPS = np.linspace(0.2, 1.0, 81)
"""Shares of the largest magnitude that are tried as the end of the scale."""


def activation_scales(
    model: onnx.ModelProto, tensors: Collection[str], samples: Sequence[Sample]
) -> dict[str, float]:
    """Find the int8 scale of each tensor: the one with the least mean squared error over all samples.

    Cutting off the rarest, largest values makes the step smaller for all others.

    Args:
        model: in float32.
        tensors: to look at.
        samples: at least one.

    Returns:
        The scale by tensor: a value is the scale times -127..127.

    Raises:
        StillflowError: the graph does not run, there are no samples, or a tensor is zero or not finite on all of them.
    """
    what = f"cannot calibrate the graph {model.graph.name}"
    if not samples:
        raise StillflowError(what, "there are no samples", "give a folder of photos: --calibration")
    if not tensors:
        return {}
    seen = onnx.ModelProto()
    seen.CopyFrom(model)
    there = {value.name for value in seen.graph.output}
    seen.graph.output.extend(
        helper.make_tensor_value_info(t, TensorProto.FLOAT, None) for t in tensors if t not in there
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        seen.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = sorted(tensors)
    largest = dict.fromkeys(names, 0.0)
    for sample in samples:
        for name, array in zip(names, session.run(names, dict(sample.inputs)), strict=True):
            largest[name] = max(largest[name], float(np.abs(array).max()))
    for name, value in largest.items():
        if not (np.isfinite(value) and value > 0):
            raise StillflowError(
                what, f"'{name}' holds {value:g} and nothing else", "calibrate with real photos"
            )
    counts = {name: np.zeros(BINS) for name in names}
    for sample in samples:
        for name, array in zip(names, session.run(names, dict(sample.inputs)), strict=True):
            counts[name] += np.histogram(np.abs(array), BINS, (0.0, largest[name]))[0]
    return {name: best_clip(counts[name], largest[name]) / STEPS for name in names}


def best_clip(counts: npt.NDArray[np.float64], largest: float) -> float:
    """The end of an int8 scale with the least mean squared error.

    Args:
        counts: how many magnitudes fall into each of equal bins.
        largest: upper end of the last bin.
    """
    middle = (np.arange(len(counts)) + 0.5) * (largest / len(counts))
    errors = []
    for clip in CLIPS * largest:
        rounding = (clip / STEPS) ** 2 / 12  # variance of a uniform error of one step
        lost = np.maximum(middle - clip, 0) ** 2
        errors.append(float((counts * np.where(middle <= clip, rounding, lost)).sum()))
    return float(CLIPS[int(np.argmin(errors))] * largest)


def quantized_weights(
    weights: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Round weights to int8, with a scale for each output channel (the first axis).

    Returns:
        The int8 weights, and the scales.
    """
    largest = np.abs(weights).reshape(len(weights), -1).max(1)
    scales = np.where(largest > 0, largest, 1.0).astype(np.float32) / np.float32(STEPS)
    shaped = scales.reshape(-1, *[1] * (weights.ndim - 1))
    return np.clip(np.rint(weights / shaped), -STEPS, STEPS).astype(np.int8), scales
