# SPDX-License-Identifier: Apache-2.0
"""What stands in for an engine on a GPU: ONNX Runtime on the CPU, between copies from and to device memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from stillflow.bundle import bundle as bundle_module
from stillflow.gpu.arrays import DeviceArray
from stillflow.gpu.layer import CudaDevice, Stream
from stillflow.sessions import Session, open_session
from stillflow.sessions.machine import Machine
from stillflow_bench.gpu import agreement, gates, imported, latency, networks

ENGINES = (("onnxruntime",), {"tensorrt": "it is not installed", "tensorrt_rtx": "it is not installed"})


class HostSession:
    """A ``DeviceSession``."""

    fallback = ""

    def __init__(self, session: Session, cuda: CudaDevice, own: bool) -> None:
        self._session, self.cuda, self._own = session, cuda, own
        self.engine, self.provider = session.engine, "the CPU in a GPU's place"
        self.inputs, self.outputs = session.inputs, session.outputs
        self._held: dict[int, list[Any]] = {}

    def run(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        return self._session.run(inputs)

    def run_on(self, inputs: Mapping[str, DeviceArray], stream: Stream) -> dict[str, DeviceArray]:
        given = {}
        for name, array in inputs.items():
            given[name] = np.empty(array.shape, array.dtype)
            self.cuda.download(array.address, given[name], stream)
        stream.synchronize()
        self.release(stream)
        made = {}
        for name, array in self._session.run(given).items():
            dense = np.ascontiguousarray(array)
            memory = self.cuda.allocate(dense.nbytes)
            self._held.setdefault(stream.handle, []).append(memory)
            self.cuda.upload(dense, memory.address, stream)
            made[name] = DeviceArray(memory.address, dense.shape, dense.dtype, self.cuda.index)
        return made

    def release(self, stream: Stream) -> None:
        for memory in self._held.pop(stream.handle, ()):
            memory.close()

    def close(self) -> None:
        for held in self._held.values():
            for memory in held:
                memory.close()
        self._held.clear()
        if self._own:
            self.cuda.close()


@pytest.fixture
def host_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime seems to run on the GPU."""

    def opened(
        data: bytes, engine: str, *, device: str = "cpu", cuda: CudaDevice | None = None, **more: Any
    ) -> Session:
        plain = {name: value for name, value in more.items() if name in ("threads", "name", "arithmetic")}
        session = open_session(data, "onnxruntime", device="cpu", **plain)
        if device in ("cpu", "auto"):
            return session
        from stillflow.gpu.open import open_device

        return HostSession(session, cuda or open_device(0), cuda is None)  # type: ignore[return-value]

    nothing: Callable[[Machine], None] = lambda _: None  # noqa: E731
    monkeypatch.setattr(bundle_module, "open_session", opened)
    monkeypatch.setattr(Machine, "onnxruntime_cuda", nothing)
    for module in (networks, latency, agreement, imported, gates):
        monkeypatch.setattr(module, "engines_here", lambda _: ENGINES)
