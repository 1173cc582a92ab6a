# SPDX-License-Identifier: Apache-2.0
"""What Linux tells of the machine under /proc and /sys: processor time, clocks, temperature, energy.

Every reader takes the folder that the tree begins in. What is not there, not readable, or no number is None: a machine
that does not tell is never guessed at, and nothing here raises.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

ROOT = Path("/")

_MOST_BYTES = 1 << 20
_MOST_PROCESSES = 4096
_MOST_CORES = 16
"""Whose clocks are read: on servers each costs an interrupt of that core."""

_COLDEST, _HOTTEST = -40.0, 150.0
"""Degrees Celsius that a sensor may say; broken ones say less or more."""

_INLETS = ("VDD_IN", "SYS_VIN", "5V_IN", "VIN_SYS")
"""What the rail that feeds a whole Jetson board is called, in part, from board to board."""


def load(root: Path = ROOT) -> float | None:
    """Load average over the last minute."""
    return number(text_of(root / "proc" / "loadavg").split(" ")[0])


def processor_seconds(
    root: Path = ROOT, usable: Collection[int] | None = None
) -> tuple[float | None, float | None]:
    """(Seconds that the processors of this process were busy, seconds that another guest had them), since the start.

    Of a host that others share, those it may not run on are nobody's matter. A container's /proc may number processors
    anew: where one that may be used is not listed, all that are listed count.

    Args:
        root: folder that /proc lies in.
        usable: numbers of the processors that this process may run on; None: asks the system.
    """
    text = text_of(root / "proc" / "stat")
    listed = {
        name: _two_seconds(ticks)
        for name, ticks in re.findall(r"^cpu(\d{0,5}) +([\d ]{1,400})$", text, re.MULTILINE)
    }
    usable = usable_processors() if usable is None else usable
    chosen = [listed.get(str(number)) for number in usable]
    found = [two for two in chosen if two is not None]
    if not found or len(found) < len(chosen):
        return listed.get("") or (None, None)
    return sum(busy for busy, _ in found), sum(steal for _, steal in found)


def _two_seconds(line: str) -> tuple[float, float] | None:
    """(Busy, stolen) of a line of /proc/stat; None where the kernel is too old to tell both."""
    parts = line.split()[:8]
    if len(parts) < 8 or max(map(len, parts)) > 18:
        return None
    ticks = [int(part) for part in parts]
    user, nice, system, _idle, _waiting, irq, softirq, steal = ticks
    return (user + nice + system + irq + softirq) / _ticks(), steal / _ticks()


def usable_processors() -> list[int]:
    """Numbers of the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def own_processes(pid: int, root: Path = ROOT) -> list[int]:
    """A process and all that came of it and still are."""
    found: list[int] = []
    ahead = [pid]
    seen = {pid}
    # Some kernels are built without lists of children: then every process is asked for its parent.
    listed = (root / "proc" / str(pid) / "task" / str(pid) / "children").is_file()
    of_parent = {} if listed else _children(root)
    while ahead and len(found) < _MOST_PROCESSES:
        found.append(ahead.pop())
        children = set(of_parent.get(found[-1], ()))
        for task in _entries(root / "proc" / str(found[-1]) / "task") if listed else ():
            children |= {int(word) for word in re.findall(r"\b\d{1,9}\b", text_of(task / "children"))}
        ahead += sorted(children - seen)
        seen |= children
    return found


def _children(root: Path) -> dict[int, list[int]]:
    """Process -> those whose parent it is, of all."""
    found: dict[int, list[int]] = {}
    for place in _entries(root / "proc"):
        parent = _fields(int(place.name), root)[1:2] if re.fullmatch(r"[1-9]\d{0,8}", place.name) else []
        if parent and re.fullmatch(r"\d{1,9}", parent[0]):
            found.setdefault(int(parent[0]), []).append(int(place.name))
    return found


def _fields(pid: int, root: Path) -> list[str]:
    """What /proc/PID/stat tells behind the name, from the state on: proc(5)."""
    # The name in brackets may hold anything, brackets too.
    return text_of(root / "proc" / str(pid) / "stat").rpartition(")")[2].split()


def own_seconds(pid: int, root: Path = ROOT) -> float | None:
    """Processor seconds of a process and of all that came of it, those that have ended among them."""
    total, known = 0, False
    for one in own_processes(pid, root):
        ticks = _fields(one, root)[11:15]  # utime, stime, cutime, cstime
        if len(ticks) == 4 and all(re.fullmatch(r"\d{1,15}", tick) for tick in ticks):
            total += sum(int(tick) for tick in ticks)
            known = True
    return total / _ticks() if known else None


def throttled(root: Path = ROOT) -> int | None:
    """Periods in which a control group of this process was not let run, its parents' among them."""
    system = root / "sys" / "fs" / "cgroup"
    counts = []
    for line in text_of(root / "proc" / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, place = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounts = (system / controllers, system / "cpu") if controllers else (system, system / "unified")
        parts = [part for part in place.split("/") if part not in ("", ".", "..")][:64]
        groups = [parts[:depth] for depth in range(len(parts) + 1)]
        for mount in mounts:
            found = [_nr_throttled(mount.joinpath(*group, "cpu.stat")) for group in groups]
            told = [count for count in found if count is not None]
            if told:
                counts.append(sum(told))
                break
    return max(counts) if counts else None


def mhz(root: Path = ROOT) -> float | None:
    """Clock of the fastest core that this process may use, of sixteen of them at most.

    Not the mean: cores that idle say anything, and only those that work tell whether clocks stayed up.
    """
    folder = root / "sys" / "devices" / "system" / "cpu"
    kilohertz = _numbers(
        folder / f"cpu{core}" / "cpufreq" / "scaling_cur_freq" for core in usable_processors()[:_MOST_CORES]
    )
    if kilohertz:
        return max(kilohertz) / 1000
    text = text_of(root / "proc" / "cpuinfo")
    told = [float(clock) for clock in re.findall(r"^cpu MHz\s*: (\d{1,6}\.?\d{0,6})$", text, re.MULTILINE)]
    return max(told, default=None)


class HostReader:
    """All of it, again and again: sensors are looked for once, and a counter that wraps goes on.

    Args:
        root: folder that /proc and /sys lie in.
        pid: of the process whose processor time is counted, with all that came of it.
    """

    def __init__(self, root: Path = ROOT, pid: int | None = None) -> None:
        self._root = root
        self._usable = usable_processors()  # once: sums over other processors would be other counters
        self._pid = os.getpid() if pid is None else pid
        kinds = root / "sys" / "class"
        self._monitors = _entries(kinds / "hwmon")
        self._sensors = [zone / "temp" for zone in _entries(kinds / "thermal") if "zone" in zone.name]
        self._sensors += [
            sensor
            for monitor in self._monitors
            for sensor in _entries(monitor)
            if re.fullmatch(r"temp\d+_input", sensor.name)
        ]
        # Whole packages only: the zones inside them count the same energy again, and "psys" the board's.
        self._zones = [
            zone
            for zone in _entries(kinds / "powercap")
            if zone.name.count(":") == 1 and text_of(zone / "name").startswith("package")
        ]
        self._energy: dict[Path, tuple[float, float]] = {}

    def read(self) -> dict[str, float | int | None]:
        """Fields of a ``Look``, by name; ``at`` and ``gpu`` are not among them."""
        busy, steal = processor_seconds(self._root, self._usable)
        return {
            "load": load(self._root),
            "busy": busy,
            "own": own_seconds(self._pid, self._root),
            "steal": steal,
            "throttled": throttled(self._root),
            "mhz": mhz(self._root),
            "celsius": self.celsius(),
            "joules": self.joules(),
            "watts": self.watts(),
        }

    def celsius(self) -> float | None:
        """The hottest sensor of all."""
        degrees = [thousandth / 1000 for thousandth in _numbers(self._sensors)]
        return max((value for value in degrees if _COLDEST <= value <= _HOTTEST), default=None)

    def joules(self) -> float | None:
        """Energy that the processor's packages took, since whenever (RAPL)."""
        total = None
        for zone in self._zones:
            now = number(text_of(zone / "energy_uj"))
            if now is None:
                continue
            before, sum_up = self._energy.get(zone, (0.0, 0.0))
            most = number(text_of(zone / "max_energy_range_uj")) or 0.0
            sum_up += now - before if now >= before else max(0.0, now - before + most)
            self._energy[zone] = (now, sum_up)
            total = (total or 0.0) + sum_up / 1e6
        return total

    def watts(self) -> float | None:
        """Draw of the board by its INA sensors: the rail that feeds it, or all rails where none is called so."""
        rails = []
        for monitor in self._monitors:
            if not text_of(monitor / "name").startswith("ina"):
                continue
            for channel in range(1, 9):
                volts = number(text_of(monitor / f"in{channel}_input"))
                amperes = number(text_of(monitor / f"curr{channel}_input"))
                power = number(text_of(monitor / f"power{channel}_input"))
                label = text_of(monitor / f"in{channel}_label").strip()
                if power is not None:
                    rails.append((label, power / 1e6))
                elif volts is not None and amperes is not None:
                    rails.append((label, volts * amperes / 1e6))
        inlets = [watts for label, watts in rails if any(name in label for name in _INLETS)]
        chosen = inlets or [watts for _, watts in rails]
        return sum(chosen) if chosen else None


def text_of(path: Path) -> str:
    """Text of a file, a megabyte at most; "" where it cannot be read. Never waits for one who writes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return ""
    parts: list[bytes] = []
    try:
        while sum(map(len, parts)) < _MOST_BYTES and (part := os.read(descriptor, 1 << 16)):
            parts.append(part)
    except OSError:
        pass
    finally:
        os.close(descriptor)
    return b"".join(parts).decode("ascii", "replace")


def number(text: str) -> float | None:
    """A decimal number of a sensible length, or None."""
    found = re.fullmatch(r"\s*(-?\d{1,18}(?:\.\d{1,9})?)\s*", text, re.ASCII)
    return float(found[1]) if found else None


def _numbers(paths: Iterable[Path]) -> list[float]:
    return [value for path in paths if (value := number(text_of(path))) is not None]


def _nr_throttled(path: Path) -> int | None:
    found = re.search(r"^nr_throttled (\d{1,15})$", text_of(path), re.MULTILINE)
    return int(found[1]) if found else None


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())[:_MOST_PROCESSES]
    except OSError:
        return []


def _ticks() -> int:
    return os.sysconf("SC_CLK_TCK")
