# SPDX-License-Identifier: Apache-2.0
"""``python -m stillflow.build.child REQUEST.json``: build one engine in a process of its own.

A builder may crash, hang, leak or be killed for its memory; here it takes nothing down with it. The last line on
standard output is a `Result` as JSON; everything else, the library's own prints included, goes to standard error,
progress as lines that begin with "@". Exit codes: 0 built, 2 an error in the result, 70 a bug of ours.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

import msgspec

from stillflow.build.adapter import Library
from stillflow.build.files import refusals, write_private
from stillflow.build.layers import check_precision, describe
from stillflow.build.request import Failure, Request, Result
from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu

_PR_SET_PDEATHSIG = 1  # sys/prctl.h
_PROGRESS_SECONDS = 0.1


def build(request: Request, folder: Path) -> Result:
    """Do what a request asks.

    Args:
        request: see there.
        folder: that its file names are relative to.

    Raises:
        StillflowError: the library, the graph, the settings, or the disk.
    """
    library = Library.open(request.builder)
    data = (folder / request.onnx).read_bytes()
    timing = None
    if request.timing is not None:
        path = folder / request.timing
        timing = path.read_bytes() if path.exists() else b""
    begun = time.monotonic()
    built = library.build(request.graph, data, request.settings, timing, _Progress(), request.outputs)
    seconds = time.monotonic() - begun
    check_precision(request.graph, request.precision, built.layers)
    invalid = library.invalid(built.engine)
    if invalid is not None and "malformed" in invalid:
        raise StillflowError(
            f"cannot use the engine of {request.graph}",
            "the library does not know its own work",
            "build again",
        )
    # An engine for another device, or any engine without a device, cannot be loaded and asked.
    here = find_gpu()
    target = request.settings.compute_capability
    loads = here is not None and target in (None, here.compute_capability)
    inspector = library.inspect(built.engine) if loads else None
    report = describe(library.name, library.version, built.layers, built.engine, inspector)
    with refusals(f"cannot write the engine of {request.graph}"):
        write_private(folder / request.engine, built.engine)
        write_private(folder / request.layers, json.dumps(report).encode())
        if request.timing is not None and built.timing is not None:
            (folder / request.timing).unlink(missing_ok=True)
            write_private(folder / request.timing, built.timing)
    return Result(
        seconds=round(seconds, 3),
        layers=len(built.layers),
        inspected=str(report["inspected"]),
        notes=built.notes,
    )


class _Progress:
    """Writes the builder's phases to stderr, at most ten a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0.0

    def __call__(self, phase: str, done: int, steps: int) -> None:
        with self._lock:
            now = time.monotonic()
            if now - self._last < _PROGRESS_SECONDS:
                return
            self._last = now
            line = json.dumps({"phase": phase, "done": done, "of": steps})
            sys.stderr.write(f"@{line}\n")
            sys.stderr.flush()


def main(arguments: list[str]) -> int:
    """Run one request; see the module."""
    _end_with_parent()
    # Whatever the library prints must not be taken for the result.
    out = os.dup(1)
    os.dup2(2, 1)
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m stillflow.build.child REQUEST.json\n")
        return 2
    path = Path(arguments[0])
    what = f"cannot build what {path} asks for"
    try:
        try:
            request = msgspec.json.decode(path.read_bytes(), type=Request)
        except (OSError, msgspec.MsgspecError) as error:
            raise StillflowError(
                what, str(error), "give the request.json that a failed build left"
            ) from error
        result, code = build(request, path.parent), 0
    except StillflowError as error:
        here = isinstance(error.__cause__, OSError)
        result, code = Result(error=Failure(what=error.what, why=error.why, fix=error.fix, here=here)), 2
    except MemoryError:
        why, fix = "there is not enough memory", "close other programs, or build a smaller size"
        result, code = Result(error=Failure(what=what, why=why, fix=fix, here=True)), 2
    except Exception:
        traceback.print_exc()
        return 70
    os.write(out, msgspec.json.encode(result) + b"\n")
    return code


def _end_with_parent() -> None:
    """Ask Linux to end this process when the one that waits for it is gone, killed or not."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    ended = main(sys.argv[1:])
    sys.stderr.flush()
    # Not sys.exit: taking the library's objects apart in Python's order has crashed finished builds.
    os._exit(ended)
