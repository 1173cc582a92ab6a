# SPDX-License-Identifier: Apache-2.0
"""The same networks in PyTorch, with the weights of the very ONNX files that ours runs: eager, or compiled.

The networks are those that the files were exported from (``stillflow_export.networks``), with batch norms folded as in
the files, so that the arithmetic is the same; the weights are read from the files by their names. In inference mode.
On the CPU a picture goes in and out without a copy; on a GPU it is copied both ways. Channels are last in memory, as
the manual advises for convolutions.

Option ``compile``: ``torch.compile`` with its defaults, for shapes that do not change. Compiling takes a minute and is
no query; ``facts.notes`` say how long it took. Frozen weights, which the manual mentions, were no faster.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.sessions.session import Array
from stillflow_bench.latency.inputs import Inputs
from stillflow_bench.latency.peers.both_networks import (
    GRAPHS,
    BothNetworks,
    NetworkFile,
    NetworkPhotos,
    Run,
    network_photos,
)
from stillflow_bench.latency.peers.installed import installed
from stillflow_bench.latency.peers.torch_place import torch_place
from stillflow_bench.latency.target import Facts, TargetSpec

if TYPE_CHECKING:
    import torch
    from torch import nn

PEER = "PyTorch"

_HALF = "_half"
"""What ``stillflow_export.stored_weights`` appends to the names of weights that are stored as float16."""


def open_target(spec: TargetSpec) -> BothNetworks:
    """Open both networks.

    Raises:
        StillflowError: PyTorch or the export's tools are absent, there is no such device, the bundle's graphs are not
            those of the networks at hand, or they do not compile.
    """
    torch = installed("torch", PEER)
    for package in ("onnx", "safetensors"):
        installed(package, PEER)
    place = torch_place(spec.subject, PEER)
    if spec.subject.threads is not None:
        torch.set_num_threads(spec.subject.threads)
    compiled = bool(spec.options.get("compile", False))
    bundle = Bundle.open(spec.subject.bundle)
    photos = network_photos(bundle, spec)
    files = {graph: NetworkFile(bundle.graph_bytes(graph, "fp32"), "fp32") for graph in GRAPHS}
    names = {graph: [t.name for t in bundle.graph(graph).outputs] for graph in GRAPHS}
    networks: dict[str, Any] = {}
    for graph, file in files.items():
        network: Any = network_of(graph, file.data).to(place.device, place.dtype)
        networks[graph] = network.to(memory_format=torch.channels_last)
    notes: dict[str, Any] = {"compile": compiled, "channels_last": True, "threads": torch.get_num_threads()}
    if compiled:
        networks, notes["compile_seconds"] = _compiled(networks, photos, place.device, place.dtype)
    runs = {
        graph: _run(network, names[graph], place.device, place.dtype) for graph, network in networks.items()
    }
    facts = Facts(
        engine="torch",
        version=str(torch.__version__),
        provider=f"{'inductor' if compiled else 'eager'} on {place.device} ({place.name})",
        precision=dict.fromkeys(GRAPHS, place.precision),
        device=place.device,
        hashes={"bundle": bundle.sha256, **{graph: file.sha256 for graph, file in files.items()}},
        receipts={graph: _receipt(bundle, graph, file, photos, runs[graph]) for graph, file in files.items()}
        if place.precision == "fp32"
        else {},
        notes=notes,
    )

    return BothNetworks(photos, lambda: runs, facts, on_cpu=place.device == "cpu")


def network_of(graph: str, data: bytes) -> nn.Module:
    """One of our networks with the weights of an ONNX file that was exported from it.

    Args:
        graph: "flow" or "generator".
        data: of the file, in float32.

    Raises:
        StillflowError: the file does not hold exactly this network's weights.
    """
    import onnx
    import torch
    from onnx import numpy_helper

    from stillflow_export.networks.flow import build_flow_network
    from stillflow_export.networks.generator import build_generator_network
    from stillflow_export.stored_weights import rounded_network

    build: Callable[[], nn.Module] = {"flow": build_flow_network, "generator": build_generator_network}[graph]
    network = rounded_network(build())  # for the folded batch norms; the weights come from the file
    held = {
        tensor.name.removesuffix(_HALF): torch.from_numpy(np.array(numpy_helper.to_array(tensor), np.float32))
        for tensor in onnx.load_from_string(data).graph.initializer
        if tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    }
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    wrong = [name for name, shape in wanted.items() if name not in held or tuple(held[name].shape) != shape]
    if wrong:
        raise StillflowError(
            f"cannot measure {PEER}",
            f"the bundle's graph {graph} does not hold the weights of the network at hand, such as {wrong[0]}",
            "measure the shipped bundle edge, or export the bundle again with this version",
        )
    network.load_state_dict({name: held[name] for name in wanted})
    return network.eval().requires_grad_(False)


def _receipt(
    bundle: Bundle, graph: str, file: NetworkFile, photos: NetworkPhotos, run: Run
) -> dict[str, Any]:
    """Gate A's, of the very calls that are measured against the ONNX file, on the first photo."""
    from stillflow_export.gates import gate_a
    from stillflow_export.samples import Sample

    described = bundle.graph(graph)
    asked: Any = _Asked(run, [tensor.name for tensor in described.inputs])
    sample = Sample(photos.names[0], dict(photos.inputs[0][graph]))
    receipt = gate_a(asked, file.data, described.inputs, described.outputs, [sample], name=graph)
    plain: dict[str, Any] = json.loads(json.dumps(receipt.as_json()))  # PyTorch's version is no plain string
    return plain


class _Asked:
    """What a gate takes for a network: a run, compiled or not."""

    def __init__(self, run: Run, inputs: list[str]) -> None:
        self._run, self._inputs = run, inputs

    def eval(self) -> _Asked:
        return self

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        import torch

        given = {name: tensor.numpy() for name, tensor in zip(self._inputs, tensors, strict=True)}
        return tuple(torch.from_numpy(array) for array in self._run(given).values())


def _run(network: Any, names: list[str], device: str, dtype: torch.dtype) -> Run:
    """What runs a network on arrays of the host."""
    import torch

    def run(given: Inputs) -> dict[str, Array]:
        with torch.inference_mode():
            made = network(*_tensors(given, device, dtype))
            return {name: value.float().cpu().numpy() for name, value in zip(names, made, strict=True)}

    return run


def _tensors(given: Inputs, device: str, dtype: torch.dtype) -> list[torch.Tensor]:
    """Arrays as a network's arguments; on the CPU in float32 their memory is shared."""
    import torch

    tensors = (torch.from_numpy(array).to(device, dtype) for array in given.values())
    return [tensor.to(memory_format=torch.channels_last) for tensor in tensors]


def _compiled(
    networks: Mapping[str, Any], photos: NetworkPhotos, device: str, dtype: torch.dtype
) -> tuple[dict[str, Any], float]:
    """Compile networks for the shapes of the photos.

    Returns:
        Them, and the seconds that it took.

    Raises:
        StillflowError: they do not compile.
    """
    import torch

    began = time.monotonic()
    compiled: Any = torch.compile
    made = {}
    for graph, network in networks.items():
        made[graph] = compiled(network, dynamic=False)
        try:
            with torch.inference_mode():
                made[graph](*_tensors(photos.inputs[0][graph], device, dtype))
        # A missing compiler, a broken one and an unknown operator raise errors of many kinds.
        except Exception as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise StillflowError(
                f"cannot measure {PEER} with torch.compile",
                f"torch {torch.__version__} says: {lines[0][:300] if lines else type(error).__name__}",
                "install a C++ compiler (apt install g++), or leave compile out",
            ) from error
    return made, round(time.monotonic() - began, 1)
