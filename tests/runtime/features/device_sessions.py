# SPDX-License-Identifier: Apache-2.0
"""Graphs on a device for tests: what they take comes to the host, is computed there and goes back.

They keep to the rule of ``DeviceSession``: results stay until the next call with the same stream, and not longer.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stillflow.bundle.interfaces import LAYERS
from stillflow.features.networks import FeatureNetworks
from stillflow.features.tiles import Run, TiledGraph
from stillflow.gpu.arrays import DeviceArray, allocate_array, download_array, upload_array
from stillflow.gpu.layer import CudaDevice, Stream
from stillflow.sessions.session import TensorSpec


class RoundTrip:
    """A DeviceSession that computes on the host."""

    engine, provider, fallback = "roundtrip", "host", ""
    outputs = ()

    def __init__(self, run: Run, cuda: CudaDevice, largest: int | None = None) -> None:
        self.run, self.cuda = run, cuda
        shape = None if largest is None else (1, 1, largest, largest)
        self.inputs = (TensorSpec("mask", "float32", (1, 1, "height", "width"), shape),)
        self.lanes: dict[int, list[DeviceArray]] = {}
        self.sizes: list[int] = []

    def run_on(self, inputs: Mapping[str, DeviceArray], stream: Stream) -> dict[str, DeviceArray]:
        there = {name: download_array(self.cuda, array, stream) for name, array in inputs.items()}
        self.sizes.append(next(iter(there.values()))[0, 0].size)
        made = {name: np.asarray(a, np.float32) for name, a in self.run(there).items()}
        for array in self.lanes.pop(stream.handle, []):
            self.cuda.clear(array.address, array.nbytes, stream)
            stream.synchronize()
            array.close()
        lane = self.lanes[stream.handle] = []
        lane.extend(upload_array(self.cuda, array, stream) for array in made.values())
        return dict(zip(made, lane, strict=True))

    def release(self, stream: Stream) -> None:
        for array in self.lanes.pop(stream.handle, []):
            array.close()

    def close(self) -> None:
        assert not self.lanes, "released for every stream"


def on_device(
    networks: FeatureNetworks, device: CudaDevice, largest: int | None = None
) -> dict[str, RoundTrip]:
    """All graphs of a generator, on a device, which take inputs of so many pixels a side."""
    graphs = {"encoder": networks.encoder, "decoder": networks.decoder}
    graphs |= dict(zip(LAYERS, networks.layers or (), strict=False))
    return {name: RoundTrip(graph.run, device, largest) for name, graph in graphs.items()}


class Copies:
    """A DeviceSession that only copies on the device, so that it can be recorded into a graph.

    Args:
        cuda: the device.
        parts: output name -> the input whose first channels it is, and how many.
    """

    engine, provider, fallback = "tensorrt", "copies", ""
    inputs = outputs = ()

    def __init__(self, cuda: CudaDevice, parts: Mapping[str, tuple[str, int]]) -> None:
        self.cuda, self.parts = cuda, parts
        self.lanes: dict[int, dict[str, DeviceArray]] = {}
        self.calls = 0

    def run_on(self, inputs: Mapping[str, DeviceArray], stream: Stream) -> dict[str, DeviceArray]:
        self.calls += 1
        size = next(iter(inputs.values())).shape[2:]
        lane = self.lanes.get(stream.handle, {})
        if any(array.shape[2:] != size for array in lane.values()):
            self.release(stream)
        if stream.handle not in self.lanes:
            self.lanes[stream.handle] = {
                name: allocate_array(self.cuda, (1, channels, *size), np.float32)
                for name, (_, channels) in self.parts.items()
            }
        lane = self.lanes[stream.handle]
        for name, (of, _) in self.parts.items():
            self.cuda.copy(inputs[of].address, lane[name].address, lane[name].nbytes, stream)
        return dict(lane)

    def release(self, stream: Stream) -> None:
        for array in self.lanes.pop(stream.handle, {}).values():
            array.close()

    def close(self) -> None:
        assert not self.lanes, "released for every stream"


def copying(cuda: CudaDevice) -> dict[str, Copies]:
    """A generator whose features are colours, the reddest the heaviest, and whose decoder lets them through."""
    return {
        "encoder": Copies(cuda, {"features": ("photo", 3), "weight": ("photo", 1)}),
        "decoder": Copies(cuda, {"frame": ("features", 3), "closed": ("mask", 1)}),
    }


def plain_networks() -> FeatureNetworks:
    """How graphs are cut that hand on what they are given, as those of `copying` do."""

    def graph(run: Run) -> TiledGraph:
        return TiledGraph(run, 4, 8, 1 << 30)

    return FeatureNetworks(
        graph(lambda i: {"features": i["photo"], "weight": i["photo"][:, :1]}),
        graph(lambda i: {"frame": i["features"], "closed": i["mask"]}),
        None,
        4,
        None,
        0.0,
        1 << 28,
    )
