# SPDX-License-Identifier: Apache-2.0
"""One way to build over three libraries: tensorrt 10.x, tensorrt 11.x, tensorrt_rtx.

What they share is used as it is. What they do not share is looked up on the module, not on its version:
BuilderFlag.FP16 is gone from 11, the timing cache does nothing on RTX, hardware compatibility is unknown there,
and a compute capability to build for exists only there.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from typing import Any

from stillflow.build.layers import Layer, list_layers
from stillflow.build.request import Settings
from stillflow.errors import StillflowError
from stillflow.importing import import_whole

MODULES = {"tensorrt": ("tensorrt",), "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings")}
"""Library -> modules that may hold it, the first one found wins."""

INSTALL = {
    "tensorrt": "pip install tensorrt   (on a Jetson, JetPack brings it: sudo apt install tensorrt python3-libnvinfer)",
    "tensorrt_rtx": "pip install 'stillflow[rtx]'",
}

DISAGREE = "export the bundle again: its manifest and its graph do not agree"

OLDEST_TENSORRT = 10
"""The first major version whose parser and builder keep a strongly typed network's types."""

Progress = Callable[[str, int, int], None]
"""Called with a phase, steps done, steps in all."""


def find_module(library: str) -> str | None:
    """Name of the module that holds a library, without importing it; None: it is not installed."""
    return next((name for name in MODULES[library] if importlib.util.find_spec(name) is not None), None)


class Library:
    """One of the libraries, loaded.

    Attributes:
        name: "tensorrt" or "tensorrt_rtx".
        version: in full, such as "1.7.1.116".
        ahead_of_time: builds for a device that is not here.
        module: the library itself.
        log: takes its messages; ``why()`` is the last error.
    """

    def __init__(self, name: str, module: Any) -> None:
        self.name = name
        self.version = str(module.__version__)
        self.ahead_of_time = name == "tensorrt_rtx"
        self.module = module
        self.log = _log_class(module)()

    @classmethod
    def open(cls, name: str) -> Library:
        """Import a library.

        Raises:
            StillflowError: not installed (with the line that installs it), broken, or too old.
        """
        what, module = f"cannot build with {name}", find_module(name)
        if module is None:
            raise StillflowError(what, "it is not installed", INSTALL[name])
        try:
            library = cls(name, import_whole(module))
        # A broken binary package raises OSError, AttributeError and others besides ImportError.
        except Exception as error:
            raise StillflowError(what, f"it does not import: {error}", INSTALL[name]) from error
        major = library.version.split(".")[0]
        if name == "tensorrt" and major.isdecimal() and int(major) < OLDEST_TENSORRT:
            raise StillflowError(
                what,
                f"version {library.version} is older than {OLDEST_TENSORRT}.0",
                "upgrade TensorRT, on a Jetson with JetPack 6 or newer",
            )
        return library

    def build(
        self,
        graph: str,
        data: bytes,
        settings: Settings,
        timing: bytes | None,
        progress: Progress,
        outputs: Mapping[str, int] | None = None,
    ) -> Built:
        """Parse a graph and build an engine of it, strongly typed.

        Args:
            graph: its name, for messages.
            data: ONNX.
            settings: see there.
            timing: of a former build, b"" to start one; None: none.
            progress: called from threads of the library.
            outputs: number of dimensions by name, as the manifest has them; None: not asked.

        Raises:
            StillflowError: the graph has other outputs, does not parse (with the node), or does not build.
        """
        trt, what = self.module, f"cannot build the graph {graph} with {self.name} {self.version}"
        try:
            builder = trt.Builder(self.log)
        except Exception as error:  # pybind: the factory gave nothing
            raise StillflowError(what, self.log.why(error), "check the GPU: `stillflow doctor`") from error
        # Ignored since 11, where every network is so; asked for on 10.
        flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        network = builder.create_network(0 if flag is None else 1 << int(flag))
        parser = trt.OnnxParser(network, self.log)
        progress("parsing", 0, 1)
        if not parser.parse(data):
            errors = [parser.get_error(i) for i in range(parser.num_errors)]
            raise StillflowError(
                what,
                "; ".join(_parser_error(e) for e in errors[:3]) or self.log.why(None),
                "export the graph again with plain layers only, or use the engine onnxruntime",
            )
        found = (network.get_output(i) for i in range(network.num_outputs))
        given = {tensor.name: len(tensor.shape) for tensor in found}
        if outputs is not None and given != dict(outputs):
            why = f"the file gives {_named(given)}, the manifest says {_named(outputs)}"
            raise StillflowError(what, why, DISAGREE)
        layers = list_layers(network)
        config, notes = self._configure(builder, settings)
        self._set_shapes(builder, network, config, settings, what)
        cache = None if timing is None else self._attach_timing(config, timing)
        monitor = _monitor_class(trt)(progress) if hasattr(trt, "IProgressMonitor") else None
        if monitor is not None:
            config.progress_monitor = monitor
        engine = builder.build_serialized_network(network, config)
        if engine is None:
            raise StillflowError(
                what,
                self.log.why(None),
                "try a larger workspace or a smaller size in the profile, or use the engine onnxruntime",
            )
        new_timing = None if cache is None else bytes(memoryview(config.get_timing_cache().serialize()))
        # The libraries end a process that lets go of builder, network or parser before what was made of them.
        keep = (builder, network, parser, config, monitor, cache, engine)
        return Built(memoryview(engine), layers, new_timing, notes, keep)

    def _configure(self, builder: Any, settings: Settings) -> tuple[Any, tuple[str, ...]]:
        """The builder's configuration, and what of the settings the library does not offer."""
        trt, notes = self.module, []
        config = builder.create_builder_config()
        config.builder_optimization_level = settings.builder_level
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        if settings.workspace_mib is not None:
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mib << 20)
        if settings.aux_streams is not None:
            config.max_aux_streams = settings.aux_streams
        if settings.tf32:
            config.set_flag(trt.BuilderFlag.TF32)
        else:
            config.clear_flag(trt.BuilderFlag.TF32)
        if settings.version_compatible:
            config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
        # RTX would take memory by itself for large tensors while it runs, which no CUDA graph can record.
        ours = getattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION", None)
        if ours is not None:
            config.set_flag(ours)
        if settings.hardware_compatibility != "none":
            level = getattr(trt.HardwareCompatibilityLevel, settings.hardware_compatibility.upper(), None)
            if level is None:
                notes.append(
                    f"{self.version} has no hardware compatibility {settings.hardware_compatibility}"
                )
            else:
                config.hardware_compatibility_level = level
        if settings.compute_capability is not None:
            self._set_target(config, settings.compute_capability)
        return config, tuple(notes)

    def _set_target(self, config: Any, capability: str) -> None:
        target = getattr(self.module.ComputeCapability, f"SM{capability.replace('.', '')}", None)
        if target is None:
            raise StillflowError(
                f"cannot build for compute capability {capability}",
                f"{self.name} {self.version} builds for {', '.join(self.targets())}",
                "choose a profile for one of these, or build with tensorrt on the device itself",
            )
        config.num_compute_capabilities = 1
        config.set_compute_capability(target, 0)

    def targets(self) -> tuple[str, ...]:
        """Compute capabilities that can be built for without the device; empty: only the GPU at hand."""
        members = getattr(getattr(self.module, "ComputeCapability", None), "__members__", {})
        return tuple(f"{name[2:-1]}.{name[-1]}" for name in members if name.startswith("SM"))

    def _set_shapes(self, builder: Any, network: Any, config: Any, settings: Settings, what: str) -> None:
        inputs = [network.get_input(i) for i in range(network.num_inputs)]
        names = {tensor.name for tensor in inputs}
        fix = DISAGREE
        if names != set(settings.shapes):
            said = ", ".join(sorted(settings.shapes))
            why = f"the file has the inputs {', '.join(sorted(names))}, the manifest {said}"
            raise StillflowError(what, why, fix)
        profile = builder.create_optimization_profile()
        for tensor in inputs:
            try:
                profile.set_shape(tensor.name, *settings.shapes[tensor.name])
            except (ValueError, TypeError, RuntimeError) as error:
                why = f"the input {tensor.name} of shape {tuple(tensor.shape)} does not take"
                raise StillflowError(what, f"{why} {settings.shapes[tensor.name]}", fix) from error
        if config.add_optimization_profile(profile) < 0:
            raise StillflowError(what, self.log.why(None), fix)

    def _attach_timing(self, config: Any, timing: bytes) -> Any:
        """Attach a timing cache; one of another device or version is dropped and begun anew."""
        if (
            self.ahead_of_time
        ):  # RTX times nothing when it builds, and would look for a GPU (release notes 1.1)
            return None
        for data in (timing, b""):
            try:
                cache = config.create_timing_cache(data)
                if cache is not None and config.set_timing_cache(cache, False):
                    return cache
            except (RuntimeError, TypeError):
                continue
        return None

    def runtime(self) -> Any:
        """A new Runtime, for engines whose bytes are trusted as code: they are."""
        runtime = self.module.Runtime(self.log)
        if hasattr(runtime, "engine_host_code_allowed"):
            runtime.engine_host_code_allowed = True  # those for later versions bring host code of their own
        return runtime

    def inspect(self, engine: bytes | memoryview) -> str:
        """Load an engine and return what the engine inspector says of it, as JSON. Needs the GPU.

        Raises:
            StillflowError: the engine does not load.
        """
        trt, runtime = self.module, self.runtime()
        loaded = runtime.deserialize_cuda_engine(engine)
        if loaded is None:
            raise StillflowError(
                f"cannot load the engine that {self.name} {self.version} has just built",
                self.log.why(None),
                "check the GPU and its driver: `stillflow doctor`",
            )
        inspector = loaded.create_engine_inspector()
        text = str(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
        del inspector, loaded
        return text

    def invalid(self, engine: bytes | memoryview) -> str | None:
        """Why the library itself would not load an engine, from its header; None: nothing speaks against it.

        Only RTX offers this. Without a GPU it can still tell what is no engine from what may be one.
        """
        validity = getattr(self.module, "EngineValidity", None)
        if validity is None:
            return None
        runtime = self.module.Runtime(self.log)
        state, bits = runtime.get_engine_validity(bytes(engine[: runtime.engine_header_size]))
        members = self.module.EngineInvalidityDiagnostics.__members__
        found = [name.lower().replace("_", " ") for name, value in members.items() if bits & int(value)]
        del runtime
        return ", ".join(found) if state == validity.INVALID and found else None


class Built:
    """What one build gave.

    Attributes:
        engine: serialised; lives as long as this object.
        layers: of the network.
        timing: the timing cache after the build; None: there is none.
        notes: settings that the library does not offer.
    """

    def __init__(
        self, engine: memoryview, layers: list[Layer], timing: bytes | None, notes: tuple[str, ...], keep: Any
    ) -> None:
        self.engine = engine
        self.layers = layers
        self.timing = timing
        self.notes = notes
        self._keep = keep


def _named(ranks: Mapping[str, int]) -> str:
    return ", ".join(f"{name} of {rank} dimensions" for name, rank in sorted(ranks.items()))


def _parser_error(error: Any) -> str:
    """One of the parser's errors with the node it is about, as a phrase."""
    node = error.node_name() if hasattr(error, "node_name") else ""
    operator = error.node_operator() if hasattr(error, "node_operator") else ""
    place = " ".join(part for part in (operator, node) if part)
    description = " ".join(str(error.desc()).split())[:300]
    return f"{place}: {description}" if place else description


def _log_class(trt: Any) -> Any:
    class Log(trt.ILogger):  # type: ignore[misc]
        """Passes the library's messages on, to stderr where nothing else is said, and keeps errors for ours."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []
            self.tell: Callable[[str], object] = lambda line: sys.stderr.write(f"{line}\n")

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors = [*self.errors[-9:], message]
            if severity not in (trt.ILogger.INFO, trt.ILogger.VERBOSE):
                self.tell(f"{str(severity).rsplit('.', 1)[-1].lower()}: {message}")

        def why(self, error: Exception | None) -> str:
            """The reason to give: what was said last, or the exception. It is not given a second time."""
            said = " ".join(self.errors[-1].split())[:400] if self.errors else ""
            self.errors = []
            return said or (f"{error}" if error is not None else "the library gave no reason")

    return Log


def _monitor_class(trt: Any) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        """Passes the builder's phases on. Called from several threads."""

        def __init__(self, progress: Progress) -> None:
            trt.IProgressMonitor.__init__(self)
            self._progress = progress
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps
            self._progress(phase_name, 0, num_steps)

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._progress(phase_name, step + 1, self._steps.get(phase_name, step + 1))
            return True

    return Monitor
