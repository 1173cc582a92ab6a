# SPDX-License-Identifier: Apache-2.0
"""From the start of a process to its first frame, and the memory a whole job takes. Every sample is a new process.

The clock starts before the interpreter is launched. The file cache is warm: the first run of each kind is taken
and kept in the report under its own name, since nobody can say what was cached before it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stillflow_bench.photos import SIZES, of_size, sample_photos, write_photo
from stillflow_bench.report import Row

FIRST_FRAME_LIMIT = 2.0
"""Seconds at 720p."""

MEMORY_LIMITS = {"720p": 700.0, "4K": 2500.0}
"""MB (10^6 bytes) of peak resident memory for the whole job."""


def measure(photo: Path | None = None, *, repeats: int = 7) -> list[Row]:
    """Measure start-up at 720p and peak memory at 720p and 4K.

    Args:
        photo: a picture file; None takes the sample waterfall, or a drawn scene where there is no source tree.
        repeats: processes for each figure, >= 1; the 4K job runs a third as often.

    Returns:
        Rows of the suite "startup".
    """
    source = photo or next(iter(sample_photos()), None)
    about = {"photo": source.name if source else "drawn scene"}
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="stillflow-bench-") as name:
        folder = Path(name)
        pictures = {
            size: write_photo(of_size(source, *SIZES[size]), folder / f"{size}.jpg") for size in MEMORY_LIMITS
        }
        first = probe("frame", str(pictures["720p"]))
        runs = [probe("frame", str(pictures["720p"])) for _ in range(repeats)]
        rows += _start_rows(first, runs, about)
        for size, limit in MEMORY_LIMITS.items():
            count = repeats if size == "720p" else max(1, repeats // 3)
            jobs = [probe("job", str(pictures[size]), str(folder / f"{size}.mp4")) for _ in range(count)]
            note = {**about, "size": size, "seconds": 4, "fps": 30}
            peaks = tuple(job["peak_bytes"] / 1e6 for job in jobs)
            rows += [
                Row("startup", f"whole job {size}: peak memory", "MB", peaks, note, limit),
                Row("startup", f"whole job {size}: wall time", "s", tuple(j["done"] for j in jobs), note),
                Row("startup", f"whole job {size}: processor time", "s", tuple(j["cpu"] for j in jobs), note),
            ]
    return rows


def probe(*arguments: str) -> dict[str, float]:
    """Run ``stillflow_bench.probe`` in a new process.

    Returns:
        Its readings; clock readings are turned into seconds since just before the process was launched.

    Raises:
        RuntimeError: the process failed; the message holds what it wrote to stderr.
    """
    started = time.monotonic()
    command = [sys.executable, "-m", "stillflow_bench.probe", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the probe {' '.join(arguments)} failed:\n{done.stderr.strip()}")
    readings: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    clocks = ("imported", "animated", "first", "second", "done")
    return {name: value - started if name in clocks else value for name, value in readings.items()}


def _start_rows(first: dict[str, float], runs: list[dict[str, float]], about: dict[str, str]) -> list[Row]:
    about = {**about, "size": "720p"}

    def row(name: str, values: tuple[float, ...], limit: float | None = None) -> Row:
        return Row("startup", name, "s", values, about, limit)

    rows = [
        row("start to first frame 720p", tuple(r["first"] for r in runs), FIRST_FRAME_LIMIT),
        row("start to first frame 720p, very first process", (first["first"],)),
        row("start to second frame 720p", tuple(r["second"] for r in runs)),
        row("start to `import stillflow` done", tuple(r["imported"] for r in runs)),
    ]
    stages = [name for name in first if name.startswith("stage_")]
    rows += [row(f"stage {name[6:]}", tuple(r[name] for r in runs)) for name in stages]
    peaks = tuple(r["peak_bytes"] / 1e6 for r in runs)
    return [*rows, Row("startup", "first frame 720p: peak memory", "MB", peaks, about)]
