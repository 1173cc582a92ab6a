# SPDX-License-Identifier: Apache-2.0
"""A session of ONNX Runtime that reads and writes memory at addresses, and lanes that bring its work into order."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import onnxruntime as ort

from stillflow.errors import StillflowError
from stillflow.gpu.arrays import DeviceArray
from stillflow.gpu.layer import CudaDevice, Stream
from stillflow.sessions.onnxruntime import first_line, tensor_specs
from stillflow.sessions.session import Array
from stillflow.sessions.staging import DeviceRoom, Shapes, Staging, refusal

_MOST_SHAPES = 64


class BoundGraph:
    """A session of ONNX Runtime that reads and writes memory at addresses. One call at a time: hold ``lock``.

    Args:
        session: its InferenceSession.
        place: "cuda", or "cpu" for addresses of the host.
        index: of the device.
        name: for messages.
        waits: a call returns when the work is done; otherwise when it is enqueued.
    """

    def __init__(self, session: Any, place: str, index: int, name: str, *, waits: bool) -> None:
        self._session, self._place, self._index, self._name = session, place, index, name
        self.lock = threading.Lock()
        self.inputs = tensor_specs(session.get_inputs(), name)
        self.outputs = tensor_specs(session.get_outputs(), name)
        self._known: dict[tuple[tuple[int, ...], ...], Shapes] = {}
        self._enqueue: Any = None
        if not waits:
            self._enqueue = ort.RunOptions()
            self._enqueue.add_run_config_entry("disable_synchronize_execution_providers", "1")

    def output_shapes(self, inputs: Mapping[str, DeviceArray]) -> Shapes:
        """What the outputs will be. Inputs of new shapes, which are ready, are computed once to find out."""
        key = tuple(inputs[spec.name].shape for spec in self.inputs)
        if key not in self._known:
            if len(self._known) >= _MOST_SHAPES:
                self._known.clear()
            binding = self._bound(inputs)
            for spec in self.outputs:
                binding.bind_output(spec.name, self._place, self._index)
            self._run(binding, None)
            self._known[key] = {
                spec.name: (tuple(value.shape()), np.dtype(spec.dtype))
                for spec, value in zip(self.outputs, binding.get_outputs(), strict=True)
            }
        return self._known[key]

    def run(self, inputs: Mapping[str, DeviceArray], outputs: Mapping[str, DeviceArray]) -> None:
        """Compute from memory into memory, in order of the session's stream."""
        binding = self._bound(inputs)
        for name, array in outputs.items():
            binding.bind_output(
                name, self._place, self._index, array.dtype.type, list(array.shape), array.address
            )
        self._run(binding, self._enqueue)

    def _bound(self, inputs: Mapping[str, DeviceArray]) -> Any:
        binding = self._session.io_binding()
        for name, array in inputs.items():
            binding.bind_input(
                name, self._place, self._index, array.dtype.type, list(array.shape), array.address
            )
        return binding

    def _run(self, binding: Any, options: Any) -> None:
        try:
            self._session.run_with_iobinding(binding, options)
        # Its exception types share no base but Exception.
        except Exception as error:
            raise refusal(
                f"the graph {self._name} failed",
                f"onnxruntime {ort.__version__} says: {first_line(error)}",
                "check that the sides are multiples of the manifest's sizes.multiple, and free some memory",
            ) from error

    def close(self) -> None:
        """Let the session go."""
        self._session = None


class BoundLane:
    """Where the results for one caller, or one stream of a caller, lie."""

    def __init__(self, graph: BoundGraph, cuda: CudaDevice, stream: Stream) -> None:
        self._graph, self._cuda, self._stream = graph, cuda, stream
        self._results, self._moved = DeviceRoom(cuda), DeviceRoom(cuda)
        self._staging: Staging | None = None
        self._before = cuda.event()
        try:
            self._after = cuda.event()
        except BaseException:
            self._before.close()
            raise

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Compute from arrays of the host; new arrays come back."""
        staging = self._staging = self._staging or Staging(self._cuda)
        return staging.through(arrays, lambda inputs: self.enqueue(inputs, staging.stream))

    def enqueue(self, inputs: Mapping[str, DeviceArray], stream: Stream) -> dict[str, DeviceArray]:
        """Compute in order of a stream, on the session's own: each waits for the other on the device."""
        graph = self._graph
        ready = self._moved.aligned(inputs, stream)
        with graph.lock, self._cuda.current():
            try:
                self._before.record(stream)
                self._stream.wait(self._before)
                placed = self._results.place(graph.output_shapes(ready), stream)
                graph.run(ready, placed)
                self._after.record(self._stream)
                stream.wait(self._after)
            except BaseException:
                with suppress(StillflowError):
                    self._stream.synchronize()  # or what was begun would go on, and nobody wait for it
                raise
        return placed

    def close(self) -> None:
        for part in (self._results, self._moved, self._before, self._after, self._staging):
            if part is not None:
                part.close()
