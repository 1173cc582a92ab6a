# SPDX-License-Identifier: Apache-2.0
"""A process that animates one photo and says when it had what, and how much memory it took.

Started anew for every sample by ``stillflow_bench.startup``: ``python -m stillflow_bench.probe frame PHOTO`` or
``... job PHOTO OUT``. Prints one JSON object. Imports nothing but the standard library before the clock is read.

It does what users do, with the public Animator and nothing timed inside. ``latency.targets.cold_probe`` is another one:
it runs what a subject names and splits the time to the first frame into imports, loading, building and first calls.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from pathlib import Path


def peak_bytes() -> int:
    """Return this process's peak resident memory.

    ``getrusage`` also counts what the parent had resident when it forked this process; VmHWM, where there is
    one, begins at the exec, so it is this program's own.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        status = ""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    if found:
        return int(found[1]) * 1024
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def first_frames(photo: str) -> dict[str, float]:
    """Animate a photo and render its first two frames; returns CLOCK_MONOTONIC readings in seconds."""
    import stillflow

    imported = time.monotonic()
    loop = stillflow.Animator(device="cpu").animate(photo)
    animated = time.monotonic()
    loop.frame(0)
    first = time.monotonic()
    loop.frame(1)
    second = time.monotonic()
    stages = {f"stage_{name}": seconds for name, seconds in loop.seconds.items()}
    return {"imported": imported, "animated": animated, "first": first, "second": second, **stages}


def whole_job(photo: str, out: str) -> dict[str, float]:
    """Do what ``stillflow animate PHOTO -o OUT`` does."""
    import stillflow

    loop = stillflow.Animator(device="cpu").animate(photo)
    loop.save(out)
    return {"done": time.monotonic()}


def main(arguments: list[str]) -> None:
    """Run one probe and print its readings."""
    readings = first_frames(arguments[1]) if arguments[0] == "frame" else whole_job(*arguments[1:3])
    usage = resource.getrusage(resource.RUSAGE_SELF)
    readings["cpu"] = usage.ru_utime + usage.ru_stime
    sys.stdout.write(json.dumps({**readings, "peak_bytes": peak_bytes()}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
