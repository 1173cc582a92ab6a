# SPDX-License-Identifier: Apache-2.0
"""The steps of the check of a GPU machine, in order of what each needs of those before it. Standard library only."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillflow_bench.gpu.stage import Stage

PARTS = {
    "copy": "copies on the device, and to and from it",
    "frames": "frames from device memory, 1080p and 4K",
    "overhead": "what enqueuing a frame costs the host",
    "steady": "the GPU's idle share in steady play",
    "networks": "both networks once a photo, on every engine and precision",
    "latency": "photo in host memory to first frame in host memory",
    "agreement": "frames of the GPU against the CPU's",
    "imported": "an imported generator against eager PyTorch",
}
"""Parts of the suite "gpu": name -> what it measures."""

LIBRARIES = {"tensorrt": ("tensorrt",), "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings")}
"""What builds engines -> modules that may hold it."""

_MARKED = re.compile(r"mark\.(?:gpu|device)\b|\bcuda_device\b")
"""What a test file with a test for a GPU holds."""


@dataclass(frozen=True)
class Order:
    """What the check was asked for.

    Attributes:
        device: index of the GPU, as CUDA counts them.
        photos: of the soak.
        tiny: everything as small as it goes: to see that it runs, not how fast.
        logs: folder for outputs and for what steps hand over.
        root: of the source tree; None where there is none.
    """

    device: int
    photos: int
    tiny: bool
    logs: Path
    root: Path | None


def steps(order: Order) -> list[Stage]:
    """The steps of a check.

    Args:
        order: what it was asked for.
    """
    made = [
        Stage(
            "doctor",
            "what this machine can run",
            _run("stillflow", "doctor", "--json"),
            180,
            fails_by={2: "something that animating needs is missing"},
        ),
        Stage(
            "kernels",
            "every CUDA source compiles and loads",
            _run("stillflow_bench.gpu.loading", "--device", str(order.device)),
            300,
        ),
        _tests(order),
        *_engines(order),
        Stage(
            "gate C",
            "every engine against ONNX, every precision",
            _run("stillflow_bench.gpu.gates", "--device", str(order.device)),
            600,
            fails_by={3: "an engine does not compute what the ONNX file says"},
        ),
    ]
    for part, what in PARTS.items():
        tiny = ("--tiny",) if order.tiny else ()
        command = _run(
            "stillflow_bench.gpu.suite",
            part,
            "--device",
            str(order.device),
            "--rows",
            str(rows_file(order, part)),
            *tiny,
        )
        made.append(Stage(f"bench {part}", what, command, 600))
    soak = _run("stillflow_bench", "soak", "--photos", str(order.photos), "--device", "auto", "--json")
    made.append(Stage("soak", f"no growth of memory over {order.photos} photos", soak, 1500))
    return made


def rows_file(order: Order, part: str) -> Path:
    """Where a part of the suite puts its rows."""
    return order.logs / f"rows-{part}.json"


def _run(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def _tests(order: Order) -> Stage:
    what = "every test that needs a GPU"
    if order.root is None or not (order.root / "tests").is_dir():
        return Stage("tests", what, (), 0, absent="there is no source tree with tests")
    if importlib.util.find_spec("pytest") is None:
        return Stage("tests", what, (), 0, absent="pytest is not installed")
    files = marked_tests(order.root / "tests")
    command = _run(
        "pytest",
        "-m",
        "gpu or device",
        "-p",
        "no:cacheprovider",
        "--continue-on-collection-errors",
        "-o",
        "faulthandler_timeout=240",
        "-q",
        *(path.relative_to(order.root).as_posix() for path in files),
    )
    return Stage("tests", what, command, 900, fails_by={5: "no test was found"})


def marked_tests(folder: Path) -> list[Path]:
    """Test files with a test for a GPU. Only those are imported: the others may need what the machine lacks."""
    found = sorted(folder.rglob("test_*.py"))
    return [path for path in found if _MARKED.search(path.read_text(encoding="utf-8"))]


def _engines(order: Order) -> Iterator[Stage]:
    """A step for each library that builds engines and each precision of the shipped bundle."""
    there = [name for name, modules in LIBRARIES.items() if any(map(importlib.util.find_spec, modules))]
    if not there:
        why = f"none of {' and '.join(LIBRARIES)} is installed"
        yield Stage("engines", "engines of the shipped bundle", (), 0, absent=why)
    for library in there:
        for precision in ("fp32", "fp16"):
            command = _run("stillflow_bench.gpu.engines", library, precision)
            yield Stage(
                f"engines {library} {precision}",
                "engines of the shipped bundle",
                command,
                900,
                fails_by={2: "an engine was refused, or failed gate C"},
            )


def finding(stage: Stage, logs: Path) -> dict[str, Any]:
    """What a step reported, as plain values: the last JSON object that it printed, or its last line.

    Returns:
        "says": one line for the table; and what the step's own object holds. Nothing is raised.
    """
    try:
        text = (
            (logs / f"{stage.name.replace(' ', '-')}.out")
            .read_text(encoding="utf-8", errors="replace")
            .strip()
        )
    except OSError:
        return {}
    told = last_object(text)
    if told is None:
        lines = text.splitlines()
        last = lines[-1].strip("= ") if lines else ""
        wrong = [line.split(" - ")[0] for line in lines if line.startswith(("FAILED ", "ERROR "))]
        return ({"says": last[:200]} if last else {}) | ({"wrong": wrong} if wrong else {})
    return {"says": _says(stage.name, told), **told}


def last_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is, or that its last line is; None where it is neither."""
    for piece in (text, text.splitlines()[-1] if text else ""):
        try:
            told = json.loads(piece)
        except ValueError:
            continue
        if isinstance(told, dict):
            return told
    return None


def _says(name: str, told: Mapping[str, Any]) -> str:
    """One line about what a step printed."""
    if name == "doctor":
        wrong = [str(one["name"]) for one in told.get("findings", ()) if one.get("state") == "broken"]
        return f"broken: {', '.join(wrong)}" if wrong else "in order"
    if name == "kernels":
        sources = told.get("sources", {})
        wrong = [name for name, value in sources.items() if isinstance(value, str)]
        seconds = sum(value for value in sources.values() if not isinstance(value, str))
        failed = f", failed: {', '.join(wrong)}" if wrong else ""
        return f"{len(sources)} sources for {told.get('architecture')} in {seconds:.1f} s{failed}"
    if name.startswith("engines"):
        return ", ".join(
            f"{one['graph']}: gate C {one['gate_c'].get('state')}" for one in told.get("engines", ())
        )
    return str(told.get("says", ""))
