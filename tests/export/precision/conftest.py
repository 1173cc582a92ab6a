# SPDX-License-Identifier: Apache-2.0
"""Graphs of a few nodes, written down as text, and inputs for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

pytest.importorskip("torch", reason="export needs the extra: pip install 'stillflow[export]'")

import numpy.typing as npt
import onnx
import onnx.parser
from onnx import numpy_helper

from stillflow_export.samples import Sample

Write = Callable[..., bytes]


def write(body: str, weights: Mapping[str, npt.ArrayLike] | None = None, *, channels: int = 3) -> bytes:
    """A graph that takes x (1, channels, height, width) and gives y; ``body`` is in ONNX's text format."""
    text = f"""<ir_version: 10, opset_import: ["" : 18]>
    small (float[1,{channels},height,width] x) => (float[a,b,c,d] y) {{ {body} }}"""
    model = onnx.parser.parse_model(text)
    for name, values in (weights or {}).items():
        array = np.asarray(values)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    for i, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type.lower()}_{i}"
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture(scope="session")
def written() -> Write:
    return write


def pictures(count: int = 3, channels: int = 3, scale: float = 1.0) -> list[Sample]:
    rng = np.random.default_rng(7)
    return [
        Sample(f"noise {i}", {"x": (scale * rng.normal(size=(1, channels, 16, 24))).astype(np.float32)})
        for i in range(count)
    ]


@pytest.fixture(scope="session")
def noise() -> Callable[..., list[Sample]]:
    return pictures


@pytest.fixture(scope="session")
def three_layers() -> bytes:
    """Three layers, a residual, an upsampling and an ending, with weights of random values."""
    rng = np.random.default_rng(3)
    weights = {
        "w0": rng.normal(size=(24, 3, 3, 3)) * 0.2,
        "b0": rng.normal(size=24) * 0.1,
        "w1": rng.normal(size=(24, 24, 3, 3)) * 0.07,
        "b1": rng.normal(size=24) * 0.1,
        "w2": rng.normal(size=(2, 24, 3, 3)) * 0.07,
        "b2": rng.normal(size=2) * 0.1,
        "scales": np.array([1, 1, 2, 2], np.float32),
        "half": 0.5,
    }
    body = """
        centred = Sub(x, half)
        a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (centred, w0, b0)
        b = Relu(a)
        c = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (b, w1, b1)
        d = Add(b, c)
        e = Relu(d)
        f = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"> (e, , scales)
        g = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (f, w2, b2)
        y = Tanh(g)
    """  # noqa: E501
    return write(body, weights)
