# SPDX-License-Identifier: Apache-2.0
"""Raw ONNX Runtime: ``InferenceSession.run`` on our graphs and our arrays, with none of our code in between.

What our session costs over it is our overhead. Options of the target:

- ``options``: "same", the very session options of ours, or "default", those of ONNX Runtime itself: its threads spin
  between runs and its arena keeps memory, which is fast while nothing but networks runs.
- ``binding``: on a GPU, I/O binding: inputs are updated in place on the device, outputs have their places there, and
  nothing is allocated in a call. Without it NumPy arrays go in and come out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnxruntime as ort

from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.sessions.onnxruntime import CPU, FATAL_ONLY, OnnxRuntimeSession, load_graph, session_options
from stillflow.sessions.session import Array, cuda_index
from stillflow_bench.latency.inputs import Inputs
from stillflow_bench.latency.peers.both_networks import (
    BothNetworks,
    NetworkPhotos,
    Run,
    chosen_files,
    network_photos,
)
from stillflow_bench.latency.target import Facts, TargetSpec
from stillflow_bench.latency.targets.receipts import hashes_of, receipts_of

CUDA = "CUDAExecutionProvider"

OPTIONS = ("same", "default")


def open_target(spec: TargetSpec) -> BothNetworks:
    """Open both networks.

    Raises:
        StillflowError: the device is not there, ONNX Runtime does not use it, or an option means nothing.
    """
    kind, binding = str(spec.options.get("options", "same")), bool(spec.options.get("binding", False))
    if kind not in OPTIONS:
        raise StillflowError(
            "cannot measure raw ONNX Runtime", f"there are no options '{kind}'", f"use {' or '.join(OPTIONS)}"
        )
    bundle = Bundle.open(spec.subject.bundle)
    device, files = chosen_files(bundle, spec.subject, "onnxruntime")
    if binding and device == "cpu":
        raise StillflowError(
            "cannot measure ONNX Runtime with I/O binding",
            "on the CPU its arrays are NumPy's own, so that there is nothing to bind",
            "leave binding out, or use the device cuda",
        )
    sessions = {
        graph: inference_session(file.data, graph, kind, spec.subject.threads, device)
        for graph, file in files.items()
    }
    photos = network_photos(bundle, spec)
    precisions = {graph: file.precision for graph, file in files.items()}
    receipts = {}
    if device == "cpu":  # the very files that the bundle's gates judged, on the same library
        wrapped = {graph: OnnxRuntimeSession(session, graph) for graph, session in sessions.items()}
        receipts = receipts_of(bundle, wrapped, precisions, device)
    facts = Facts(
        engine="onnxruntime",
        version=ort.__version__,
        provider=sessions["flow"].get_providers()[0],
        precision=precisions,
        device=device,
        hashes=hashes_of(bundle, precisions),
        receipts=receipts,
        notes={"options": kind, "binding": binding, "threads": spec.subject.threads},
    )
    return BothNetworks(photos, _runs(sessions, photos, device, binding), facts, on_cpu=device == "cpu")


def inference_session(data: bytes, name: str, kind: str, threads: int | None, device: str) -> Any:
    """Load a graph.

    Args:
        data: ONNX.
        name: for messages.
        kind: "same" or "default", see above.
        threads: of one run; None: as many as ONNX Runtime takes.
        device: "cpu" or "cuda:N".

    Raises:
        StillflowError: it does not load, or not on that device.
    """
    if kind == "same":
        options = session_options(threads)
    else:
        options = ort.SessionOptions()
        options.log_severity_level = FATAL_ONLY
        options.intra_op_num_threads = threads or 0
    index = cuda_index(device)
    providers = [CPU] if index is None else [(CUDA, {"device_id": index}), CPU]
    session = load_graph(data, name, options, providers)
    if index is not None and session.get_providers()[0] != CUDA:
        raise StillflowError(
            f"cannot run the graph {name} on {device}",
            f"onnxruntime {ort.__version__} took {session.get_providers()[0]}",
            "see `stillflow doctor`",
        )
    return session


def _runs(
    sessions: Mapping[str, Any], photos: NetworkPhotos, device: str, binding: bool
) -> Callable[[], Mapping[str, Run]]:
    """Makes what runs a lane; sessions serve all lanes, bindings one each."""

    def plain(session: Any) -> Run:
        names = [output.name for output in session.get_outputs()]
        return lambda given: dict(zip(names, session.run(names, given), strict=True))

    def make() -> Mapping[str, Run]:
        if not binding:
            return {graph: plain(session) for graph, session in sessions.items()}
        index = cuda_index(device) or 0
        return {g: Bound(session, photos.inputs[0][g], index) for g, session in sessions.items()}

    return make


class Bound:
    """One graph with places on a device for its inputs and outputs.

    Args:
        session: that runs it.
        given: inputs of the shapes of all runs.
        index: of the GPU.
        place: "cuda", or "cpu" where this is tried without one.
    """

    def __init__(self, session: Any, given: Inputs, index: int, place: str = "cuda") -> None:
        self._session, self._binding = session, session.io_binding()
        self._inputs = {
            name: ort.OrtValue.ortvalue_from_numpy(array, place, index) for name, array in given.items()
        }
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        names = [output.name for output in session.get_outputs()]
        shapes = dict(zip(names, session.run(names, dict(given)), strict=True))
        self._outputs = {}
        for name, array in shapes.items():
            value = ort.OrtValue.ortvalue_from_shape_and_type(
                list(array.shape), array.dtype.type, place, index
            )
            self._outputs[name] = value
            self._binding.bind_ortvalue_output(name, value)

    def __call__(self, given: Inputs) -> dict[str, Array]:
        for name, array in given.items():
            self._inputs[name].update_inplace(array)
        self._session.run_with_iobinding(self._binding)
        return {name: np.asarray(value.numpy()) for name, value in self._outputs.items()}
