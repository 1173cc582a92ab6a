# SPDX-License-Identifier: Apache-2.0
"""Sessions on ONNX Runtime: the default engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import onnxruntime as ort

from stillflow.errors import StillflowError
from stillflow.sessions.session import Arithmetic, Array, Device, TensorSpec, checked_inputs

if TYPE_CHECKING:
    from stillflow.gpu.layer import CudaDevice

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}
_FATAL_ONLY = 4  # its log severity; errors come as exceptions, a second line on stderr would only confuse


def open_session(
    data: bytes,
    name: str,
    *,
    threads: int | None,
    device: Device,
    arithmetic: Arithmetic,
    allow_fallback: bool = False,
    cuda: CudaDevice | None = None,
) -> OnnxRuntimeSession:
    """Load a graph; see `stillflow.sessions.open_session`."""
    if arithmetic != "f32":
        raise StillflowError(
            f"cannot load the graph {name}",
            f"onnxruntime computes in the precision of the file and cannot be asked for {arithmetic}",
            "leave the arithmetic at f32, or use the engine openvino",
        )
    provider = _PROVIDERS[device.split(":")[0]]
    if provider not in ort.get_available_providers():
        raise StillflowError(
            f"cannot run the graph {name} on {device}",
            f"the installed onnxruntime {ort.__version__} has no {provider}",
            "pip uninstall onnxruntime, then pip install 'stillflow[gpu]'; or use the device cpu",
        )
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    # A network runs once per photo, then frames are made on the same cores: threads that spin
    # and memory that is kept would only be in the way.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    if device != "cpu":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = ort.InferenceSession(data, options, providers=[provider])
    # Its exception types share no base but Exception.
    except Exception as error:
        raise StillflowError(
            f"cannot load the graph {name}",
            f"onnxruntime {ort.__version__} says: {_first_line(error)}",
            "check the bundle with `stillflow bundle verify`, or export the graph again",
        ) from error
    if session.get_providers()[0] != provider:
        raise StillflowError(
            f"cannot run the graph {name} on {device}",
            f"onnxruntime fell back to {session.get_providers()[0]}",
            "check the driver with `stillflow doctor`, or use the device cpu",
        )
    return OnnxRuntimeSession(session, name)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


class OnnxRuntimeSession:
    """One graph on ONNX Runtime."""

    engine = "onnxruntime"
    fallback = ""

    def __init__(self, session: Any, name: str) -> None:
        self._session = session
        self._name = name
        self.provider: str = session.get_providers()[0]
        self.inputs = _specs(session.get_inputs(), name)
        self.outputs = _specs(session.get_outputs(), name)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Session.run`."""
        ready = checked_inputs(self.inputs, inputs, self._name)
        names = [spec.name for spec in self.outputs]
        try:
            values = self._session.run(names, ready)
        except Exception as error:
            raise StillflowError(
                f"the graph {self._name} failed",
                f"onnxruntime {ort.__version__} says: {_first_line(error)}",
                "check that the sides are multiples of the manifest's sizes.multiple, and free some memory",
            ) from error
        return dict(zip(names, values, strict=True))

    def close(self) -> None:
        """See `Session.close`."""
        self._session = None


def _specs(arguments: Any, name: str) -> tuple[TensorSpec, ...]:
    specs = []
    for argument in arguments:
        if argument.type not in _DTYPES:
            raise StillflowError(
                f"cannot use the graph {name}",
                f"'{argument.name}' has the type {argument.type}",
                "export it with float32, float16, uint8, int32 or int64 inputs and outputs",
            )
        # A dimension without a name comes as None: it may have any size.
        shape = tuple(d if d is not None else f"{argument.name}_{i}" for i, d in enumerate(argument.shape))
        specs.append(TensorSpec(argument.name, _DTYPES[argument.type], shape))
    return tuple(specs)
