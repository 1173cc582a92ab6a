# SPDX-License-Identifier: Apache-2.0
"""Sessions on ONNX Runtime: the default engine. Here on the CPU; on a GPU see onnxruntime_cuda.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import onnxruntime as ort

from stillflow.errors import StillflowError
from stillflow.sessions.session import (
    Arithmetic,
    Array,
    Device,
    Session,
    TensorSpec,
    checked_inputs,
    cuda_index,
)

if TYPE_CHECKING:
    from stillflow.gpu.layer import CudaDevice

CPU = "CPUExecutionProvider"
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}
FATAL_ONLY = 4
"""Its log severity: errors come as exceptions, a second line on stderr would only confuse."""


def open_session(
    data: bytes,
    name: str,
    *,
    threads: int | None,
    device: Device,
    arithmetic: Arithmetic,
    allow_fallback: bool = False,
    cuda: CudaDevice | None = None,
) -> Session:
    """Load a graph; see `stillflow.sessions.open_session`."""
    index = cuda_index(device)
    if arithmetic != "f32" and (arithmetic != "tf32" or index is None):
        raise StillflowError(
            f"cannot load the graph {name}",
            f"onnxruntime computes in the precision of the file and cannot be asked for {arithmetic} on {device}",
            "leave the arithmetic at f32, or use the engine openvino",
        )
    if index is None:
        return on_cpu(data, name, threads)
    from stillflow.sessions import onnxruntime_cuda

    return onnxruntime_cuda.open_session(
        data,
        name,
        threads=threads,
        index=index,
        tf32=arithmetic == "tf32",
        allow_fallback=allow_fallback,
        cuda=cuda,
    )


def on_cpu(data: bytes, name: str, threads: int | None, fallback: str = "") -> OnnxRuntimeSession:
    """Load a graph on the CPU; ``fallback`` says why it is not where it was asked to be."""
    session = load_graph(data, name, session_options(threads), [CPU])
    return OnnxRuntimeSession(session, name, fallback)


def session_options(threads: int | None) -> Any:
    """Options that all sessions share."""
    options = ort.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    # A network runs once per photo, then frames are made on the same cores: threads that spin
    # and memory that is kept would only be in the way.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    return options


def load_graph(data: bytes, name: str, options: Any, providers: list[Any]) -> Any:
    """Make an InferenceSession.

    Raises:
        StillflowError: ONNX Runtime does not load the graph.
    """
    try:
        # Without this, its Python half prints and goes on with the CPU where a provider fails, now or in a run.
        session = ort.InferenceSession(data, options, providers=providers, enable_fallback=0)
        session.disable_fallback()  # versions that do not know the argument
    # Its exception types share no base but Exception.
    except Exception as error:
        raise StillflowError(
            f"cannot load the graph {name}",
            f"onnxruntime {ort.__version__} says: {first_line(error)}",
            "check the bundle with `stillflow bundle verify`, or export the graph again",
        ) from error
    return session


def first_line(error: Exception) -> str:
    """What an exception of the library says, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


class OnnxRuntimeSession:
    """One graph on ONNX Runtime, on the CPU."""

    engine = "onnxruntime"

    def __init__(self, session: Any, name: str, fallback: str = "") -> None:
        self._session = session
        self._name = name
        self.fallback = fallback
        self.provider: str = session.get_providers()[0]
        self.inputs = tensor_specs(session.get_inputs(), name)
        self.outputs = tensor_specs(session.get_outputs(), name)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See `Session.run`."""
        ready = checked_inputs(self.inputs, inputs, self._name)
        names = [spec.name for spec in self.outputs]
        if self._session is None:
            raise StillflowError(
                f"cannot run the graph {self._name}", "its session is closed", "open it again"
            )
        try:
            values = self._session.run(names, ready)
        except Exception as error:
            raise StillflowError(
                f"the graph {self._name} failed",
                f"onnxruntime {ort.__version__} says: {first_line(error)}",
                "check that the sides are multiples of the manifest's sizes.multiple, and free some memory",
            ) from error
        return dict(zip(names, values, strict=True))

    def close(self) -> None:
        """See `Session.close`."""
        self._session = None


def tensor_specs(arguments: Any, name: str) -> tuple[TensorSpec, ...]:
    """Names, types and shapes of a session's inputs or outputs.

    Raises:
        StillflowError: a type that no kernel of ours and no NumPy array has.
    """
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
