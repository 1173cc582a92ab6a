# SPDX-License-Identifier: Apache-2.0
"""Instructions, loads and stores, bytes of memory and allocations of the kernels in C, as callgrind counts them.

The program tests/native/counted.c is built from the sources beside it with the flags of the library, and played by
valgrind on a processor and a cache that are simulated, so that nothing depends on the machine. What the library calls
(memcpy) counts as its own.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from stillflow.errors import StillflowError
from stillflow.kernels.native import Isa
from stillflow_bench.guard.counts import Counted, Counts, differing

PROGRAM = "stillflow_counted"

FUNCTIONS = ("sf_fields", "sf_compose", "sf_splat_prepare", "sf_splat_rows", "sf_euler_step")
"""What runs once a frame. callgrind counts between a call of these and its return."""

CACHE = ("--cache-sim=yes", "--simulate-wb=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=131072,16,64")
"""The last cache is too small for a frame and its photo, as those of processors are for 4K: of 256x144 pixels, each
takes 110 592 bytes. Then what comes from memory is what a frame has to move."""

ENVIRONMENT = {
    "GLIBC_TUNABLES": ":".join(
        f"glibc.cpu.x86_{name}_threshold={1 << 28}" for name in ("rep_movsb", "rep_stosb", "non_temporal")
    )
}
"""All that the program is told. Without it memset and memcpy take an instruction that repeats itself for each byte,
which valgrind counts as often, from a size on that depends on the processor."""

LINE = 64
"""Bytes of a line of these caches."""

ALLOCATORS = frozenset(
    ("malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign", "memalign", "mmap", "mmap64", "sbrk")
)

LACKING = 5
"""SF_ERROR_UNSUPPORTED of stillflow.h: the simulated processor has not got the instruction set."""

LONGEST = 120.0
"""Seconds that a run may take: one takes about 3."""

COUNTED = ("instructions", "loads and stores", "bytes from and to memory", "allocations")


@dataclass(frozen=True)
class Told:
    """What the program says, in words, while callgrind counts.

    Attributes:
        compiler: with its version.
        libc: its version.
        frames: that every case played.
        cases: name, instruction set and status of each, in order; those named "warm" are thrown away.
    """

    compiler: str
    libc: str
    frames: int
    cases: tuple[tuple[str, int, int], ...]


def missing() -> str:
    """Why nothing can be counted here; "" where it can."""
    for tool, why in (("cmake", "nothing builds the program"), ("valgrind", "nothing counts instructions")):
        if shutil.which(tool) is None:
            return f"{tool} is not installed: {why}"
    return ""


def build(tree: Path, folder: Path) -> Path:
    """Build the program, or what of it changed.

    Args:
        tree: root of the source tree.
        folder: to build in.

    Raises:
        StillflowError: it does not compile.
    """
    configure = [
        "cmake",
        "-S",
        str(tree),
        "-B",
        str(folder),
        "-DSTILLFLOW_COUNTED=ON",
        "-DSTILLFLOW_SPEED=ON",
    ]
    for command in (configure, ["cmake", "--build", str(folder), "--parallel", "2", "--target", PROGRAM]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StillflowError(
                "cannot build the program whose instructions are counted",
                (done.stderr.strip() or done.stdout.strip())[-600:],
                f"see what {' '.join(command[:2])} says, or delete {folder} and try again",
            )
    return folder / PROGRAM


def count(program: Path, *, runs: int = 2) -> Counted:
    """Run the program under callgrind.

    Args:
        program: that ``build`` made.
        runs: that take place at the same time; 1: what differs is not looked for.

    Raises:
        StillflowError: valgrind cannot run it.
    """
    with ThreadPoolExecutor(runs) as threads:
        told, counts = (found := list(threads.map(_run, [program] * runs)))[0]
    isas = {_isa_name(isa): status != LACKING for _, isa, status in told.cases if isa != Isa.BEST}
    processor = " ".join([platform.machine(), *(isa for isa, there in isas.items() if there)])
    environment = ", ".join((told.compiler, f"glibc {told.libc}", _valgrind_version(), processor))
    left_out = {
        isa: "it is not built, or valgrind does not know it" for isa, there in isas.items() if not there
    }
    return Counted("native", environment, counts, differing(counts, found[-1][1]), left_out)


def _run(program: Path) -> tuple[Told, Counts]:
    with tempfile.TemporaryDirectory() as place:
        toggles = [f"--toggle-collect={name}" for name in FUNCTIONS]
        # Names in full, since they are looked for; a name of the program and an environment that are the same
        # everywhere, since they lie on the stack and so decide which lines of the cache are in each other's way.
        command = [
            shutil.which("valgrind") or "valgrind", "--tool=callgrind", f"--callgrind-out-file={place}/counted",
            "--compress-strings=no", "--compress-pos=no", "--dump-after=case_ends", *CACHE, *toggles,
            f"./{program.name}",
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command,
                cwd=program.parent,
                env=ENVIRONMENT,
                capture_output=True,
                text=True,
                timeout=LONGEST,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _failed(f"it did not end within {LONGEST:g} s") from None
        if done.returncode:
            raise _failed((done.stderr.strip() or f"exit code {done.returncode}")[-600:])
        told = read_told(done.stdout)
        dumps = [Path(place) / f"counted.{index + 1}" for index in range(len(told.cases))]
        return told, counts_of(told, [path.read_text(encoding="utf-8") for path in dumps])


def _failed(why: str) -> StillflowError:
    return StillflowError(
        "cannot count the instructions of the kernels",
        f"valgrind says: {why}",
        "install another version of valgrind (3.19 is known to work), or leave this to a machine that has it",
    )


def read_told(text: str) -> Told:
    """Read what the program printed.

    Raises:
        StillflowError: it is not what counted.c prints.
    """
    try:
        first, frames, *cases = [line.split("|") for line in text.splitlines()]
        read = tuple((name, int(isa), int(status)) for name, isa, status in cases)
        return Told(first[0], first[1], int(frames[1]), read)
    except (ValueError, IndexError):
        raise _failed(f"the program ended with {text[-200:]!r}") from None


def counts_of(told: Told, dumps: Sequence[str]) -> dict[str, int]:
    """Counts a frame, from what callgrind wrote at the end of each case.

    Args:
        told: by the program.
        dumps: texts of callgrind, one a case.

    Raises:
        StillflowError: a kernel refused to play, or a text is none of callgrind.
    """
    counts: dict[str, int] = {}
    for (name, isa, status), dump in zip(told.cases, dumps, strict=True):
        if name == "warm" or status == LACKING:
            continue
        if status:
            raise _failed(f"the case '{name}' ended with status {status}")
        events = _events(dump)
        missed = sum(events[event] for event in ("DLmr", "DLmw", "DLdmr", "DLdmw"))
        values = (events["Ir"], events["Dr"] + events["Dw"], LINE * missed, sum(_allocations(dump)))
        for what, value in zip(COUNTED, values, strict=True):
            # Rounded up, so that one allocation in two frames is one.
            counts[f"{name}, {_isa_name(isa)}: {what}"] = -(-value // told.frames)
    return counts


def _isa_name(isa: int) -> str:
    try:
        return Isa(isa).name.lower()
    except ValueError:
        raise _failed(f"the program names the instruction set {isa}") from None


def _events(dump: str) -> dict[str, int]:
    lines = dict(
        line.split(": ", 1) for line in dump.splitlines() if line.startswith(("events: ", "totals: "))
    )
    try:
        names, values = lines["events"].split(), [int(value) for value in lines["totals"].split()]
    except (KeyError, ValueError):
        raise _failed("its file has no events or no totals") from None
    # Noughts at the end are not written.
    return dict(zip(names, [*values, *[0] * (len(names) - len(values))], strict=True))


def _allocations(dump: str) -> Iterator[int]:
    """Yield how often each caller called something that allocates."""
    called = ""
    for line in dump.splitlines():
        if line.startswith("cfn="):
            called = line.removeprefix("cfn=")
        elif line.startswith("calls=") and called in ALLOCATORS:
            yield int(line.removeprefix("calls=").split()[0])


def _valgrind_version() -> str:
    done = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip().replace("-", " ", 1) or "valgrind"
