# SPDX-License-Identifier: Apache-2.0
"""The folder of a run: what was asked for, what was found, every sample, and how the machine was meanwhile.

``result.json`` (``Record``), ``samples/<block>.jsonl`` or ``.jsonl.gz``, ``telemetry.jsonl``. Read as what anybody may
have written: strictly, names confined to the folder, lengths limited.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from stillflow.errors import StillflowError
from stillflow_bench.latency.percentile import Summary
from stillflow_bench.latency.plan import Block, Plan
from stillflow_bench.latency.sample import Sample, read_samples
from stillflow_bench.latency.target import Facts
from stillflow_bench.report import replace_file

SCHEMA = "1.0"
"""A reader of 1.x may meet new fields anywhere, also in plans and samples, never a changed meaning of an old one. Who
adds a field gives it a default, so that older files stay readable."""

RESULT, TELEMETRY, SAMPLES = "result.json", "telemetry.jsonl", "samples"

MOST_RESULT_BYTES = 64 * 2**20


class Tool(msgspec.Struct, frozen=True):
    """What measured. ``commit`` ends in "+" when files differ from it."""

    version: str
    commit: str
    command: str
    date: str


class Host(msgspec.Struct, frozen=True):
    """What it was measured on: the fields of ``machine.Provenance``, and what a GPU says of itself."""

    machine: str
    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    versions: dict[str, str]
    gpu: dict[str, Any] = {}


class Look(msgspec.Struct, frozen=True):
    """One look at the machine, also a line of telemetry.jsonl. None: this machine does not tell.

    Attributes:
        at: nanoseconds since the run began.
        load: average over the last minute.
        busy: seconds that the processors which this run may use were busy, since the machine was started.
        own: processor seconds of this run's processes, those that ended among them.
        steal: seconds in which another guest had the processors of this one.
        throttled: periods in which the control group of this process was held back.
        mhz: clock of the fastest core.
        celsius: hottest sensor.
        joules: energy counter of the package or board, since whenever.
        watts: draw of the board at the moment, where there is no counter.
        gpu: clocks, temperature, power, energy, memory, reasons that hold clocks back, other programs on it.
    """

    at: int
    load: float | None = None
    busy: float | None = None
    own: float | None = None
    steal: float | None = None
    throttled: int | None = None
    mhz: float | None = None
    celsius: float | None = None
    joules: float | None = None
    watts: float | None = None
    gpu: dict[str, Any] = {}


class Measured(msgspec.Struct, frozen=True):
    """A block and what came of it.

    Attributes:
        block: as planned.
        facts: what the target said of itself.
        samples: lines in its file.
        sha256: of those lines.
        summaries: boundary or "service" -> milliseconds; a digest of the samples, which the judge makes anew.
        began: nanoseconds since the run began.
        ended: likewise.
        rss_peak: bytes of the block's process at most, while it measured; 0: not known.
        gpu_peak: bytes of device memory that it held at most; 0: none or not known.
        cpu_seconds: processor time of its process while it measured.
        missing: why it was not measured; then there are no samples.
    """

    block: Block
    facts: Facts = Facts()
    samples: int = 0
    sha256: str = ""
    summaries: dict[str, Summary] = {}
    began: int = 0
    ended: int = 0
    rss_peak: int = 0
    gpu_peak: int = 0
    cpu_seconds: float = 0.0
    missing: str = ""


class Record(msgspec.Struct, frozen=True):
    """result.json.

    Attributes:
        schema: of this file.
        tool: what measured.
        host: on what.
        plan: what was asked for.
        measured: one for each block, in the plan's order.
        before: the machine before the first query.
        after: after the last.
        clock: nanoseconds of the host's monotonic clock when the run began.
        looking: processor seconds that the telemetry took; they are among ``Look.own``.
        interrupted: whether somebody ended the run before it was done.
        looks_sha256: of telemetry.jsonl as it was when this was written.
        seal: of all else in this file, see ``seal_of``. It tells that somebody edited a file, by hand or by mistake. It
            is no signature: who makes it anew can write what he likes.
    """

    schema: str
    tool: Tool
    host: Host
    plan: Plan
    measured: tuple[Measured, ...]
    before: Look
    after: Look
    clock: int = 0
    looking: float = 0.0
    interrupted: bool = False
    looks_sha256: str = ""
    seal: str = ""


def sample_path(folder: Path, name: str) -> Path:
    """Where a block's samples lie: packed where they were packed."""
    packed = folder / SAMPLES / f"{name}.jsonl.gz"
    return packed if packed.is_file() else folder / SAMPLES / f"{name}.jsonl"


def block_samples(folder: Path, measured: Measured) -> list[Sample]:
    """Read a block's samples; none for one that was not measured.

    Raises:
        StillflowError: they are missing or damaged.
    """
    return [] if measured.missing else read_samples(sample_path(folder, measured.block.name))


def write_record(folder: Path, record: Record) -> Path:
    """Write result.json, sealed; the folder is made when missing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RESULT
    record = msgspec.structs.replace(record, looks_sha256=looks_hash(folder), seal="")
    record = msgspec.structs.replace(record, seal=seal_of(msgspec.json.encode(record)))
    replace_file(path, msgspec.json.format(msgspec.json.encode(record), indent=1).decode() + "\n")
    return path


def seal_of(data: bytes) -> str:
    """SHA-256 of what a result.json says, its seal left out and however it is spaced.

    Raises:
        msgspec.DecodeError: it is no JSON object.
    """
    told = msgspec.json.decode(data, type=dict[str, Any])
    told.pop("seal", None)
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def looks_hash(folder: Path) -> str:
    """SHA-256 of telemetry.jsonl; "" where there is none that can be read."""
    path = folder / TELEMETRY
    try:
        small = path.is_file() and path.stat().st_size <= MOST_RESULT_BYTES
        return hashlib.sha256(path.read_bytes()).hexdigest() if small else ""
    except OSError:
        return ""


def read_record(folder: Path) -> Record:
    """Read result.json.

    Raises:
        StillflowError: there is none, it is of a newer schema, or it is not what ``write_record`` writes.
    """
    path = folder / RESULT
    what = f"cannot read the run in {folder}"
    again = "give the folder that `stillflow-bench run -o DIR` wrote"
    try:
        if path.stat().st_size > MOST_RESULT_BYTES:
            raise StillflowError(what, f"{RESULT} is larger than {MOST_RESULT_BYTES // 2**20} MiB", again)
        data = path.read_bytes()
    except OSError as error:
        raise StillflowError(what, f"{RESULT}: {error.strerror}", again) from error
    try:
        schema = str(msgspec.json.decode(data, type=dict[str, Any]).get("schema", ""))
        if schema.partition(".")[0] != SCHEMA.partition(".")[0]:
            raise StillflowError(
                what,
                f"it is of schema '{schema}' and this program reads {SCHEMA}",
                "update stillflow, or measure again",
            )
        return msgspec.json.decode(data, type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StillflowError(what, f"{RESULT}: {error}", again) from error


def read_telemetry(folder: Path) -> list[Look]:
    """Read telemetry.jsonl; nothing where there is none.

    Raises:
        StillflowError: it is damaged.
    """
    path = folder / TELEMETRY
    if not path.is_file():
        return []
    try:
        if path.stat().st_size > MOST_RESULT_BYTES:
            raise ValueError(f"it is larger than {MOST_RESULT_BYTES // 2**20} MiB")
        return [msgspec.json.decode(line, type=Look) for line in path.read_bytes().splitlines()]
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise StillflowError(
            f"cannot read {TELEMETRY} of the run in {folder}",
            str(error),
            "measure again: stillflow-bench run -o DIR",
        ) from error
