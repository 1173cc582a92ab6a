# SPDX-License-Identifier: Apache-2.0
"""What is the case on this machine, for one bundle: the `Facts` that `stillflow.sessions.choice` decides by.

Each fact is found out when it is asked for, the cheap ones first: without a driver neither cuda-core nor a library of
engines is imported, and an engine in the cache imports its library only when everything else about it fits.
"""

from __future__ import annotations

import importlib.util
import json
import shlex
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from stillflow.build.adapter import INSTALL, Library, find_module
from stillflow.build.entry import Target
from stillflow.errors import StillflowError
from stillflow.gpu.description import Gpu, find_gpu, why_no_gpu
from stillflow.importing import import_whole
from stillflow.sessions.facts import Built, Trouble
from stillflow.sessions.registry import GPU_WHEEL, cpu_engine
from stillflow.sessions.wish import TENSORRT

if TYPE_CHECKING:
    from stillflow.build.cache import EngineCache, Stored
    from stillflow.bundle.bundle import Bundle
    from stillflow.gpu.layer import CudaDevice

MOST_GPUS = 64


class Machine:
    """The machine at hand.

    Args:
        bundle: that is to be run.
        graphs: that will be run; None: those that make loops.

    Attributes:
        devices: GPUs on which the kernels run, open; see `stillflow.gpu.shared`.
    """

    def __init__(self, bundle: Bundle, graphs: Sequence[str] | None = None) -> None:
        self._opened = bundle
        self._graphs = graphs
        self._libraries: dict[str, Library | StillflowError] = {}
        self.devices: dict[int, CudaDevice] = {}

    @property
    def bundle(self) -> str:
        """See `Facts`."""
        return shlex.quote(self._opened.named)

    @cached_property
    def held(self) -> Mapping[str, tuple[str, ...]]:
        """See `Facts`."""
        manifest = self._opened.manifest
        closed = "network" not in (manifest.outputs.get("plate"), manifest.outputs.get("blend"))
        names = self._graphs or [g.name for g in manifest.graphs if not (closed and g.name == "generator")]
        graphs = (self._opened.graph(name) for name in names)
        return {graph.name: tuple(v.precision for v in graph.all_variants) for graph in graphs}

    @property
    def default_precision(self) -> str:
        """See `Facts`."""
        return self._opened.manifest.default_precision

    @property
    def decodes(self) -> bool:
        """See `Facts`."""
        return self._opened.manifest.loop.rule == "symmetric_splat"

    @cached_property
    def gpus(self) -> tuple[Gpu, ...]:
        """See `Facts`."""
        found = []
        for index in range(MOST_GPUS):
            gpu = find_gpu(index)
            if gpu is None:
                break
            found.append(gpu)
        return tuple(found)

    @cached_property
    def no_gpu(self) -> Trouble:
        """See `Facts`."""
        return Trouble(*why_no_gpu())

    @property
    def cpu_engine(self) -> str:
        """See `Facts`."""
        return cpu_engine()

    def kernels(self, index: int) -> Trouble | None:
        """See `Facts`; the device stays open."""
        if index in self.devices:
            return None
        from stillflow.gpu.compiled import compiler_version, too_old
        from stillflow.gpu.shared import shared_device

        try:
            device = shared_device(index)
        except StillflowError as error:
            return Trouble(error.why, error.fix)
        if device.provider.startswith("cuda-core") and compiler_version() == "none":
            return Trouble(
                "the compiler of its kernels (NVRTC) is not installed", "pip install 'stillflow[cuda]'"
            )
        if device.provider.startswith("cuda-core") and (why := too_old(device.architecture)):
            capability = self.gpus[index].compute_capability
            return Trouble(f"its compute capability is {capability}, and {why}", "use a newer GPU")
        self.devices[index] = device
        return None

    def package(self, engine: str) -> Trouble | None:
        """See `Facts`."""
        if engine in TENSORRT:
            library = self._library(engine)
            return (
                Trouble(f"{engine}: {library.why}", library.fix)
                if isinstance(library, StillflowError)
                else None
            )
        if importlib.util.find_spec(engine) is None:
            return Trouble(f"{engine} is not installed", f"pip install {engine}")
        return None

    def _library(self, name: str) -> Library | StillflowError:
        if name not in self._libraries:
            try:
                self._libraries[name] = Library.open(name)
            except StillflowError as error:
                self._libraries[name] = error
        return self._libraries[name]

    def builder(self, engine: str, index: int) -> Trouble | None:
        """See `Facts`. A profile that was written for the GPU says it; else the library is imported and asked."""
        from stillflow.build.profile import profile_for, profile_names

        gpu = self.gpus[index]
        profile = profile_for(gpu)
        if engine not in profile.libraries:
            able = " or ".join(profile.libraries)
            return Trouble(f"{engine} does not build for {gpu.name}, {able} does", f"use the engine {able}")
        if find_module(engine) is None:
            return Trouble(f"{engine} is not installed", INSTALL[engine])
        if profile.name in profile_names():
            return None
        library = self._library(engine)
        if isinstance(library, StillflowError):
            return Trouble(library.why, library.fix)
        targets = library.targets()
        if not targets or gpu.compute_capability in targets:
            return None
        able = f"{engine} {library.version} builds for compute capability {', '.join(targets)}"
        return Trouble(f"{able}, not {gpu.compute_capability}", "use the engine tensorrt or onnxruntime")

    def onnxruntime_cuda(self) -> Trouble | None:
        """See `Facts`."""
        try:
            ort = import_whole("onnxruntime")
            offered = ort.get_available_providers()
        # A broken binary package raises OSError, AttributeError and others besides ImportError.
        except Exception as error:
            return Trouble(f"onnxruntime does not import ({error})", GPU_WHEEL)
        if "CUDAExecutionProvider" in offered:
            return None
        return Trouble("the installed onnxruntime is the wheel for CPUs", GPU_WHEEL)

    def judged(self, graph: str, precision: str) -> bool:
        """See `Facts`: the graph's own receipt is about this very file, and those of whole loops passed too."""
        manifest = self._opened.manifest
        kept = self._opened.graph(graph)
        if precision == kept.precision:
            return True
        variant = kept.at(precision)
        found = False
        for receipt in manifest.receipts:
            if receipt.kind != f"gate-b-{precision}" or receipt.graph not in (None, graph):
                continue
            try:
                said = json.loads(self._opened.read(receipt.file))
            except (StillflowError, ValueError, RecursionError):
                return False
            if not isinstance(said, dict) or said.get("passed") is not True:
                return False
            found = found or (variant is not None and said.get("onnx_sha256") == variant.sha256)
        return found

    def engine(self, library: str, graph: str, precision: str, index: int) -> Built:
        """See `Facts`; the newest that fits, or what is wrong with the newest."""
        variant = self._opened.graph(graph).at(precision)
        if variant is None:
            return Built(why=f"the bundle has no {precision} file of it")
        seen = [
            self._judge(stored, library, index)
            for stored in self._stored
            if stored.entry is not None
            and stored.entry.parts.onnx_sha256 == variant.sha256
            and stored.entry.parts.builder == library
        ]
        return next((built for built in seen if built.state == "fits"), seen[0] if seen else Built())

    @cached_property
    def _cache(self) -> EngineCache:
        from stillflow.build.cache import EngineCache

        return EngineCache()

    @cached_property
    def _stored(self) -> list[Stored]:
        return self._cache.stored(engines=False)

    def _judge(self, stored: Stored, name: str, index: int) -> Built:
        assert stored.entry is not None
        parts, gpu = stored.entry.parts, self.gpus[index]
        if not parts.target.runs_on(gpu):
            return Built("foreign", f"it is for {parts.target}, here is {Target.of(gpu)}")
        library = self._library(name)
        if isinstance(library, StillflowError):
            return Built("foreign", f"{name} cannot be used here: {library.why}")
        if not parts.loads_with(library.version):
            return Built("foreign", f"it is for version {parts.builder_version}, here is {library.version}")
        gate = self._cache.gate(stored.key) or {}
        if gate.get("state") == "failed":
            return Built(
                "failed", f"it failed gate C, its results are not those of the ONNX file ({gate.get('why')})"
            )
        return Built("fits", f"gate C {gate.get('state') or 'left no receipt'}")
