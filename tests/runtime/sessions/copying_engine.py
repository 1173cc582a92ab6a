# SPDX-License-Identifier: Apache-2.0
"""What stands in for TensorRT: an engine that only copies, on whatever device the CUDA layer opened.

Its answer y is x, twice over, and it writes into all the memory that it was given to work in. So it runs on a GPU and
on the stand-in for the driver, in order of the stream that it is given. It says nothing about TensorRT.
"""

from __future__ import annotations

from enum import Enum
from types import SimpleNamespace
from typing import Any, ClassVar

from stillflow.build.adapter import Library
from stillflow.gpu.layer import CudaDevice, Memory
from stillflow.gpu.trouble import OutOfMemoryError

LARGEST = 1 << 16
"""Rows of x that the engine was built for."""

ITEM = 8
"""Bytes of a row of x: two float32."""

WORK = 64
"""Bytes for intermediate values, for each row."""


def is_current(cuda: CudaDevice) -> bool:
    """Whether the device is the current one in this thread, as TensorRT expects it to be."""
    from cuda.bindings import driver

    status, device = driver.cuCtxGetDevice()
    return not status and int(device) == cuda.index


class CopyingEngine:
    """An ICudaEngine: x (n, 2) -> y (2 n, 2)."""

    num_io_tensors = 2

    def __init__(self, cuda: CudaDevice, gone: list[str]) -> None:
        self.cuda, self.gone = cuda, gone
        self.contexts: list[CopyingContext] = []

    def get_tensor_name(self, index: int) -> str:
        return "xy"[index]

    def get_tensor_mode(self, name: str) -> str:
        return {"x": "INPUT", "y": "OUTPUT"}[name]

    def get_tensor_dtype(self, name: str) -> str:
        return "DataType.FLOAT"

    def get_tensor_shape(self, name: str) -> tuple[int, int]:
        return -1, 2

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, int]]:
        assert (name, profile) == ("x", 0)
        return [(1, 2), (8, 2), (LARGEST, 2)]

    def create_execution_context(self, how: Any = "STATIC") -> CopyingContext:
        assert self.cuda is None or is_current(self.cuda)
        if isinstance(how, CopyingConfig):
            how.compile()
            CopyingConfig.used.append(how.dynamic_shapes_kernel_specialization_strategy)
            how = how.strategy
        assert how == "USER_MANAGED"
        return CopyingContext(self)

    def create_runtime_config(self) -> CopyingConfig:
        return CopyingConfig()

    def __del__(self) -> None:
        self.gone.append("engine" if self.cuda is None or is_current(self.cuda) else "engine elsewhere")


class Specialization(Enum):
    """DynamicShapesKernelSpecializationStrategy of TensorRT-RTX."""

    LAZY, EAGER, NONE = range(3)


class CopyingConfig:
    """An IRuntimeConfig of TensorRT-RTX, and the IRuntimeCache that it makes."""

    compiled = 0
    """How often anything had to be compiled."""

    used: ClassVar[list[Specialization]] = []
    """What contexts were made with."""

    def __init__(self) -> None:
        self.strategy, self.cache, self.known = "", None, b""
        self.dynamic_shapes_kernel_specialization_strategy = Specialization.LAZY

    def set_execution_context_allocation_strategy(self, strategy: str) -> None:
        self.strategy = strategy

    def create_runtime_cache(self) -> CopyingConfig:
        return CopyingConfig()

    def set_runtime_cache(self, cache: CopyingConfig) -> None:
        self.cache = cache

    def compile(self) -> None:
        if self.cache.known != b"kernels":
            CopyingConfig.compiled += 1
            self.cache.known = b"kernels"

    def deserialize(self, data: bytes) -> bool:
        self.known = data if data == b"kernels" else self.known
        return data == b"kernels"

    def serialize(self) -> bytes:
        return self.known


class CopyingContext:
    """An IExecutionContext."""

    def __init__(self, engine: CopyingEngine) -> None:
        self.engine = engine
        self.rows, self.work = 0, (0, 0)
        self.places: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert name == "x"
        if not 1 <= shape[0] <= LARGEST:
            return False
        self.rows, self.work = shape[0], (0, 0)
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, int]:
        return {"x": self.rows, "y": 2 * self.rows}[name], 2

    def update_device_memory_size_for_shapes(self) -> int:
        return WORK * self.rows

    def set_device_memory(self, address: int, size: int) -> None:
        assert address % 256 == 0
        self.work = address, size

    def set_tensor_address(self, name: str, place: int) -> bool:
        assert place % 256 == 0
        self.places[name] = place
        return True

    def execute_async_v3(self, handle: int) -> bool:
        assert is_current(self.engine.cuda)
        cuda, size = self.engine.cuda, ITEM * self.rows
        stream = cuda.adopt(handle)
        assert self.work[1] == WORK * self.rows, "the memory is that of these shapes"
        cuda.clear(*self.work, stream)
        cuda.copy(self.places["x"], self.places["y"], size, stream)
        cuda.copy(self.places["x"], self.places["y"] + size, size, stream)
        return True

    def __del__(self) -> None:
        cuda = self.engine.cuda
        self.engine.gone.append("context" if cuda is None or is_current(cuda) else "context elsewhere")


class CopyingRuntime:
    """A Runtime, which loads the bytes b"engine" and no others."""

    engine_host_code_allowed = False

    def __init__(self, log: Any) -> None:
        self.log = log

    def deserialize_cuda_engine(self, data: bytes) -> CopyingEngine | None:
        assert is_current(self.log.cuda)
        assert self.engine_host_code_allowed
        return CopyingEngine(self.log.cuda, self.log.gone) if data == b"engine" else None

    def __del__(self) -> None:
        self.log.gone.append("runtime")


def copying_library(cuda: CudaDevice) -> Any:
    """A `Library` around it; ``log.gone`` lists what was let go, in order."""
    module = SimpleNamespace(
        Runtime=CopyingRuntime,
        TensorIOMode=SimpleNamespace(INPUT="INPUT"),
        IExecutionContext=CopyingContext,
        ExecutionContextAllocationStrategy=SimpleNamespace(STATIC="STATIC", USER_MANAGED="USER_MANAGED"),
    )
    log = SimpleNamespace(why=lambda error: "it says why", cuda=cuda, gone=[])
    library = Library.__new__(Library)
    library.name, library.version, library.module, library.log = "tensorrt", "10.9", module, log
    return library


class TightDevice:
    """A device with so much memory and no more, which counts what was not given back."""

    def __init__(self, cuda: CudaDevice, limit: int = 1 << 40) -> None:
        self._cuda, self.limit = cuda, limit
        self.held: dict[int, int] = {}
        self.open = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cuda, name)

    def allocate(self, size: int) -> Any:
        if sum(self.held.values()) + size > self.limit:
            raise OutOfMemoryError("the GPU has no memory left", f"{size} bytes were wanted", "use less")
        memory = self._cuda.allocate(size)
        self.held[memory.address] = size
        return _Counted(memory, lambda address: self.held.pop(address))

    def pin(self, size: int) -> Any:
        return self._counted(self._cuda.pin(size))

    def stream(self) -> Any:
        return self._counted(self._cuda.stream())

    def event(self, *, timing: bool = False) -> Any:
        return self._cuda.event(timing=timing)

    def _counted(self, made: Any) -> Any:
        self.open += 1

        def closed(_: int) -> None:
            self.open -= 1

        return _Counted(made, closed)

    @property
    def nothing_held(self) -> bool:
        """Everything was given back."""
        return not self.held and not self.open


class _Counted:
    """Passes everything on, and says once that it was closed."""

    def __init__(self, made: Memory | Any, closed: Any) -> None:
        self._made, self._closed = made, closed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)

    def close(self) -> None:
        closed, self._closed = self._closed, None
        if closed is not None:
            closed(getattr(self._made, "address", 0))
        self._made.close()
