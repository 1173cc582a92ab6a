# SPDX-License-Identifier: Apache-2.0
"""Sessions on ONNX Runtime's CUDA provider, which reads and writes memory of ours on a stream of ours.

Left to itself it falls back to the CPU without an error: where its libraries do not load, and for every node that the
provider does not know. So it is asked not to, what is missing is looked for before, and what it says that it loaded is
read back.
"""

from __future__ import annotations

import contextlib
import io
import re
import weakref
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import Any

import onnxruntime as ort

from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu, why_no_gpu
from stillflow.gpu.layer import CudaDevice, Stream
from stillflow.sessions.bound_graph import BoundGraph, BoundLane
from stillflow.sessions.laned_session import LanedSession
from stillflow.sessions.onnxruntime import (
    CPU,
    FATAL_ONLY,
    OnnxRuntimeSession,
    load_graph,
    on_cpu,
    session_options,
)
from stillflow.sessions.registry import GPU_WHEEL
from stillflow.sessions.session import TensorSpec
from stillflow.sessions.session_lanes import SessionLanes

CUDA = "CUDAExecutionProvider"
_LIBRARY = re.compile(r"Failed to load (\S+?):")

Missing = tuple[str, str]
"""Why CUDA cannot be used, and the line that changes it."""


def open_session(
    data: bytes,
    name: str,
    *,
    threads: int | None,
    index: int,
    tf32: bool,
    allow_fallback: bool,
    cuda: CudaDevice | None,
) -> OnnxRuntimeCudaSession | OnnxRuntimeSession:
    """Load a graph on the GPU of an index; see `stillflow.sessions.open_session`.

    With ``allow_fallback`` it may be a session on the CPU, which says why.
    """
    missing = _missing(index, cuda)
    if missing is None:
        try:
            return _on_gpu(data, name, threads, index, tf32, allow_fallback, cuda)
        except _FellBackError as error:
            missing = error.missing
    why, fix = missing
    if not allow_fallback:
        raise StillflowError(f"cannot run the graph {name} on cuda:{index}", why, fix)
    return on_cpu(data, name, threads, f"the whole graph runs on the CPU, not on cuda:{index}: {why}")


class _FellBackError(Exception):
    """ONNX Runtime did not load its CUDA provider, and went on without it."""

    def __init__(self, missing: Missing) -> None:
        super().__init__(missing[0])
        self.missing = missing


def _missing(index: int, cuda: CudaDevice | None) -> Missing | None:
    """What ONNX Runtime would not find, and would go on without; None: everything seems to be there."""
    if CUDA not in ort.get_available_providers():
        return (
            f"the installed onnxruntime {ort.__version__} has no {CUDA}",
            f"{GPU_WHEEL}; or use the device cpu",
        )
    if cuda is None and find_gpu(index) is None:
        if find_gpu() is not None:
            return f"there is no GPU {index} here", "name one that nvidia-smi lists"
        why, fix, _ = why_no_gpu()
        return why, fix
    return None


def _preloaded() -> list[str]:
    """Load CUDA's libraries from where pip puts them, if ONNX Runtime offers to; return the names of those missing."""
    preload = getattr(ort, "preload_dlls", None)
    if preload is None:  # before 1.21
        return []
    said = io.StringIO()
    with contextlib.redirect_stdout(said):  # it prints what it does not find
        preload()
    return list(dict.fromkeys(path.rsplit("/", 1)[-1] for path in _LIBRARY.findall(said.getvalue())))


def provider_options(index: int, stream: Stream, *, tf32: bool) -> dict[str, str]:
    """Options of the CUDA provider."""
    return {
        "device_id": str(index),
        "user_compute_stream": str(stream.handle),
        # Its default is 1: what a file in float32 multiplies would be rounded to 10 bits, and gate C would find it.
        "use_tf32": str(int(tf32)),
        # The default, EXHAUSTIVE, times every algorithm for every new shape. A network runs once a photo, and photos
        # differ in size: the search would cost more than it could give back.
        "cudnn_conv_algo_search": "HEURISTIC",
        # The default takes twice as much each time.
        "arena_extend_strategy": "kSameAsRequested",
    }


def _on_gpu(
    data: bytes,
    name: str,
    threads: int | None,
    index: int,
    tf32: bool,
    allow_fallback: bool,
    cuda: CudaDevice | None,
) -> OnnxRuntimeCudaSession:
    if cuda is None:
        from stillflow.gpu.shared import shared_device

        cuda = shared_device(index)
    if not cuda.primary:
        raise _FellBackError(
            (
                f"{CUDA} uses the device's primary context, and {cuda.provider} here holds another one",
                "let the program hold the primary one (import pycuda.autoprimaryctx), or use --engine tensorrt",
            )
        )
    stream = cuda.stream()
    cuda.trim()  # weights lie in memory that ONNX Runtime takes by itself
    try:
        with cuda.current():
            session = _loaded(
                data, name, threads, allow_fallback, (CUDA, provider_options(index, stream, tf32=tf32))
            )
        settled = session.get_provider_options()[CUDA].get("device_id", str(index))
        if settled != str(index):
            why = f"onnxruntime {ort.__version__} took GPU {settled}"
            raise _FellBackError((why, "name that one, or see `stillflow doctor`"))
        fallback = nodes_on_cpu(session) if allow_fallback else ""
        return OnnxRuntimeCudaSession(session, name, cuda, stream, fallback=fallback)
    except BaseException:
        stream.close()
        raise


def _loaded(data: bytes, name: str, threads: int | None, allow_fallback: bool, provider: Any) -> Any:
    """A session whose first provider is CUDA.

    Raises:
        _FellBackError: the provider did not load.
        StillflowError: some node would run on the CPU, and may not.
    """
    absent = _preloaded()
    if absent:  # it would say so on stderr, in red
        ort.set_default_logger_severity(FATAL_ONLY)

    def load(strict: bool) -> Any:
        options = session_options(threads)
        options.add_session_config_entry("session.disable_cpu_ep_fallback", str(int(strict)))
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        return load_graph(data, name, options, [provider] if strict else [provider, CPU])

    refused: StillflowError | None = None
    try:
        session = load(not allow_fallback)
    except StillflowError as error:
        if allow_fallback:
            raise
        refused = error
        session = load(strict=False)  # which says why
    found = session.get_providers()[0]
    if found != CUDA:
        named = f", and does not find {', '.join(absent[:3])}" if absent else ""
        why = f"onnxruntime {ort.__version__} fell back to {found}{named}"
        libraries = "pip install 'onnxruntime-gpu[cuda,cudnn]', or CUDA and cuDNN as it was built for"
        fix = libraries if absent else "check the driver with `stillflow doctor`, or use the device cpu"
        raise _FellBackError((why, fix)) from refused
    if refused is not None:
        raise StillflowError(
            f"cannot run the graph {name} on a GPU alone",
            nodes_on_cpu(session) or refused.why,
            "let them with --allow-fallback, or use the engine tensorrt or the device cpu",
        ) from refused
    return session


def nodes_on_cpu(session: Any) -> str:
    """Say which nodes of a graph ONNX Runtime gave to the CPU; "" where it gave it none."""
    tell = getattr(session, "get_provider_graph_assignment_info", None)
    if tell is None:  # before 1.24
        return f"single nodes may run on the CPU: onnxruntime {ort.__version__} does not say which"
    parts = [(part.ep_name, part.get_nodes()) for part in tell()]
    kinds = Counter(node.op_type for provider, nodes in parts if provider == CPU for node in nodes)
    if not kinds:
        return ""
    everything = sum(len(nodes) for _, nodes in parts)
    named = ", ".join(kind if n == 1 else f"{n} {kind}" for kind, n in kinds.most_common(5))
    return f"{kinds.total()} of {everything} nodes run on the CPU: {named}"


class OnnxRuntimeCudaSession(LanedSession[BoundLane]):
    """One graph on ONNX Runtime, on a GPU; see `stillflow.sessions.DeviceSession`.

    Its work cannot be recorded into a graph.

    Args:
        session: its InferenceSession, made with ``stream`` as the user's stream.
        name: for messages.
        cuda: the device.
        stream: of the session's own, which is closed with it.
        fallback: what does not run on the GPU.
        place: where the addresses are that the session takes, as ONNX Runtime calls it.
    """

    engine = "onnxruntime"

    def __init__(
        self,
        session: Any,
        name: str,
        cuda: CudaDevice,
        stream: Stream,
        *,
        fallback: str = "",
        place: str = "cuda",
    ) -> None:
        self.cuda = cuda
        self.fallback = fallback
        number = f" (cuda:{cuda.index})" if cuda.index else ""
        self.provider: str = f"{session.get_providers()[0]} on {cuda.gpu.name}{number}"
        self._name = name
        # With nodes on the CPU their values cross over, and only ONNX Runtime knows when they have arrived.
        graph = BoundGraph(session, place, cuda.index, name, waits=bool(fallback))
        self.inputs: tuple[TensorSpec, ...] = graph.inputs
        self.outputs: tuple[TensorSpec, ...] = graph.outputs
        # All runs of a session are in one stream, so a second lane for callers from the host would only hold memory.
        self._lanes = SessionLanes(partial(BoundLane, graph, cuda, stream), most=1, trim=cuda.trim)
        self._close = weakref.finalize(self, _close, self._lanes, graph, stream, cuda)


def _close(lanes: SessionLanes[BoundLane], graph: BoundGraph, stream: Stream, cuda: CudaDevice) -> None:
    """Lanes, then the session that uses the stream, then the stream."""
    with suppress(StillflowError):
        stream.synchronize()
    lanes.close()
    with suppress(StillflowError), cuda.current():
        graph.close()
    with suppress(StillflowError):
        stream.close()
