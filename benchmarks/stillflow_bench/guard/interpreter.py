# SPDX-License-Identifier: Apache-2.0
"""What our Python costs between a caller and a kernel or a network: bytecodes, calls, memory that is kept.

Only what runs in files of the package ``stillflow`` counts, in the calling thread, so that another version of NumPy or
ONNX Runtime changes nothing. Each is run often before: what is made once is made then.
"""

from __future__ import annotations

import gc
import platform
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import stillflow
from stillflow.bundle import Bundle
from stillflow.sessions.onnxruntime import open_session
from stillflow_bench.guard.counts import Counted, twice
from stillflow_bench.photos import falling_column, scenery

OURS = str(Path(stillflow.__file__).parent)

SIZE = (256, 144)
"""Pixels; the count depends on them nowhere but in the bytes of a new frame."""

BEFORE = 5
"""Runs before those that are counted."""

KEPT = 50
"""Runs over which memory that is kept is summed up."""

ROUNDS = 12
"""So often, at most."""

PAGE = 4096
"""Bytes; peaks are counted in these, since a hundred bytes more or less are a matter of free lists."""

Work = Callable[[], object]


def environment() -> str:
    """What the counts depend on: bytecodes are those of one minor version of the interpreter."""
    return f"{platform.python_implementation()} {sys.version_info.major}.{sys.version_info.minor}"


def count() -> Counted:
    """Count a frame into a new array, one into a given array, and a run of the flow network, each twice."""
    scene = falling_column(scenery(*SIZE), 0.3, seconds=1.0, fps=30.0)
    given = np.empty_like(scene.arrays.photo)

    def into_given() -> None:
        scene.frame_rows(3.0, 0, scene.height, given)

    bundle = Bundle.open()
    graph = bundle.graph_bytes("flow")
    with closing(open_session(graph, "flow", threads=1, device="cpu", arithmetic="f32")) as session:
        least = bundle.manifest.sizes.multiple
        inputs = {
            spec.name: np.zeros([d if isinstance(d, int) else least for d in spec.shape], spec.dtype)
            for spec in session.inputs
        }
        works: dict[str, Work] = {
            "a new frame": lambda: scene.frame(3.0),
            "a frame into a given array": into_given,
            "a run of a network": lambda: session.run(inputs),
        }
        counts, differing = twice(lambda: {
            f"{name}: {what}": value for name, work in works.items() for what, value in costs(work).items()
        })  # fmt: skip
    return Counted("python", environment(), counts, differing)


def costs(work: Work) -> dict[str, int]:
    """Count what one of many runs costs.

    Args:
        work: does the same every time.

    Returns:
        Bytecodes and calls in our files, pages at the peak of a run, and blocks of memory that a run keeps.
    """
    for _ in range(BEFORE):
        work()
    with _little_to_collect():
        return {
            "bytecodes": _bytecodes(work),
            "calls": _calls(work),
            "pages at the peak": _peak(work),
            "blocks kept": _kept(work),
        }


@contextmanager
def _little_to_collect() -> Iterator[None]:
    """Let collections pass over everything that is there already: in a large program each would take long."""
    others = gc.get_freeze_count()
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        if not others:
            gc.unfreeze()


def _bytecodes(work: Work) -> int:
    seen = 0

    def local(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal seen
        seen += event == "opcode"
        return local

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return local

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        work()
    finally:
        sys.settrace(before)
    return seen


def _calls(work: Work) -> int:
    """Calls of Python functions of ours, and from ours of functions in C."""
    seen = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal seen
        if event in ("call", "c_call") and frame.f_code.co_filename.startswith(OURS):
            seen += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return seen


def _peak(work: Work) -> int:
    """Most memory at any time of one run beyond what is there before it, in pages."""
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    try:
        gc.collect()
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        work()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        if not tracing:
            tracemalloc.stop()
    return -(-(peak - before) // PAGE)


def _kept(work: Work) -> int:
    """Whole blocks of memory a run that are not given back: the least of some rounds.

    What a run leaks shows in every round. In the first ones free lists of the interpreter grow besides, by some tens of
    blocks, at another time in each process: so it goes on until a round keeps nothing.
    """
    least = sys.maxsize
    for _ in range(ROUNDS):
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(KEPT):
            work()
        gc.collect()
        least = min(least, max(0, sys.getallocatedblocks() - before) // KEPT)
        if not least:
            break
    return least
