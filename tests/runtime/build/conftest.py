# SPDX-License-Identifier: Apache-2.0
"""Caches, bundles and libraries to build with; what stands in for a library only changes what it must."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from stillflow.build.adapter import find_module
from stillflow.build.builder import Engine, Orders, build_engines
from stillflow.build.cache import EngineCache
from stillflow.build.profile import Profile, load_profile
from stillflow.bundle import Bundle
from stillflow.gpu.description import Gpu

NO_RTX = "TensorRT-RTX is not installed: pip install 'stillflow[rtx]'"


@pytest.fixture(scope="session")
def rtx() -> str:
    """Name of the library that builds without a GPU; skips where it is not installed."""
    if find_module("tensorrt_rtx") is None:
        pytest.skip(NO_RTX)
    return "tensorrt_rtx"


@pytest.fixture(scope="session")
def l4() -> Profile:
    return load_profile("l4")


@pytest.fixture(scope="session")
def golden(source_tree: Path) -> Bundle:
    """The smallest bundle: one graph, whose engine takes 0.2 s."""
    return Bundle.open(source_tree / "tests" / "data" / "bundles" / "golden-1.0")


@pytest.fixture
def command(source_tree: Path) -> list[str]:
    """The same bundle built from the command line, in a process of its own."""
    bundle = source_tree / "tests" / "data" / "bundles" / "golden-1.0"
    program = [sys.executable, "-m", "stillflow"]
    return [*program, "build", str(bundle), "--for", "l4", "--library", "tensorrt_rtx"]


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "cache")


@pytest.fixture
def build(golden: Bundle, l4: Profile, rtx: str, cache: EngineCache) -> Callable[..., Engine]:
    """Build the golden bundle's engine: build(force=True, ...)."""

    def call(**orders: object) -> Engine:
        (engine,) = build_engines(golden, l4, library=rtx, cache=cache, orders=Orders(**orders))  # type: ignore[arg-type]
        return engine

    return call


@pytest.fixture(scope="session")
def _built_once(
    golden: Bundle, l4: Profile, rtx: str, tmp_path_factory: pytest.TempPathFactory
) -> EngineCache:
    cache = EngineCache(tmp_path_factory.mktemp("built") / "cache")
    build_engines(golden, l4, library=rtx, cache=cache)
    return cache


@pytest.fixture
def seeded(_built_once: EngineCache, cache: EngineCache) -> EngineCache:
    """The cache with the engine of `build` in it, which took a copy and no build."""
    shutil.copytree(_built_once.root, cache.root)
    return cache


@pytest.fixture
def said() -> list[str]:
    """What was said: hand said.append to a builder."""
    return []


@pytest.fixture
def in_place_of_rtx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rtx: str) -> Callable[[str], Path]:
    """Put a module in front of the real library, for our children: the real one, with these lines after it."""
    return _shim(tmp_path, monkeypatch, "tensorrt_rtx")


@pytest.fixture
def in_place_of_tensorrt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rtx: str) -> Callable[[str], Path]:
    """The same under the name of the library that is not to be had here: RTX has its interface and needs no GPU."""
    if find_module("tensorrt") is not None:
        pytest.skip("a real tensorrt is installed")
    return _shim(tmp_path, monkeypatch, "tensorrt")


def _shim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> Callable[[str], Path]:
    folder = tmp_path / "shim"

    def write(lines: str) -> Path:
        folder.mkdir(exist_ok=True)
        head = "from tensorrt_rtx_bindings import *\nimport tensorrt_rtx_bindings as real\n"
        head += "__version__ = real.__version__\n"
        (folder / f"{name}.py").write_text(head + textwrap.dedent(lines))
        monkeypatch.setenv("PYTHONPATH", str(folder))
        return folder

    return write


@pytest.fixture
def other_gpu() -> Gpu:
    """A GPU that is not here."""
    return Gpu("NVIDIA L4", "", "8.9", 58, 22563, 49152, 192, 101376, False, True, "580.65.06")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the user's cache."""
    monkeypatch.setenv("STILLFLOW_CACHE", str(tmp_path / "cache"))
