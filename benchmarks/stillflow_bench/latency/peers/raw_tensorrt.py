# SPDX-License-Identifier: Apache-2.0
"""Raw TensorRT, as trtexec times it: the engines that our cache holds for the subject, with nothing in between.

One context an engine, inputs and outputs bound once, everything in one stream, and both engines started as one CUDA
graph where they can be recorded (option ``graph``, default true). Events in the stream time computing alone
("B0.device") and with the copies from and to pinned memory ("B1.transfer"). An engine that is missing is built first,
as our own session would have it built.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import msgspec
import numpy as np

from stillflow.build.adapter import Library
from stillflow.build.cache import EngineCache
from stillflow.build.layers import dtype_name
from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu
from stillflow.gpu.layer import CudaDevice, Event, Graph, Stream
from stillflow.sessions import cuda_index
from stillflow.sessions.choice import choose
from stillflow.sessions.session import Array
from stillflow.sessions.tensorrt import find_engine
from stillflow.sessions.wish import ENGINES, TENSORRT
from stillflow_bench.latency.inputs import Inputs
from stillflow_bench.latency.peers.both_networks import GRAPHS, NetworkPhotos, network_photos, outputs_digest
from stillflow_bench.latency.target import Answer, Facts, TargetSpec
from stillflow_bench.latency.targets.engine_build import find_or_build
from stillflow_bench.latency.targets.receipts import hashes_of

PEER = "raw TensorRT"


def open_target(spec: TargetSpec) -> RawTensorRT:
    """Load the engines of a subject.

    Raises:
        StillflowError: there is no GPU or no library, or an engine neither lies in the cache nor can be built.
    """
    subject = spec.subject
    engine = ENGINES.get(subject.engine, "tensorrt")
    bundle = Bundle.open(subject.bundle)
    choice = choose(
        bundle,
        subject.device,
        engine if engine in TENSORRT else "tensorrt",
        subject.precision,
        graphs=GRAPHS,
    )
    index = cuda_index(choice.device) or 0
    gpu = find_gpu(index)
    if gpu is None or choice.engine not in TENSORRT:
        raise StillflowError(
            f"cannot measure {PEER}",
            f"{choice.engine} would run on {choice.device}",
            "see `stillflow doctor`",
        )
    from stillflow.gpu.shared import shared_device

    find_or_build(bundle, choice, index)
    library, cache = Library.open(choice.engine), EngineCache()
    engines, hashes, receipts = {}, hashes_of(bundle, choice.precisions), {}
    for graph in GRAPHS:
        data = bundle.graph_bytes(graph, choice.precisions[graph])
        entry, engines[graph] = find_engine(data, graph, library, gpu, cache)
        kept = (cache.gate(entry.parts.key) or {}).get("receipt")
        if isinstance(kept, dict):
            receipts[graph] = {"engine_sha256": entry.sha256, **kept}
    facts = Facts(
        engine=choice.engine,
        version=library.version,
        provider=f"{choice.engine} {library.version} on {gpu.name}",
        precision=dict(choice.precisions),
        device=f"cuda:{index}",
        hashes=hashes,
        receipts=receipts,
    )
    photos = network_photos(bundle, spec)
    graph_wanted = bool(spec.options.get("graph", True))
    return RawTensorRT(photos, engines, library, shared_device(index), facts, graph=graph_wanted)


class RawTensorRT:
    """A target whose query runs both engines for one photo. One lane; a digest is to be taken before the next query.

    Args:
        photos: that it is queried with, all of one size.
        engines: graph -> bytes that were checked: deserialising an engine runs code.
        library: that loads them.
        cuda: the device.
        facts: what is known of them; the photos' own are added.
        graph: start both as one CUDA graph, where they can be recorded.
    """

    def __init__(
        self,
        photos: NetworkPhotos,
        engines: Mapping[str, bytes],
        library: Library,
        cuda: CudaDevice,
        facts: Facts,
        *,
        graph: bool = True,
    ) -> None:
        self._photos, self._cuda = photos, cuda
        self._owned = ExitStack()
        self._graph: Graph | None = None
        try:
            self._stream = cuda.stream()
            self._owned.callback(self._stream.close)
            self._events = [self._event() for _ in range(4)]
            first = photos.inputs[0]
            self._engines = {
                name: _Engine(library, data, name, cuda, first[name], self._stream, self._owned)
                for name, data in engines.items()
            }
            started = self._record() if graph else "enqueued one by one"
        except BaseException:
            self.close()
            raise
        seen = photos.about()
        notes = {**seen.notes, **facts.notes, "started": started, "memory": "pinned, bound once"}
        self.facts = msgspec.structs.replace(facts, inputs=seen.inputs, photos=seen.photos, notes=notes)

    def _event(self) -> Event:
        event = self._cuda.event(timing=True)
        self._owned.callback(event.close)
        return event

    def _record(self) -> str:
        """Record both engines, once they have run; how they are started from now on."""
        self._enqueue()  # what is made at the first run is none of the recording's business
        self._stream.synchronize()
        if not self._cuda.graphs:
            return "enqueued one by one: this provider of CUDA has no graphs"
        try:
            with self._cuda.capture(self._stream) as recording:
                self._enqueue()
        except StillflowError as error:
            return f"enqueued one by one: {error.why}"
        self._graph = recording.graph
        self._owned.callback(self._graph.close)
        return "one CUDA graph"

    def _enqueue(self) -> None:
        for engine in self._engines.values():
            engine.enqueue(self._stream)

    @property
    def inputs(self) -> int:
        """See `Target`."""
        return len(self._photos.inputs)

    def query(self, index: int, lane: int = 0) -> Answer:
        """See `Target`."""
        if lane:
            fix = "use the scenario single_stream"
            raise StillflowError(f"cannot measure {PEER} in several lanes", "its buffers serve one", fix)
        began, up, computed, done = self._events
        for name, engine in self._engines.items():
            engine.fill(self._photos.inputs[index][name])
        began.record(self._stream)
        for engine in self._engines.values():
            engine.upload(self._stream)
        up.record(self._stream)
        if self._graph is not None:
            self._graph.launch(self._stream)
        else:
            self._enqueue()
        computed.record(self._stream)
        for engine in self._engines.values():
            engine.download(self._stream)
        done.record(self._stream)
        self._stream.synchronize()
        spans = {
            "B1.transfer": _between(began, done),
            "upload": _between(began, up),
            "B0.device": _between(up, computed),
            "download": _between(computed, done),
        }
        return Answer(spans, lambda: outputs_digest({name: e.outputs for name, e in self._engines.items()}))

    def close(self) -> None:
        """See `Target`."""
        self._owned.close()


class _Engine:
    """One engine with its context, and all that is bound to it.

    Args:
        library: that loads it.
        data: its bytes.
        name: for messages.
        cuda: the device.
        given: inputs of the shapes of all runs.
        stream: in which its memory is first used.
        owned: gives everything back, last things first.

    Attributes:
        outputs: views of pinned memory, written by the last ``download``.
    """

    def __init__(
        self,
        library: Library,
        data: bytes,
        name: str,
        cuda: CudaDevice,
        given: Inputs,
        stream: Stream,
        owned: ExitStack,
    ) -> None:
        self._library, self._name, self._cuda, self._owned = library, name, cuda, owned
        self._places: dict[str, int] = {}
        kinds = library.module.ExecutionContextAllocationStrategy
        with cuda.current():
            self._runtime = library.runtime()
            self._engine = self._runtime.deserialize_cuda_engine(data)
            self._hold(self._engine)
            owned.callback(self._let_go)
            # Memory for intermediate values at exactly these shapes; TensorRT 10.0 takes the largest by itself.
            ours = hasattr(kinds, "USER_MANAGED")
            self._context = self._engine.create_execution_context(
                kinds.USER_MANAGED if ours else kinds.STATIC
            )
            self._hold(self._context)
            for tensor, array in given.items():
                self._hold(self._context.set_input_shape(tensor, array.shape))
            if ours:
                size = int(self._context.update_device_memory_size_for_shapes())
                self._context.set_device_memory(self._allocate(max(1, size)), size)
            self._inputs = {tensor: self._bound(tensor, a.shape, a.dtype) for tensor, a in given.items()}
            names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
            self.outputs = {}
            for tensor in names:
                if tensor not in given:
                    shape = tuple(int(side) for side in self._context.get_tensor_shape(tensor))
                    dtype = np.dtype(dtype_name(self._engine.get_tensor_dtype(tensor)))
                    self.outputs[tensor] = self._bound(tensor, shape, dtype)
        self.fill(given)
        self.upload(stream)

    def _hold(self, made: Any) -> None:
        if made is None or made is False:
            why = self._library.log.why(None)
            raise StillflowError(
                f"cannot measure {PEER} with the engine of {self._name}",
                why,
                "build it again: stillflow build --for auto",
            )

    def _allocate(self, size: int) -> int:
        memory = self._cuda.allocate(size)
        self._owned.callback(memory.close)
        return memory.address

    def _bound(self, tensor: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Give a tensor its place on the device; pinned memory of the same shape for it."""
        size = int(np.prod(shape)) * dtype.itemsize
        self._places[tensor] = self._allocate(size)
        self._context.set_tensor_address(tensor, self._places[tensor])
        pinned = self._cuda.pin(size)
        self._owned.callback(pinned.close)
        return pinned.array[:size].view(dtype).reshape(shape)

    def fill(self, given: Inputs) -> None:
        """Put arrays into pinned memory."""
        for tensor, pinned in self._inputs.items():
            pinned[...] = given[tensor]

    def upload(self, stream: Stream) -> None:
        """Enqueue copies of the inputs."""
        for tensor, pinned in self._inputs.items():
            self._cuda.upload(pinned, self._places[tensor], stream)

    def enqueue(self, stream: Stream) -> None:
        """Enqueue the engine."""
        with self._cuda.current():
            self._hold(self._context.execute_async_v3(stream.handle))

    def download(self, stream: Stream) -> None:
        """Enqueue copies of the outputs."""
        for tensor, pinned in self.outputs.items():
            self._cuda.download(self._places[tensor], pinned, stream)

    def _let_go(self) -> None:
        """The context before its engine, and both before the runtime."""
        self.outputs = {}
        with self._cuda.current():
            self._context = None
            self._engine = None
            self._runtime = None


def _between(start: Event, end: Event) -> int:
    """Nanoseconds between two events that are passed."""
    return round(1e6 * end.since(start))
