# SPDX-License-Identifier: Apache-2.0
"""Kernels that TensorRT-RTX compiled: kept, found by the next process, and not trusted where others may write.

What stands in for the library: copying_engine.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stillflow.build.cache import EngineCache
from stillflow.gpu.description import Gpu
from stillflow.sessions.compiled_kernels import CompiledKernels

from .copying_engine import CopyingConfig, CopyingEngine

KEY = "ab" * 32
L4 = Gpu("NVIDIA L4", "", "8.9", 58, 22563, 49152, 192, 101376, False, True, "580.65.06")


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "cache")


@pytest.fixture
def process(cache: EngineCache, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Make two contexts as a process does, and say how often something was compiled."""
    monkeypatch.setattr(CopyingConfig, "compiled", 0)
    anything: Any = None

    def run(gpu: Gpu = L4) -> int:
        before = CopyingConfig.compiled
        kernels, engine = CompiledKernels(cache, KEY, gpu), CopyingEngine(anything, [])
        for _ in range(2):
            engine.create_execution_context(kernels.config(engine, "USER_MANAGED"))
        kernels.save()
        kernels.save()
        return CopyingConfig.compiled - before

    return run


def test_compiled_once(process: Callable[..., int], cache: EngineCache) -> None:
    assert process() == 1
    (file,) = (cache.root / "jit").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    written = file.stat().st_mtime_ns
    assert process() == 0
    assert file.stat().st_mtime_ns == written, "what is not new is not written"
    assert process(Gpu("NVIDIA T4", "", "7.5", 40, 15360, 4096, 256, 65536, False, True, "580.65.06")) == 1


def test_threads_share_what_one_engine_keeps(cache: EngineCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(self: CopyingConfig) -> CopyingConfig:
        time.sleep(0.05)
        return CopyingConfig()

    monkeypatch.setattr(CopyingConfig, "create_runtime_cache", slowly)
    kernels, anything = CompiledKernels(cache, KEY, L4), None
    engine = CopyingEngine(anything, [])  # type: ignore[arg-type]
    with ThreadPoolExecutor(2) as threads:
        made = list(threads.map(lambda _: kernels.config(engine, "USER_MANAGED"), range(2)))
    assert made[0].cache is made[1].cache


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.chmod(0o666),
        lambda file: file.parent.chmod(0o777),
        lambda file: file.write_bytes(b"another GPU's"),
        lambda file: (file.rename(f"{file}.real"), file.symlink_to(f"{file}.real")),
    ],
)
def test_what_is_not_to_be_trusted_is_compiled_anew(
    process: Callable[..., int], cache: EngineCache, spoil: Callable[[Path], object]
) -> None:
    assert process() == 1
    (file,) = (cache.root / "jit").iterdir()
    spoil(file)
    assert process() == 1


def test_a_cache_that_cannot_be_written(process: Callable[..., int], cache: EngineCache) -> None:
    cache.root.mkdir()
    (cache.root / "jit").write_text("in the way")
    assert process() == 1


def test_they_go_with_their_engine(process: Callable[..., int], cache: EngineCache) -> None:
    process()
    (cache.engines / KEY).mkdir(parents=True)
    cache.prune(lambda stored: False)  # the empty entry is damaged, and goes
    assert list((cache.root / "jit").iterdir()) == []
