# SPDX-License-Identifier: Apache-2.0
"""Sessions that time themselves: our own call (B2.call) and, on the CPU, the library's call inside it (B0.device).

The library's object is replaced by one that reads the clock around its one call, and our session is made of that as
of any other. So our session is the one that users have, line for line, and both times belong to the same query. The
clock and the sums take a microsecond for each: B2.call is longer by two than it is at a user's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, cast

from stillflow.errors import StillflowError
from stillflow.gpu.arrays import DeviceArray
from stillflow.gpu.layer import Stream
from stillflow.sessions.onnxruntime import CPU, OnnxRuntimeSession, load_graph, session_options
from stillflow.sessions.session import Array, DeviceSession, Session
from stillflow_bench.latency.boundary import Boundary

DEVICE: Boundary = "B0.device"
CALL: Boundary = "B2.call"


class Watch(threading.local):
    """Nanoseconds by span, of the thread that asks: every lane has its own.

    Attributes:
        spans: of the query at hand; grows while its thread works.
    """

    def __init__(self) -> None:
        self.spans: dict[str, int] = {}

    def start(self) -> dict[str, int]:
        """Begin a query, and return what its spans go into."""
        self.spans = {}
        return self.spans

    def stop(self) -> None:
        """End it: what the thread does from now on belongs to no query."""
        self.spans = {}


class _Lap:
    """Adds the time of a call to its boundary, and to the boundary of its graph alone."""

    def __init__(self, watch: Watch, boundary: Boundary, graph: str) -> None:
        self._watch, self._names = watch, (boundary, f"{boundary} {graph}")

    def add(self, nanoseconds: int) -> None:
        spans = self._watch.spans
        for name in self._names:
            spans[name] = spans.get(name, 0) + nanoseconds


class TimedSession:
    """A session whose calls are timed.

    Args:
        inner: that works.
        graph: its name.
        watch: is told.
        threads: of one run, as the library says; 0: it decides by itself; None: that is not known.
    """

    def __init__(self, inner: Session, graph: str, watch: Watch, threads: int | None = None) -> None:
        self.engine, self.provider, self.fallback = inner.engine, inner.provider, inner.fallback
        self.inputs, self.outputs, self.threads = inner.inputs, inner.outputs, threads
        self._inner, self._lap = inner, _Lap(watch, CALL, graph)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Session.run`."""
        began = time.monotonic_ns()
        outputs = self._inner.run(inputs)
        self._lap.add(time.monotonic_ns() - began)
        return outputs

    def close(self) -> None:
        """See `Session.close`."""
        self._inner.close()


class TimedDeviceSession(TimedSession):
    """The same on a GPU. What lies in its streams is not timed here: the host does not wait for it."""

    def __init__(self, inner: DeviceSession, graph: str, watch: Watch) -> None:
        super().__init__(inner, graph, watch)
        self._device = inner
        self.cuda = inner.cuda

    def run_on(self, inputs: Mapping[str, DeviceArray], stream: Stream) -> dict[str, DeviceArray]:
        """See `DeviceSession.run_on`."""
        return self._device.run_on(inputs, stream)

    def release(self, stream: Stream) -> None:
        """See `DeviceSession.release`."""
        self._device.release(stream)


def timed(session: Session, graph: str, watch: Watch) -> TimedSession:
    """Time the calls of a loaded session."""
    if isinstance(session, DeviceSession):
        return TimedDeviceSession(session, graph, watch)
    return TimedSession(session, graph, watch)


def timed_on_cpu(
    data: bytes, graph: str, name: str, engine: str, threads: int | None, watch: Watch
) -> TimedSession:
    """Load a graph on the CPU as `stillflow.sessions.open_session` does, and time both calls.

    Args:
        data: the ONNX file.
        graph: its name.
        name: for messages.
        engine: "onnxruntime" or "openvino".
        threads: of one run; None: all cores.
        watch: is told.

    Raises:
        StillflowError: it does not load.
    """
    lap = _Lap(watch, DEVICE, graph)
    inner: Session
    if engine == "openvino":
        try:
            from stillflow.sessions.openvino import OpenVinoSession
            from stillflow.sessions.openvino import load_graph as compiled_graph
        except ImportError as error:
            fix = "pip install 'stillflow[openvino]'"
            raise StillflowError(f"cannot use the engine '{engine}'", str(error), fix) from error

        compiled, _, inputs, outputs = compiled_graph(data, name, threads, "f32")
        inner = OpenVinoSession(_TimedCompiled(compiled, lap), name, inputs, outputs)
        return TimedSession(inner, graph, watch, int(compiled.get_property("INFERENCE_NUM_THREADS")))
    raw = load_graph(data, name, session_options(threads), [CPU])
    inner = cast("Session", OnnxRuntimeSession(_TimedInference(raw, lap), name))
    return TimedSession(inner, graph, watch, int(raw.get_session_options().intra_op_num_threads))


class _TimedInference:
    """ONNX Runtime's InferenceSession, its ``run`` timed."""

    def __init__(self, raw: Any, lap: _Lap) -> None:
        self._raw, self._lap = raw, lap

    def run(self, *given: Any) -> Any:
        began = time.monotonic_ns()
        values = self._raw.run(*given)
        self._lap.add(time.monotonic_ns() - began)
        return values

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


class _TimedCompiled:
    """OpenVINO's CompiledModel, the ``infer`` of its requests timed."""

    def __init__(self, raw: Any, lap: _Lap) -> None:
        self._raw, self._lap = raw, lap

    def create_infer_request(self) -> _TimedRequest:
        return _TimedRequest(self._raw.create_infer_request(), self._lap)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


class _TimedRequest:
    """OpenVINO's InferRequest, its ``infer`` timed."""

    def __init__(self, raw: Any, lap: _Lap) -> None:
        self._raw, self._lap = raw, lap

    def infer(self, *given: Any) -> Any:
        began = time.monotonic_ns()
        values = self._raw.infer(*given)
        self._lap.add(time.monotonic_ns() - began)
        return values

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)
