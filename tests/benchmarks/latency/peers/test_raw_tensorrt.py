# SPDX-License-Identifier: Apache-2.0
"""Without a GPU: what is refused. On a device, which may be the stand-in for the driver: an engine that only copies."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu
from stillflow.gpu.layer import CudaDevice
from stillflow_bench.latency.peers.both_networks import NetworkPhotos, outputs_digest
from stillflow_bench.latency.peers.raw_tensorrt import RawTensorRT, open_target
from stillflow_bench.latency.target import Facts


@pytest.mark.skipif(find_gpu() is not None, reason="a CUDA device is here")
@pytest.mark.parametrize("device", ["auto", "cuda", "cpu"])
def test_without_a_gpu_it_refuses(device: str, spec_of) -> None:
    with pytest.raises(StillflowError) as caught:
        open_target(spec_of("raw-tensorrt", "B1.transfer", {"device": device}))
    assert caught.value.fix


@pytest.fixture(scope="module")
def copying(source_tree: Path) -> ModuleType:
    """The engine that stands in for TensorRT's in the tests of our sessions."""
    path = source_tree / "tests" / "runtime" / "sessions" / "copying_engine.py"
    spec = importlib.util.spec_from_file_location("copying_engine_for_peers", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def rows(count: int, start: float) -> np.ndarray:
    return start + np.arange(2 * count, dtype=np.float32).reshape(count, 2)


@pytest.mark.device
@pytest.mark.parametrize("graph", [True, False])
def test_both_engines_run_in_one_stream(graph: bool, cuda_device: CudaDevice, copying: ModuleType) -> None:
    inputs = tuple({"flow": {"x": rows(5, n)}, "generator": {"x": rows(3, -n)}} for n in range(3))
    library = copying.copying_library(cuda_device)
    engines = {"flow": b"engine", "generator": b"engine"}
    tight = copying.TightDevice(cuda_device)
    target = RawTensorRT(
        NetworkPhotos(("a", "b", "c"), inputs), engines, library, tight, Facts(), graph=graph
    )
    for index in (0, 2, 1):
        answer = target.query(index)
        expected = {name: {"y": np.concatenate([given["x"]] * 2)} for name, given in inputs[index].items()}
        assert answer.digest() == outputs_digest(expected)
        spans = answer.spans
        assert spans["B0.device"] <= spans["B1.transfer"]
        parts = spans["upload"] + spans["B0.device"] + spans["download"]
        assert parts == pytest.approx(spans["B1.transfer"], abs=3000)
    said = target.facts.notes["started"]
    assert said.startswith("one CUDA graph" if graph and cuda_device.graphs else "enqueued one by one")
    with pytest.raises(StillflowError, match="in several lanes"):
        target.query(0, 1)
    target.close()
    target.close()
    assert tight.nothing_held
    assert library.log.gone[:2] == ["context", "engine"]


@pytest.mark.device
def test_an_engine_that_does_not_load_leaves_nothing_behind(
    cuda_device: CudaDevice, copying: ModuleType
) -> None:
    inputs = ({"flow": {"x": rows(5, 0)}},)
    tight = copying.TightDevice(cuda_device)
    with pytest.raises(StillflowError, match="it says why"):
        RawTensorRT(
            NetworkPhotos(("a",), inputs),
            {"flow": b"noise"},
            copying.copying_library(cuda_device),
            tight,
            Facts(),
        )
    too_large = ({"flow": {"x": rows(copying.LARGEST + 1, 0)}},)
    with pytest.raises(StillflowError, match="with the engine of flow"):
        RawTensorRT(
            NetworkPhotos(("a",), too_large),
            {"flow": b"engine"},
            copying.copying_library(cuda_device),
            tight,
            Facts(),
        )
    assert tight.nothing_held
