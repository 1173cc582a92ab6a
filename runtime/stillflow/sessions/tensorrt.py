# SPDX-License-Identifier: Apache-2.0
"""Sessions on engines of TensorRT and TensorRT-RTX, from the cache that ``stillflow build`` fills."""

from __future__ import annotations

import hashlib
import logging
import weakref
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from stillflow.build.adapter import Library
from stillflow.build.cache import DamagedError, EngineCache
from stillflow.build.entry import Entry, Target
from stillflow.errors import StillflowError
from stillflow.gpu.description import Gpu, find_gpu
from stillflow.sessions.compiled_kernels import CompiledKernels
from stillflow.sessions.engine_lane import EngineLane, Model
from stillflow.sessions.laned_session import LanedSession
from stillflow.sessions.session import (
    Arithmetic,
    Device,
    NoEngineError,
    cuda_index,
)
from stillflow.sessions.session_lanes import SessionLanes

if TYPE_CHECKING:
    from stillflow.gpu.layer import CudaDevice

_log = logging.getLogger(__name__)


def _build_line(library: str, *, again: bool = False) -> str:
    """The line that builds what is looked for; `Bundle.session` knows its capitals.

    A profile may wish another precision and another library.
    """
    force = " --force" if again else ""
    return f"build it: stillflow build BUNDLE --for auto --library {library} --precision PRECISION{force}"


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

    ``threads`` means nothing to it, and an engine has nothing that could fall back to the CPU.
    """
    what = f"cannot run the graph {name} on {library}"
    if arithmetic != "f32":
        raise StillflowError(what, "it computes in the precision of the file", "leave the arithmetic at f32")
    index = cuda_index(device) or 0
    gpu = cuda.gpu if cuda is not None else find_gpu(index)
    if gpu is None:
        fix = "use the engine onnxruntime, or see `stillflow doctor`"
        raise StillflowError(what, f"there is no CUDA device{f' {index}' if index else ''} here", fix)
    opened = Library.open(library)
    opened.log.tell = _log.info  # what it warns of is not for the terminal of who embeds us
    cache = EngineCache()
    entry, engine = find_engine(data, name, opened, gpu, cache)
    why = opened.invalid(engine)
    if why is not None:
        said = f"{library} {opened.version} calls its engine invalid: {why}"
        invalid = NoEngineError(what, said, _build_line(library, again=True))
        invalid.worth_building = False  # the cache would give this one again
        raise invalid
    if cuda is None:
        from stillflow.gpu.shared import shared_device

        cuda = shared_device(index)
    # Only RTX compiles when it runs, and lets that be kept.
    keeps = hasattr(getattr(opened.module, "IRuntimeConfig", None), "create_runtime_cache")
    kernels = CompiledKernels(cache, entry.parts.key, gpu) if keeps else None
    session = TensorRTSession(opened, engine, f"{name} ({entry.precision})", cuda, kernels)
    if (cache.gate(entry.parts.key) or {}).get("state") != "passed":
        session.unjudged = entry
    return session


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
        NoEngineError: none is there, or only ones for another version, GPU or driver, or ones that are damaged or
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
        if not parts.loads_with(library.version):
            reasons.append(f"one is for version {parts.builder_version}, here is {library.version}")
        elif not parts.target.runs_on(gpu):
            reasons.append(f"one is for {parts.target}, here is {Target.of(gpu)}")
        elif (cache.gate(stored.key) or {}).get("state") == "failed":
            again = True  # or the build would find it in the cache
            reasons.append("one failed gate C: its results are not those of the ONNX file")
        else:
            try:
                return cache.load(stored.key)
            except (DamagedError, FileNotFoundError) as error:
                reasons.append(f"one is damaged: {error}")
    why = "; ".join(dict.fromkeys(reasons)) or "no engine of it is in the cache"
    missing = NoEngineError(what, why, _build_line(library.name, again=again))
    missing.worth_building = not again
    raise missing


class TensorRTSession(LanedSession[EngineLane]):
    """One engine, and lanes to run it in; see `stillflow.sessions.DeviceSession`.

    Several threads share two lanes, or one where memory is short. With the shapes of the call
    before, ``run_on`` can be recorded into a graph.

    Args:
        library: that loads it.
        engine: bytes that were checked: deserialising an engine runs code.
        name: for messages.
        cuda: the device that it runs on.
        kernels: see `Model`.

    Attributes:
        unjudged: the engine's sidecar, where gate C has not passed on this machine.
    """

    fallback = ""
    unjudged: Entry | None = None

    def __init__(
        self,
        library: Library,
        engine: bytes,
        name: str,
        cuda: CudaDevice,
        kernels: CompiledKernels | None = None,
    ) -> None:
        self.engine = library.name
        self.cuda = cuda
        place = f" (cuda:{cuda.index})" if cuda.index else ""
        self.provider: str = f"{library.name} {library.version} on {cuda.gpu.name}{place}"
        self._name = name
        model = Model(library, engine, name, cuda, _build_line(library.name, again=True), kernels)
        self.inputs, self.outputs = model.inputs, model.outputs
        self._lanes = SessionLanes(
            partial(EngineLane, model),
            make_for_stream=partial(EngineLane, model, frames=True),
            trim=cuda.trim,
        )
        self._close = weakref.finalize(self, _close, self._lanes, model)


def _close(lanes: SessionLanes[EngineLane], model: Model) -> None:
    """Lanes before the engine that they run."""
    lanes.close()
    with suppress(StillflowError):
        model.close()
