# SPDX-License-Identifier: Apache-2.0
"""The wheels that a GPU machine without a network may lack: what stillflow asks for, for CPython 3.12 on x86-64."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from stillflow.errors import StillflowError

PYTHON = "3.12"
"""Of the GPU machine, where nothing else is said."""

PLATFORMS = (
    "manylinux1",
    "manylinux2010",
    "manylinux2014",
    *(f"manylinux_2_{minor}" for minor in range(5, 36)),
)
"""Tags of wheels that run there, as far as its C library is of 2022 or younger; the downloader takes them exactly."""

LEFT_OUT = ("onnxruntime",)
"""Requirements that no pack brings by itself: the CPU's ONNX Runtime. ``BIG`` has the one for GPUs."""

TESTING = ("pytest", "hypothesis")
"""Requirements of the tests that the GPU machine runs."""

BIG = {
    "rtx": ("tensorrt_rtx_cu13_libs", "tensorrt_rtx_cu13_bindings"),
    "ort": ("onnxruntime-gpu",),
    "cpu": ("onnxruntime",),
}
"""What is brought when asked for: name -> distributions, unpacked without what those ask for themselves."""

USELESS = {
    "onnxruntime_gpu": (
        "onnxruntime/transformers/*",
        "onnxruntime/quantization/*",
        "onnxruntime/tools/*",
        "onnxruntime/datasets/*",
        "onnxruntime/capi/libonnxruntime.so*",
        "onnxruntime/capi/libonnxruntime_providers_tensorrt.so",
    ),
    "nvidia_cuda_nvrtc": ("nvidia/*/include/*",),
}
"""Distribution -> files of its wheel that stillflow never touches."""

_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;\s*(.*))?\Z")
_FLOOR = re.compile(r"(?:>=|~=|==)\s*([0-9][0-9.]*)")


@dataclass(frozen=True)
class Wheel:
    """One wheel of a pack.

    Attributes:
        path: of the file.
        name: of the distribution, as ``normal`` writes it.
        version: in the file.
        at_least: the version with which a machine needs it not, "" for any.
    """

    path: Path
    name: str
    version: str
    at_least: str


def normal(name: str) -> str:
    """Write a distribution's name in the one way that compares."""
    return re.sub(r"[-_.]+", "_", name).lower()


def parsed(line: str) -> tuple[str, str, str]:
    """Split a requirement into (name, least version or "", marker or "")."""
    found = _REQUIREMENT.match(line.strip())
    if found is None:
        raise ValueError(f"not a requirement: {line}")
    floor = _FLOOR.search(found[2])
    return found[1], floor[1].rstrip(".") if floor else "", found[3] or ""


def wanted(lines: Iterable[str] | None = None) -> dict[str, str]:
    """What a GPU machine needs besides the tree.

    Args:
        lines: stillflow's requirements as its metadata has them; None: those of the installed package.

    Returns:
        Distribution -> least version: the runtime's, the extra "cuda", pytest and hypothesis.

    Raises:
        StillflowError: the package is not installed.
    """
    if lines is None:
        try:
            lines = importlib.metadata.requires("stillflow") or []
        except importlib.metadata.PackageNotFoundError as error:
            why = "the package stillflow is not installed, so that nobody says what it requires"
            raise StillflowError(
                "cannot make a pack", why, "make test, or pip install -e '.[test]'"
            ) from error
    found: dict[str, str] = {}
    for line in lines:
        name, floor, marker = parsed(line)
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", marker)
        of_tests = extra is not None and extra[1] == "test" and name in TESTING
        if (extra is None and name not in LEFT_OUT) or (extra is not None and extra[1] == "cuda") or of_tests:
            found[name] = max(found.get(name, ""), floor, key=_numbers)
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def download(
    folder: Path, requirements: Mapping[str, str], *, alone: bool = False, python: str = PYTHON
) -> None:
    """Fetch wheels for the GPU machine with pip.

    Args:
        folder: of the wheels.
        requirements: distribution -> least version.
        alone: leave out what they require themselves.
        python: version of CPython there.

    Raises:
        StillflowError: pip fails.
    """
    lines = [f"{name}>={floor}" if floor else name for name, floor in requirements.items()]
    platforms = [word for tag in PLATFORMS for word in ("--platform", f"{tag}_x86_64")]
    command = [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"),
        *("--only-binary=:all:", "--python-version", python, "--implementation", "cp"),
        *(*platforms, "--dest", str(folder), *(["--no-deps"] if alone else []), *lines),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why = " ".join(done.stderr.split())[-400:]
        raise StillflowError(f"cannot fetch {', '.join(lines)}", why, "see that pip reaches a package index")


def described(paths: Sequence[Path], floors: Mapping[str, str]) -> list[Wheel]:
    """Say of each wheel which version a machine must have to need it not.

    Args:
        paths: of wheels.
        floors: distribution -> least version that stillflow asks for; wheels' own requirements are added.
    """
    known = {normal(name): floor for name, floor in floors.items()}
    for path in paths:
        for line in requirements_of(path):
            name, floor, marker = parsed(line)
            if "extra" not in marker:
                known[normal(name)] = max(known.get(normal(name), ""), floor, key=_numbers)
    return [
        Wheel(path, normal(path.name.split("-")[0]), path.name.split("-")[1], known.get(_own(path), ""))
        for path in sorted(paths)
    ]


def _own(path: Path) -> str:
    return normal(path.name.split("-")[0])


def requirements_of(path: Path) -> list[str]:
    """What a wheel requires, by its metadata."""
    with zipfile.ZipFile(path) as file:
        name = next(n for n in file.namelist() if n.endswith(".dist-info/METADATA"))
        head = file.read(name).decode("utf-8", errors="replace").split("\n\n")[0]
    lines = (line.partition(":") for line in head.splitlines())
    return [value.strip() for key, _, value in lines if key == "Requires-Dist"]


def unpacked(wheel: Wheel, folder: Path) -> Path:
    """Unpack a wheel, less what is useless, into a folder of its own.

    Returns:
        That folder; its content belongs onto the path.
    """
    place = folder / wheel.name
    useless = USELESS.get(wheel.name, ())
    with zipfile.ZipFile(wheel.path) as file:
        names = [n for n in file.namelist() if not any(fnmatch(n, pattern) for pattern in useless)]
        file.extractall(place, names)
    return place
