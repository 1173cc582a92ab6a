# SPDX-License-Identifier: Apache-2.0
"""What TensorRT-RTX compiled for the GPU at hand, kept from one process to the next.

Its engines hold no machine code, so each process would compile the kernels anew. What it compiled lies in the cache of
engines (``jit/KEY-DEVICE.kernels``), and is code: read only where nobody else can have written it. TensorRT-RTX itself
refuses what is for another GPU, driver or version.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from typing import Any

from stillflow.build.cache import EngineCache
from stillflow.build.files import UnsafeError, read_trusted, refusals, replace_private, trusted_folder
from stillflow.errors import StillflowError
from stillflow.gpu.description import Gpu

MAX_BYTES = 1 << 30
_SPECIALIZATION = "dynamic_shapes_kernel_specialization_strategy"
_log = logging.getLogger(__name__)


class CompiledKernels:
    """A file of kernels. Its runtime cache serves all contexts of one engine.

    Args:
        cache: of engines.
        key: of the engine in it.
        gpu: that compiles.
    """

    def __init__(self, cache: EngineCache, key: str, gpu: Gpu) -> None:
        self._cache = cache
        device = hashlib.sha256(f"{gpu.name} {gpu.compute_capability} {gpu.driver}".encode()).hexdigest()
        self.name = f"{key}-{device[:16]}.kernels"
        self._runtime_cache: Any = None
        self._known = b""
        self._lock = threading.Lock()

    def config(self, engine: Any, strategy: Any, *, at_once: bool = False) -> Any:
        """A configuration for one context of an engine, which finds kernels here and leaves new ones.

        Args:
            engine: an ICudaEngine of TensorRT-RTX; its device is current.
            strategy: how the context's memory is given.
            at_once: kernels for a new shape are compiled before it is computed for the first time. Left to itself the
                library computes with slower ones that serve every shape until a thread has compiled better ones: good
                for a network that sees a shape once, but a graph would keep the slower ones for ever, and frames would
                change a little in the middle of a loop.
        """
        config = engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(strategy)
        if at_once and hasattr(config, _SPECIALIZATION):
            setattr(config, _SPECIALIZATION, type(getattr(config, _SPECIALIZATION)).EAGER)
        with self._lock:  # lanes are made by the threads that need them
            if self._runtime_cache is None:
                self._runtime_cache = config.create_runtime_cache()
                data = self._read()
                if data and self._runtime_cache.deserialize(data):
                    self._known = hashlib.sha256(data).digest()
            config.set_runtime_cache(self._runtime_cache)
        return config

    def _read(self) -> bytes:
        try:
            with trusted_folder(self._cache.root / "jit") as folder:
                return read_trusted(self.name, folder, MAX_BYTES)
        except (UnsafeError, OSError) as error:
            _log.info("kernels are compiled anew: %s", error)
            return b""

    def save(self) -> None:
        """Keep what was compiled, if anything was; after the contexts and before the engine goes."""
        runtime_cache, self._runtime_cache = self._runtime_cache, None
        if runtime_cache is None:
            return
        blob = runtime_cache.serialize()
        data = b"" if blob is None else bytes(memoryview(blob))
        if not data or len(data) > MAX_BYTES or hashlib.sha256(data).digest() == self._known:
            return
        try:
            with refusals("cannot keep compiled kernels"):
                replace_private(self._cache.folder("jit") / self.name, data)
        except StillflowError as error:  # a cache on a read-only disk: the next process compiles again
            _log.info("%s", error)
