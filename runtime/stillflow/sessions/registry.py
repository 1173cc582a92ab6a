# SPDX-License-Identifier: Apache-2.0
"""The engines by name: which are installed, why one is not usable, and how to open a session on it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from stillflow.build.adapter import INSTALL, MODULES
from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu
from stillflow.importing import import_whole
from stillflow.sessions.session import AUTO, Arithmetic, Device, Session, cuda_index
from stillflow.sessions.wish import ENGINES

if TYPE_CHECKING:
    from stillflow.gpu.layer import CudaDevice


GPU_WHEEL = "pip uninstall -y onnxruntime && pip install onnxruntime-gpu"
"""The line that makes ONNX Runtime run on CUDA: both wheels own the same files (docs/adr/0003). stillflow is not named,
since pip would bring the wheel for CPUs back with it, which it requires."""


@dataclass(frozen=True)
class _Engine:
    """Where an engine's adapter lives and what it needs. The adapter's module offers ``open_session``."""

    module: str
    packages: tuple[str, ...]
    distributions: tuple[str, ...]
    install: str
    needs_cuda: bool = False

    @property
    def package(self) -> str | None:
        """The first of the packages that is installed, or None."""
        return next((name for name in self.packages if importlib.util.find_spec(name) is not None), None)


_ENGINES = {
    "onnxruntime": _Engine(
        "stillflow.sessions.onnxruntime",
        ("onnxruntime",),
        ("onnxruntime", "onnxruntime-gpu"),
        "pip install onnxruntime",
    ),
    "openvino": _Engine(
        "stillflow.sessions.openvino", ("openvino",), ("openvino",), "pip install 'stillflow[openvino]'"
    ),
    "tensorrt": _Engine(
        "stillflow.sessions.tensorrt",
        MODULES["tensorrt"],
        ("tensorrt",),
        INSTALL["tensorrt"],
        needs_cuda=True,
    ),
    "tensorrt_rtx": _Engine(
        "stillflow.sessions.tensorrt_rtx",
        MODULES["tensorrt_rtx"],
        ("tensorrt_rtx_cu13_bindings",),
        INSTALL["tensorrt_rtx"],
        needs_cuda=True,
    ),
}
"""In order of preference: "auto" takes the first one that is installed and runs on the CPU."""


@dataclass(frozen=True)
class EngineStatus:
    """Whether one engine can be used here.

    Attributes:
        name: in the registry.
        usable: its package is installed and imports, and what it runs on is there.
        version: of the package, "" when absent.
        why: what is wrong, "" when usable.
        fix: the line that puts it right, "" when usable.
    """

    name: str
    usable: bool
    version: str
    why: str
    fix: str


def engine_statuses() -> tuple[EngineStatus, ...]:
    """Try every engine by importing its package; none is left out."""
    return tuple(_status(name) for name in _ENGINES)


def _installed(engine: _Engine) -> list[tuple[str, str]]:
    """(Folder, version) of each of an engine's distributions that is there, the one that is imported first."""
    found = []
    for name in engine.distributions:
        try:
            one = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found.append((str(one.locate_file("")), one.version))
    package = engine.package
    spec = None if package is None else importlib.util.find_spec(package)
    home = str(Path(spec.origin).parents[1]) if spec is not None and spec.origin else ""
    return sorted(found, key=lambda one: Path(one[0]) != Path(home))


def engine_version(name: str) -> str:
    """Version of the package that an engine of the registry is imported from; "" where none is installed."""
    installed = _installed(_ENGINES[name]) if name in _ENGINES else []
    return installed[0][1] if installed else ""


def cpu_engine() -> str:
    """The engine that runs networks on the CPU when nothing is said: the first that is installed."""
    return next((n for n, e in _ENGINES.items() if not e.needs_cuda and e.package), "onnxruntime")


def _status(name: str) -> EngineStatus:
    engine = _ENGINES[name]
    package = engine.package
    if package is None:
        return EngineStatus(
            name, False, "", f"the package {engine.packages[0]} is not installed", engine.install
        )
    installed = _installed(engine)
    version = installed[0][1] if installed else "unknown version"
    # Two in different folders do each other no harm: a path that somebody put first hides the other.
    if len({folder for folder, _ in installed}) < len(installed):
        both = " and ".join(engine.distributions)
        return EngineStatus(
            name,
            False,
            version,
            f"the packages {both} are both installed and overwrite each other's files",
            f"pip uninstall {' '.join(engine.distributions)}, then install one of them",
        )
    try:
        import_whole(package)
    # A broken binary package raises OSError, AttributeError and others besides ImportError.
    except Exception as error:
        return EngineStatus(
            name, False, version, f"the package {package} does not import: {error}", engine.install
        )
    if engine.needs_cuda and find_gpu() is None:
        why = "it runs on NVIDIA GPUs, and there is no CUDA device here"
        return EngineStatus(name, False, version, why, "run it where there is one; it can build engines here")
    return EngineStatus(name, True, version, "", "")


def open_session(
    graph: str | Path | bytes,
    engine: str = "auto",
    *,
    threads: int | None = None,
    device: Device = AUTO,
    arithmetic: Arithmetic = "f32",
    name: str = "",
    allow_fallback: bool = False,
    cuda: CudaDevice | None = None,
) -> Session:
    """Load a graph on an engine. On a GPU the result is a `DeviceSession`.

    Args:
        graph: an ONNX file, or its bytes. Weights must be inside.
        engine: "onnxruntime", "openvino", "tensorrt", "rtx" (these two on an engine that `stillflow build`
            made of this very graph), or "auto": the first of the first two that is installed and runs on the device.
        threads: that one run uses on the CPU; None lets the engine take every core.
        device: "cpu", "cuda", "cuda:N", or "auto": the GPU for engines that run nowhere else, the CPU for all others.
            A device that is missing is an error, never another one silently.
        arithmetic: "bf16" lets openvino compute in bfloat16 where the CPU can; "tf32" lets onnxruntime round what
            float32 layers multiply to 10 bits on a GPU; others refuse them.
        name: of the graph, for messages.
        allow_fallback: what the GPU cannot do may run on the CPU; ``Session.fallback`` then says what did. Only
            onnxruntime can.
        cuda: the device, opened already, which "auto" then means; it must outlive the session. None: the one that
            all of this process share.

    Raises:
        NoEngineError: tensorrt or tensorrt_rtx, and there is no engine of this graph that may be loaded here.
        StillflowError: unknown or unusable engine, unsuitable option, or a graph that does not load.
        ValueError: ``cuda`` is another device than ``device`` says.
    """
    if device == AUTO and cuda is not None:
        device = f"cuda:{cuda.index}"
    engine = ENGINES.get(engine, engine)
    index = None if device == AUTO else cuda_index(device)
    if engine == "auto" and index is None:
        engine = cpu_engine()
    elif engine == "auto":
        engine = "onnxruntime"
    if engine not in _ENGINES:
        raise StillflowError(
            f"cannot use the engine '{engine}'",
            "stillflow does not know it",
            f"use one of: auto, {', '.join(_ENGINES)}",
        )
    if device == AUTO and _ENGINES[engine].needs_cuda:
        index = 0
    if index is None and _ENGINES[engine].needs_cuda:
        why, fix = "it runs on NVIDIA GPUs only", "use the device cuda, or the engine onnxruntime"
        raise StillflowError(f"cannot use the engine '{engine}' on the CPU", why, fix)
    if cuda is not None and index not in (None, cuda.index):
        raise ValueError(f"the device {device} was asked for, and GPU {cuda.index} was passed")
    if threads is not None and not 1 <= threads <= 1024:
        fix = "leave threads out for all cores"
        raise StillflowError(f"cannot use {threads} threads", "a session takes 1 to 1024", fix)
    if _ENGINES[engine].package is None:
        status = _status(engine)
        raise StillflowError(
            f"cannot use the engine '{engine}'", status.why, f"install it with: {status.fix}"
        )
    if isinstance(graph, bytes):
        data, label = graph, name or "from memory"
    else:
        label = name or Path(graph).name
        try:
            data = Path(graph).read_bytes()
        except OSError as error:
            why = f"the file cannot be read ({error.strerror})"
            raise StillflowError(f"cannot load the graph {label}", why, "check its path") from error
    try:
        adapter = import_whole(_ENGINES[engine].module)
    except StillflowError:
        raise
    except Exception as error:
        status = _status(engine)
        raise StillflowError(
            f"cannot use the engine '{engine}'",
            status.why or f"its package does not import: {error}",
            f"install it again with: {_ENGINES[engine].install}",
        ) from error
    return cast(
        "Session",
        adapter.open_session(
            data,
            label,
            threads=threads,
            device="cpu" if index is None else f"cuda:{index}",
            arithmetic=arithmetic,
            allow_fallback=allow_fallback,
            cuda=cuda,
        ),
    )
