# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's binding to memory at addresses: the real one, with addresses of the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from stillflow.errors import StillflowError
from stillflow.gpu.arrays import DeviceArray
from stillflow.gpu.trouble import OutOfMemoryError
from stillflow.sessions import open_session
from stillflow.sessions.bound_graph import BoundGraph

Arrays = dict[str, Any]


def at(array: Any) -> DeviceArray:
    return DeviceArray(array.ctypes.data, array.shape, array.dtype, owner=array)


@pytest.fixture
def graph(graph_path: Path) -> BoundGraph:
    session = ort.InferenceSession(graph_path.read_bytes(), providers=["CPUExecutionProvider"])
    return BoundGraph(session, "cpu", 0, "flow", waits=False)


@pytest.mark.parametrize("times", [1, 2])
def test_computes_from_memory_into_memory(
    graph: BoundGraph, graph_path: Path, inputs: Arrays, times: int
) -> None:
    given = {name: np.tile(array, (1, 1, times, 3)) for name, array in inputs.items()}
    expected = open_session(graph_path, threads=1).run(given)
    placed = {name: at(array) for name, array in given.items()}
    shapes = graph.output_shapes(placed)
    assert {n: (s, d.name) for n, (s, d) in shapes.items()} == {
        n: (a.shape, a.dtype.name) for n, a in expected.items()
    }
    results = {name: np.full(shape, 7, dtype) for name, (shape, dtype) in shapes.items()}
    graph.run(placed, {name: at(array) for name, array in results.items()})
    for name, array in results.items():
        np.testing.assert_allclose(array, expected[name], atol=1e-6)


def test_shapes_are_found_out_once(
    graph: BoundGraph, inputs: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = {name: at(array) for name, array in inputs.items()}
    first = graph.output_shapes(placed)
    monkeypatch.setattr(BoundGraph, "_run", lambda *_: pytest.fail("it is known"))
    assert graph.output_shapes(placed) is first


def test_what_it_cannot_compute(graph: BoundGraph, inputs: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = {name: at(np.ascontiguousarray(value[..., :30, :30])) for name, value in inputs.items()}
    with pytest.raises(StillflowError, match="the graph flow failed: onnxruntime") as caught:
        graph.output_shapes(odd)
    assert not isinstance(caught.value, OutOfMemoryError)

    def short(*_: object) -> None:
        raise RuntimeError(
            "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 1"
        )

    monkeypatch.setattr(graph._session, "run_with_iobinding", short)
    with pytest.raises(OutOfMemoryError):
        graph.output_shapes({name: at(array) for name, array in inputs.items()})
