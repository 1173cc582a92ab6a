# SPDX-License-Identifier: Apache-2.0
"""What else is true of a GPU while it is measured: clocks, what holds them back, and who else is on it."""

from __future__ import annotations

import os
import subprocess
from typing import Any

CLOCKS = (
    "pstate",
    "clocks.sm",
    "clocks.mem",
    "clocks.max.sm",
    "clocks.max.mem",
    "temperature.gpu",
    "power.draw",
    "power.limit",
    "utilization.gpu",
    "memory.used",
    "persistence_mode",
)
"""Fields of nvidia-smi that every driver of the last years knows."""

REASONS = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")
"""The field that says what holds the clocks back, by its newer and its older name."""

HELD_BACK = {
    0x1: "idle",
    0x2: "clocks set by an application",
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "synchronised with other boards",
    0x20: "temperature (driver)",
    0x40: "temperature (hardware)",
    0x80: "power brake",
    0x100: "clocks set for the display",
}
"""Bits of that field, as NVML numbers them."""

PATIENCE = 20.0
"""Seconds that nvidia-smi may take; it answers within one unless the driver is in trouble."""


def surroundings(index: int = 0) -> dict[str, Any]:
    """Ask nvidia-smi.

    Args:
        index: of the GPU, as CUDA counts them.

    Returns:
        "clocks": field -> value; "held_back": reasons in words; "processes": programs on the GPU, this one left
        out; or "missing": why nothing is known. Nothing is raised.
    """
    number = smi_index(index)
    if number is None:
        return {"missing": "CUDA_VISIBLE_DEVICES names devices otherwise than by number"}
    told = None
    why = ""
    for reason in (*REASONS, None):
        names = (*CLOCKS, reason) if reason else CLOCKS
        told, why = ask(f"--query-gpu={','.join(names)}", number)
        if told is not None or "not installed" in why:
            break
    if told is None:
        return {"missing": why}
    values = dict(zip(names, (value.strip() for value in told.splitlines()[0].split(",")), strict=False))
    mask = values.pop(reason, "") if reason else ""
    return {
        "clocks": values,
        "held_back": held_back(mask),
        "processes": processes(ask("--query-compute-apps=pid,process_name,used_memory", number)[0] or ""),
    }


def smi_index(index: int) -> str | None:
    """Translate CUDA's number of a device into nvidia-smi's, or into a UUID; None where that is not known."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in visible.split(",") if name.strip()]
    if not names:
        return str(index)
    if index >= len(names) or not (names[index].isdecimal() or names[index].startswith("GPU-")):
        return None
    return names[index]


def ask(question: str, number: str) -> tuple[str | None, str]:
    """Return nvidia-smi's answer, or None and why there is none."""
    command = ["nvidia-smi", question, "--format=csv,noheader,nounits", "-i", number]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except FileNotFoundError:
        return None, "nvidia-smi is not installed"
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"nvidia-smi does not answer: {type(error).__name__}"
    if done.returncode != 0 or not done.stdout.strip():
        return None, " ".join((done.stdout or done.stderr).split())[:200] or "nvidia-smi says nothing"
    return done.stdout.strip(), ""


def held_back(mask: str) -> list[str]:
    """What holds the clocks back, in words; nothing for a field that says so, or that is none."""
    try:
        bits = int(mask, 16)
    except ValueError:
        return []
    known = [word for bit, word in HELD_BACK.items() if bits & bit]
    rest = bits & ~sum(HELD_BACK)
    return [*known, f"others ({rest:#x})"] if rest else known


def processes(text: str) -> list[dict[str, str]]:
    """Programs in nvidia-smi's list, without folders and without this process."""
    found = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 3 and parts[0] != str(os.getpid()):
            program = parts[1].replace("\\", "/").rsplit("/", 1)[-1]
            found.append({"program": program, "memory_mib": parts[2]})
    return found
