# SPDX-License-Identifier: Apache-2.0
"""One execution state of an engine of TensorRT or TensorRT-RTX, with the memory that it works in.

Versions differ: where the library lets us, the memory for intermediate values is ours, as large as the shapes at hand
need it; without that (10.0) the library takes the largest at once, by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from stillflow.build.adapter import Library
from stillflow.build.layers import dtype_name
from stillflow.errors import StillflowError
from stillflow.gpu.arrays import DeviceArray
from stillflow.gpu.layer import CudaDevice, Stream
from stillflow.sessions.compiled_kernels import CompiledKernels
from stillflow.sessions.session import Array, TensorSpec
from stillflow.sessions.staging import DeviceRoom, Staging, refusal


class Model:
    """An engine that is loaded.

    Args:
        library: that loads it.
        data: bytes that were checked: deserialising an engine runs code.
        name: for messages.
        cuda: the device that it runs on.
        again: the line that builds it again.
        kernels: what TensorRT-RTX compiled before; None for TensorRT, whose engines hold their kernels.

    Attributes:
        inputs: what it takes.
        outputs: what it gives.

    Raises:
        OutOfMemoryError: the device has no memory for its weights.
        StillflowError: the library does not load it.
    """

    def __init__(
        self,
        library: Library,
        data: bytes,
        name: str,
        cuda: CudaDevice,
        again: str,
        kernels: CompiledKernels | None = None,
    ) -> None:
        self.loader, self.name, self.cuda, self.kernels = library, name, cuda, kernels
        trt = library.module
        # An engine that is loaded while another device is current gives empty results without an error.
        cuda.trim()  # weights lie in memory that the library takes by itself
        with cuda.current():
            self._runtime = library.runtime()
            self.engine = self._runtime.deserialize_cuda_engine(data)
        if self.engine is None:
            raise refusal(f"cannot load the engine of {name}", library.log.why(None), again)
        self._input = trt.TensorIOMode.INPUT
        names = [self.engine.get_tensor_name(i) for i in range(self.engine.num_io_tensors)]
        taken = [n for n in names if self.engine.get_tensor_mode(n) == self._input]
        self.inputs = tuple(self._spec(n) for n in taken)
        self.outputs = tuple(self._spec(n) for n in names if n not in taken)

    def _spec(self, tensor: str) -> TensorSpec:
        shape = tuple(
            int(side) if side >= 0 else f"{tensor}_{axis}"
            for axis, side in enumerate(self.engine.get_tensor_shape(tensor))
        )
        largest = None
        if self.engine.get_tensor_mode(tensor) == self._input:
            # Smallest, best and largest of the only profile that we build with.
            largest = tuple(int(side) for side in self.engine.get_tensor_profile_shape(tensor, 0)[2])
        return TensorSpec(tensor, dtype_name(self.engine.get_tensor_dtype(tensor)), shape, largest)

    def close(self) -> None:
        """Let it go, after its lanes."""
        with self.cuda.current():
            if self.kernels is not None:
                self.kernels.save()
            self.engine = None
            self._runtime = None


class EngineLane:
    """A context of an engine. Used by one call at a time, in order of one stream.

    Args:
        model: the engine.
        frames: it computes frame after frame from inputs of one shape, and may be recorded into a graph.

    Raises:
        OutOfMemoryError: the device has no memory for it.
        StillflowError: the library makes none.
    """

    def __init__(self, model: Model, *, frames: bool = False) -> None:
        self._model, self._cuda = model, model.cuda
        self._work, self._results, self._moved = (DeviceRoom(model.cuda) for _ in range(3))
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._placed: dict[str, DeviceArray] = {}
        self._staging: Staging | None = None
        with self._cuda.current():
            self._context = _context(model, frames)

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Compute from arrays of the host, on a stream of the lane's own; new arrays come back."""
        staging = self._staging = self._staging or Staging(self._cuda)
        return staging.through(arrays, lambda inputs: self.enqueue(inputs, staging.stream))

    def enqueue(self, inputs: Mapping[str, DeviceArray], stream: Stream) -> dict[str, DeviceArray]:
        """Compute in order of a stream; the results lie in the lane's memory until the next call."""
        model, context = self._model, self._context
        with self._cuda.current():
            shapes = {name: array.shape for name, array in inputs.items()}
            if shapes != self._shapes:
                self._reshape(shapes, stream)
            for name, array in self._moved.aligned(inputs, stream).items():
                context.set_tensor_address(name, array.address)
            if not context.execute_async_v3(stream.handle):
                why = model.loader.log.why(None)
                raise refusal(f"the graph {model.name} failed", why, "see `stillflow doctor`")
        return dict(self._placed)

    def _reshape(self, shapes: dict[str, tuple[int, ...]], stream: Stream) -> None:
        """Tell the context of other shapes, and make its memory large enough for them."""
        model, context = self._model, self._context
        what = f"the graph {model.name} failed"
        self._shapes = {}
        for name, shape in shapes.items():
            if not context.set_input_shape(name, shape):
                raise StillflowError(
                    what,
                    f"its engine was not built for {name} of shape {shape}",
                    "build it with larger sizes in the profile, or use the engine onnxruntime",
                )
        if _ours(context):
            size = int(context.update_device_memory_size_for_shapes())
            if size > 0:
                context.set_device_memory(self._work.fit(size, stream), size)
        wanted: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        for spec in model.outputs:
            shape = tuple(int(side) for side in context.get_tensor_shape(spec.name))
            if any(side < 0 for side in shape):
                why = f"the shape {shape} of {spec.name} depends on values, not on shapes alone"
                raise StillflowError(what, why, "use the engine onnxruntime")
            wanted[spec.name] = shape, np.dtype(spec.dtype)
        self._placed = self._results.place(wanted, stream)
        for name, array in self._placed.items():
            context.set_tensor_address(name, array.address)
        self._shapes = shapes

    def close(self) -> None:
        """Give everything back; its work is done."""
        with self._cuda.current():
            self._context = None  # before the memory that it works in
        rest: list[Callable[[], None]] = [self._work.close, self._results.close, self._moved.close]
        if self._staging is not None:
            rest.append(self._staging.close)
        for give_back in rest:
            give_back()


def _ours(context: Any) -> bool:
    """Whether the memory for intermediate values is given by us."""
    return hasattr(context, "update_device_memory_size_for_shapes") and hasattr(context, "set_device_memory")


def _context(model: Model, frames: bool) -> Any:
    """A new execution context, without memory where it is ours to give."""
    trt, engine = model.loader.module, model.engine
    kinds = trt.ExecutionContextAllocationStrategy
    ours = hasattr(kinds, "USER_MANAGED") and _ours(getattr(trt, "IExecutionContext", None))
    strategy = kinds.USER_MANAGED if ours else kinds.STATIC
    if model.kernels is not None:
        context = engine.create_execution_context(model.kernels.config(engine, strategy, at_once=frames))
    else:
        context = engine.create_execution_context(strategy)
    if context is None:
        why = model.loader.log.why(None)
        raise refusal(f"cannot use the engine of {model.name}", why, "free some memory of the GPU")
    return context
