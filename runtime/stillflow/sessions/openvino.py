# SPDX-License-Identifier: Apache-2.0
"""Sessions on OpenVINO: optional, for CPUs; about twice as fast in bfloat16 where the CPU has it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from stillflow.errors import StillflowError
from stillflow.importing import import_whole
from stillflow.sessions.session import Arithmetic, Array, Device, TensorSpec, checked_inputs

if TYPE_CHECKING:
    from stillflow.gpu.layer import CudaDevice

ov: Any = import_whole("openvino")

Loaded = tuple[Any, str, tuple[TensorSpec, ...], tuple[TensorSpec, ...]]
"""A CompiledModel, its name, inputs and outputs: what a session is made of."""


@cache
def the_core() -> Any:
    """OpenVINO itself, one a process, which stays.

    Its plugin for CPUs gives the thread that starts it another stack for signals, and takes that away when it ends
    (2026.4). Of several that end in another order than the reverse, the thread is left with memory that is gone, and
    the next signal, a Ctrl-C, ends the process with a segmentation fault.
    """
    return ov.Core()


def open_session(
    data: bytes,
    name: str,
    *,
    threads: int | None,
    device: Device,
    arithmetic: Arithmetic,
    allow_fallback: bool = False,
    cuda: CudaDevice | None = None,
) -> OpenVinoSession:
    """Load a graph; see `stillflow.sessions.open_session`."""
    if device != "cpu":
        raise StillflowError(
            f"cannot run the graph {name} on {device}",
            "stillflow uses openvino on the CPU only",
            "use the device cpu, or the engine onnxruntime",
        )
    if arithmetic == "tf32":
        raise StillflowError(
            f"cannot run the graph {name} in tf32",
            "CPUs have no such arithmetic",
            "leave the arithmetic at f32",
        )
    return OpenVinoSession(*load_graph(data, name, threads, arithmetic))


def load_graph(data: bytes, name: str, threads: int | None, arithmetic: Arithmetic) -> Loaded:
    """Compile a model, as all sessions have it.

    Raises:
        StillflowError: the CPU has no such arithmetic, or OpenVINO does not load the graph.
    """
    core = the_core()
    if arithmetic == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise StillflowError(
            f"cannot run the graph {name} in bf16",
            "this CPU has no bfloat16 arithmetic",
            "leave the arithmetic at f32",
        )
    # Said explicitly both ways: without a hint, openvino picks bf16 by itself where the CPU has it.
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": arithmetic, "PERFORMANCE_HINT": "LATENCY"}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        model = core.read_model(data)
        # Before it is compiled: an Identity that is taken out then leaves its name on what it read from.
        inputs, outputs = _specs(model.inputs), _specs(model.outputs)
        compiled = core.compile_model(model, "CPU", settings)
    # openvino raises RuntimeError and, for some malformed files, others.
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise StillflowError(
            f"cannot load the graph {name}",
            f"openvino {ov.__version__} says: {lines[-1][:300] if lines else type(error).__name__}",
            "check the bundle with `stillflow bundle verify`, or use the engine onnxruntime",
        ) from error
    return compiled, name, inputs, outputs


class OpenVinoSession:
    """One graph on OpenVINO."""

    engine = "openvino"
    fallback = ""

    def __init__(
        self, compiled: Any, name: str, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
    ) -> None:
        self._compiled = compiled
        self._name = name
        devices = ",".join(compiled.get_property("EXECUTION_DEVICES"))
        precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.provider: str = f"{devices} {precision}"
        self.inputs = inputs
        self.outputs = outputs

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Session.run`."""
        ready = checked_inputs(self.inputs, inputs, self._name)
        if self._compiled is None:
            raise StillflowError(
                f"cannot run the graph {self._name}", "its session is closed", "open it again"
            )
        try:
            # A request of its own for each run, since one request cannot serve two threads.
            request = self._compiled.create_infer_request()
            request.infer(ready)
            return {spec.name: np.array(request.get_tensor(spec.name).data) for spec in self.outputs}
        except Exception as error:
            raise StillflowError(
                f"the graph {self._name} failed",
                f"openvino {ov.__version__} says: {str(error).strip()[-300:]}",
                "check that the sides are multiples of the manifest's sizes.multiple, and free some memory",
            ) from error

    def close(self) -> None:
        """See `Session.close`."""
        self._compiled = None


def _specs(ports: Any) -> tuple[TensorSpec, ...]:
    """Names and shapes; openvino forgets the names of free dimensions, so each gets one of its own."""
    specs = []
    for port in ports:
        name = port.get_any_name()
        shape = tuple(
            d.get_length() if d.is_static else f"{name}_{i}" for i, d in enumerate(port.partial_shape)
        )
        specs.append(TensorSpec(name, np.dtype(port.element_type.to_dtype()).name, shape))
    return tuple(specs)
