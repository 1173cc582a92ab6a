# SPDX-License-Identifier: Apache-2.0
"""Where a figure comes from: the machine, the commit and the versions that made it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

PACKAGES = ("stillflow", "numpy", "opencv-python-headless", "onnxruntime", "av", "pillow")
"""Distributions whose versions can change a figure."""


@dataclass(frozen=True)
class Provenance:
    """What every row of a report carries.

    Attributes:
        machine: short name made of the processor and the usable cores; no host name, which says nothing.
        cpu: the processor's own name.
        cores: cores this process may use.
        memory_gib: of the whole machine.
        system: kernel and architecture.
        python: version.
        versions: distribution -> version, "absent" where it is not installed.
        commit: of the source tree, with "+" when files differ from it; "unknown" outside a checkout.
        command: the command line that repeats the measurement.
        date: UTC, to the second.
        load: load average over the last minute when the run began: above ~0.3, something else was running.
    """

    machine: str
    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    versions: dict[str, str]
    commit: str
    command: str
    date: str
    load: float


def provenance(command: str | None = None) -> Provenance:
    """Describe this machine and this source tree.

    Args:
        command: what repeats the measurement; None takes the command line of this process.
    """
    cpu = cpu_name()
    cores = usable_cores()
    return Provenance(
        machine=f"{slug(cpu)}-{cores}core",
        cpu=cpu,
        cores=cores,
        memory_gib=round(_memory_bytes() / 2**30, 1),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        versions={name: version(name) for name in PACKAGES},
        commit=commit(),
        command=command or own_command(),
        date=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
    )


def own_command() -> str:
    """Return this process's command line with the program's folder left out."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_name() -> str:
    """Return the processor's name, or the architecture where the system does not tell it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    for key in ("model name", "Model", "Hardware"):
        found = re.search(rf"^{key}\s*:\s*(.+)$", text, re.MULTILINE)
        if found:
            return " ".join(found[1].split())
    return platform.machine()


def commit(folder: Path | None = None) -> str:
    """Return the commit of the source tree this file lies in, with "+" when tracked files were changed.

    A tree that came in a pack has no history; what unpacked it says its commit in STILLFLOW_COMMIT.
    """
    told = os.environ.get("STILLFLOW_COMMIT", "")
    if told and folder is None:
        return told
    folder = folder or Path(__file__).resolve().parent
    try:
        head = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def version(name: str) -> str:
    """Return the version of an installed distribution, or "absent"."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def slug(name: str) -> str:
    """Make a file name of a processor name: without marks, the word CPU and the clock."""
    name = re.sub(r"\((r|tm)\)|\bcpu\b|\bprocessor\b|@.*$", " ", name, flags=re.IGNORECASE)
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unknown"
