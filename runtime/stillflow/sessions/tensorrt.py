# SPDX-License-Identifier: Apache-2.0
"""Sessions on engines of TensorRT and TensorRT-RTX, from the cache that ``stillflow build`` fills.

Small and synchronous: for gate C and ``stillflow bundle verify --engine tensorrt``. No machine at hand could run it;
what is tested is that it finds the right engine, refuses the wrong one, and says so without a GPU.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from stillflow.build.adapter import Library
from stillflow.build.cache import DamagedError, EngineCache
from stillflow.build.entry import Entry
from stillflow.build.layers import dtype_name
from stillflow.errors import StillflowError
from stillflow.gpu.description import Gpu, find_gpu
from stillflow.sessions.session import Arithmetic, Array, Device, TensorSpec, checked_inputs

if TYPE_CHECKING:
    from stillflow.gpu.layer import CudaDevice

_log = logging.getLogger(__name__)


def _build_line(library: str, *, again: bool = False) -> str:
    """The line that builds what is looked for. A profile may wish another precision and another library."""
    force = " --force" if again else ""
    return (
        f"build it: stillflow build BUNDLE --for auto --library {library}{force}, "
        "with the --precision that is run here (without one, the bundle's own)"
    )


def open_session(
    data: bytes,
    name: str,
    *,
    threads: int | None,
    device: Device,
    arithmetic: Arithmetic,
    allow_fallback: bool = False,
    cuda: CudaDevice | None = None,
    library: str = "tensorrt",
) -> TensorRTSession:
    """Load the engine of a graph; see `stillflow.sessions.open_session`.

    TensorRT runs on CUDA whatever ``device`` says, and ``threads`` means nothing to it.
    """
    what = f"cannot run the graph {name} on {library}"
    if arithmetic != "f32":
        raise StillflowError(what, "it computes in the precision of the file", "leave the arithmetic at f32")
    gpu = find_gpu()
    if gpu is None:
        raise StillflowError(
            what, "there is no CUDA device here", "use the engine onnxruntime, or see `stillflow doctor`"
        )
    opened = Library.open(library)
    cache = EngineCache()
    entry, engine = find_engine(data, name, opened, gpu, cache)
    _log.info(
        "engine of %s: gate C %s", name, (cache.gate(entry.parts.key) or {}).get("state", "left no receipt")
    )
    why = opened.invalid(engine)
    if why is not None:
        raise StillflowError(
            what,
            f"{library} {opened.version} calls its engine invalid: {why}",
            _build_line(library, again=True),
        )
    return TensorRTSession(opened, engine, f"{name} ({entry.precision})", gpu)


def find_engine(
    data: bytes, name: str, library: Library, gpu: Gpu, cache: EngineCache
) -> tuple[Entry, bytes]:
    """Find the engine of an ONNX file that may be loaded here, the newest first, and read it checked.

    Args:
        data: the ONNX file.
        name: of the graph, for messages.
        library: that would load it.
        gpu: that it would run on.
        cache: to look in.

    Returns:
        The entry, and bytes that are those that were built.

    Raises:
        StillflowError: none is there, or only ones for another version, GPU or driver, or ones that are damaged or
            failed gate C.
    """
    what, digest = f"cannot run the graph {name} on {library.name}", hashlib.sha256(data).hexdigest()
    reasons, again = [], False
    for stored in cache.stored(engines=False):
        entry = stored.entry
        if entry is None:
            reasons.append(f"one entry is damaged: {stored.why}")
            continue
        parts = entry.parts
        if parts.onnx_sha256 != digest or parts.builder != library.name:
            continue
        if parts.builder_version != library.version:
            reasons.append(f"one is for version {parts.builder_version}, here is {library.version}")
        elif not parts.target.runs_on(gpu):
            here = f"{gpu.name} (compute capability {gpu.compute_capability}, driver {gpu.driver})"
            reasons.append(f"one is for {parts.target}, here is {here}")
        elif (cache.gate(stored.key) or {}).get("state") == "failed":
            again = True  # or the build would find it in the cache
            reasons.append("one failed gate C: its results are not those of the ONNX file")
        else:
            try:
                return cache.load(stored.key)
            except (DamagedError, FileNotFoundError) as error:
                reasons.append(f"one is damaged: {error}")
    why = "; ".join(dict.fromkeys(reasons)) or "no engine of it is in the cache"
    raise StillflowError(what, why, _build_line(library.name, again=again))


class TensorRTSession:
    """One engine, with a context, a stream and device memory of its own.

    Args:
        library: that loads it.
        engine: bytes that were checked: deserialising an engine runs code.
        name: for messages.
        gpu: that it runs on.
    """

    def __init__(self, library: Library, engine: bytes, name: str, gpu: Gpu) -> None:
        self.engine = library.name
        self.provider: str = f"{library.name} {library.version} on {gpu.name}"
        self._name = name
        self._cuda = _cuda_runtime(name)
        self._library = library
        self._lock = threading.Lock()  # a context serves one thread at a time
        trt = library.module
        # An engine loaded while another device is current gives empty results without an error.
        self._call(self._cuda.cudaSetDevice(0))
        self._runtime = trt.Runtime(library.log)
        self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise StillflowError(
                f"cannot load the engine of {name}",
                library.log.why(None),
                _build_line(library.name, again=True),
            )
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise StillflowError(
                f"cannot use the engine of {name}", library.log.why(None), "free some memory of the GPU"
            )
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        inputs = [n for n in names if self._engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
        self.inputs = tuple(self._spec(n) for n in inputs)
        self.outputs = tuple(self._spec(n) for n in names if n not in inputs)
        self._stream = self._call(self._cuda.cudaStreamCreateWithFlags(self._cuda.cudaStreamNonBlocking))

    def _spec(self, tensor: str) -> TensorSpec:
        shape = tuple(
            int(side) if side >= 0 else f"{tensor}_{axis}"
            for axis, side in enumerate(self._engine.get_tensor_shape(tensor))
        )
        return TensorSpec(tensor, dtype_name(self._engine.get_tensor_dtype(tensor)), shape)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Session.run`."""
        ready = checked_inputs(self.inputs, inputs, self._name)
        with self._lock:
            return self._run(ready)

    def _run(self, ready: dict[str, Array]) -> dict[str, Array]:
        cuda, context, what = self._cuda, self._context, f"the graph {self._name} failed"
        for name, array in ready.items():
            if not context.set_input_shape(name, array.shape):
                raise StillflowError(
                    what,
                    f"its engine was not built for {name} of shape {array.shape}",
                    "build it with larger sizes in the profile, or use the engine onnxruntime",
                )
        outputs = {
            spec.name: np.empty(tuple(context.get_tensor_shape(spec.name)), spec.dtype)
            for spec in self.outputs
        }
        held: list[int] = []
        try:
            for name, array in (*ready.items(), *outputs.items()):
                held.append(self._call(cuda.cudaMalloc(max(1, math.prod(array.shape) * array.itemsize))))
                context.set_tensor_address(name, int(held[-1]))
            up, down = cuda.cudaMemcpyKind.cudaMemcpyHostToDevice, cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
            for place, array in zip(held, ready.values(), strict=False):
                self._call(cuda.cudaMemcpyAsync(place, array.ctypes.data, array.nbytes, up, self._stream))
            if not context.execute_async_v3(int(self._stream)):
                raise StillflowError(what, self._library.log.why(None), "see `stillflow doctor`")
            for place, array in zip(held[len(ready) :], outputs.values(), strict=True):
                self._call(cuda.cudaMemcpyAsync(array.ctypes.data, place, array.nbytes, down, self._stream))
            self._call(cuda.cudaStreamSynchronize(self._stream))
        finally:
            for place in held:
                cuda.cudaFree(place)
        return outputs

    def _call(self, answer: tuple[Any, ...]) -> Any:
        """The value of a CUDA call; a StillflowError when it failed."""
        error, *value = answer
        if error != self._cuda.cudaError_t.cudaSuccess:
            raise StillflowError(
                f"the graph {self._name} failed", f"CUDA says: {error.name}", "see `stillflow doctor`"
            )
        return value[0] if value else None


def _cuda_runtime(name: str) -> Any:
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        raise StillflowError(
            f"cannot run the graph {name}",
            f"cuda-bindings is missing: {error}",
            "pip install 'stillflow[cuda]'",
        ) from error
    return runtime
