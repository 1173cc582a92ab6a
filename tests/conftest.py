# SPDX-License-Identifier: Apache-2.0
"""What every test may need: where the source tree and the photos beside it are, and why tests were skipped."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from stillflow.gpu.description import find_gpu
from stillflow.gpu.layer import CudaDevice

ROOT = Path(__file__).resolve().parents[1]

# Engines in the user's own cache would be chosen by tests, and tests would leave their kernels there.
os.environ.setdefault("STILLFLOW_CACHE", str(ROOT / "build" / "test_cache"))


@pytest.fixture(scope="session")
def source_tree() -> Path:
    """Root folder of the source tree."""
    return ROOT


@pytest.fixture(scope="session")
def sample_photo() -> Path:
    """The sample waterfall, 1280x720."""
    return ROOT / "samples" / "waterfall.jpg"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with labelled photos beside the source tree; skips where there is none."""
    folder = ROOT.parent / "shared" / "data"
    if not (folder / "photos").is_dir():
        pytest.skip("the photos under ../shared/data are not here")
    return folder


@pytest.fixture(scope="session")
def cuda_device() -> Iterator[CudaDevice]:
    """The first GPU; tests that want it are marked ``device``. STILLFLOW_TEST_PROVIDER names the library: cuda-core."""
    from stillflow.gpu.open import open_device

    provider = os.environ.get("STILLFLOW_TEST_PROVIDER", "cuda-core")
    with _pycuda_context() if provider == "pycuda" else nullcontext():
        device = open_device(0, provider)
        yield device
        device.close()


@contextmanager
def _pycuda_context() -> Iterator[None]:
    """A context that is current in this thread, as a program with PyCUDA has it."""
    import pycuda.driver

    pycuda.driver.init()
    pycuda.driver.Device(0).make_context()
    yield
    pycuda.driver.Context.pop()


@pytest.fixture(autouse=True)
def _nothing_stays_on_the_device(request: pytest.FixtureRequest) -> Iterator[None]:
    """On the stand-in for the driver: a test gives back all memory, streams, events and graphs that it took.

    One that lets the stand-in fail counts for itself: a lost device takes nothing back.
    """
    held = None
    if request.node.get_closest_marker("device") and not request.node.get_closest_marker("stand_in"):
        held = getattr(ctypes.CDLL("libcuda.so.1"), "stand_in_held", None)
    if held is None:
        yield
        return
    kinds = {"pieces of memory": 0, "streams": 2, "events": 3, "graphs": 4}

    def counted() -> dict[str, int]:
        # Loaded by what is tested, or nothing is kept there.
        shared = sys.modules.get("stillflow.gpu.shared")
        for device in shared._open.values() if shared is not None else ():
            device.trim()
        return {name: held(kind) for name, kind in kinds.items()}

    before = counted()
    yield
    if any(more > before[name] for name, more in counted().items()):
        gc.collect()
    left = {name: more - before[name] for name, more in counted().items() if more > before[name]}
    assert not left, f"not given back: {left}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a CUDA device, or the stand-in for one, where there is none: test_on_stand_in.py runs it."""
    gpu = find_gpu() if any(item.get_closest_marker("device") for item in items) else None
    absent = {"device"} if gpu is None else set() if gpu.name.startswith("stand-in") else {"stand_in"}
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in absent)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the skipped tests by their reason: a suite that skips in silence proves nothing."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        if isinstance(report.longrepr, tuple)
        else str(report.longrepr)
        for report in skipped
    )
    terminalreporter.section(f"{len(skipped)} skipped")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count:4d}  {reason}")
