# SPDX-License-Identifier: Apache-2.0
"""What a judge has: a run's files, read once, and taken for what anybody may have written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from stillflow.errors import StillflowError
from stillflow_bench.latency.plan import Block, Load
from stillflow_bench.latency.record import (
    MOST_RESULT_BYTES,
    RESULT,
    TELEMETRY,
    Look,
    Measured,
    Record,
    looks_hash,
    read_record,
    read_telemetry,
    sample_path,
    seal_of,
)
from stillflow_bench.latency.run_folder import receipt_path
from stillflow_bench.latency.sample import Sample, read_hashed

MOST_NUMBER = 2**60
"""Nanoseconds: 36 years. No clock of a run shows more, and floats hold it."""

WITHOUT_PHOTOS = ("copy", "encode", "fake")
"""Kinds of targets that take no photo through a network, unless they say that they do."""


@dataclass(frozen=True)
class BlockEvidence:
    """A block: what the record says, and what its file holds.

    Attributes:
        measured: from result.json.
        samples: from the block's file, sorted by index.
        sha256: of the file's lines, as they are.
        damage: why the file could not be read; "" where it could.
    """

    measured: Measured
    samples: tuple[Sample, ...] = ()
    sha256: str = ""
    damage: str = ""

    @property
    def block(self) -> Block:
        """As it was measured."""
        return self.measured.block

    @property
    def load(self) -> Load:
        """How it was loaded."""
        return self.block.load

    @property
    def name(self) -> str:
        """Of the block."""
        return self.block.name

    @property
    def ours(self) -> bool:
        """Whether the run stands and falls with it."""
        return self.block.role == "ours"

    @property
    def takes_photos(self) -> bool:
        """Whether photos go through networks in it."""
        claimed = bool(self.measured.facts.inputs or self.measured.facts.hashes)
        return self.block.role in ("ours", "peer") and (
            claimed or self.block.target.kind not in WITHOUT_PHOTOS
        )

    @cached_property
    def taken(self) -> tuple[Sample, ...]:
        """Measured queries that were answered."""
        return tuple(sample for sample in self.samples if sample.phase == "measured" and not sample.error)

    @cached_property
    def rounds(self) -> tuple[tuple[Sample, ...], ...]:
        """``taken``, turn by turn."""
        turns: dict[int, list[Sample]] = {}
        for sample in self.taken:
            turns.setdefault(sample.round, []).append(sample)
        return tuple(tuple(turns[turn]) for turn in sorted(turns))

    @cached_property
    def spells(self) -> tuple[tuple[int, int], ...]:
        """(Begin, end) of each turn, nanoseconds since the run began."""
        return tuple((min(s.issued for s in turn), max(s.done for s in turn)) for turn in self.rounds)


@dataclass(frozen=True)
class Evidence:
    """A run.

    Attributes:
        record: result.json.
        blocks: those that were measured, in the plan's order.
        looks: at the machine meanwhile, in the order of time.
        looks_damage: why telemetry.jsonl could not be read.
        edited: which file is not what the run wrote; "" where all are.
    """

    record: Record
    blocks: tuple[BlockEvidence, ...]
    looks: tuple[Look, ...] = ()
    looks_damage: str = ""
    edited: str = ""


def read_evidence(folder: Path) -> Evidence:
    """Read a run's files. Damaged samples or telemetry are evidence too: they are told, not raised.

    Args:
        folder: of the run.

    Raises:
        StillflowError: there is no result.json that can be read.
    """
    record = _record(folder)
    looks: tuple[Look, ...] = ()
    damage = ""
    try:
        if (folder / TELEMETRY).exists() and not (folder / TELEMETRY).is_file():
            damage = f"{TELEMETRY} is no file"
        else:
            looks = tuple(sorted(read_telemetry(folder), key=lambda look: look.at))
            if not all(0 <= look.at <= MOST_NUMBER for look in looks):
                looks, damage = (), f"{TELEMETRY} holds a time that no clock shows"
    except (StillflowError, RecursionError) as error:
        damage = error.why if isinstance(error, StillflowError) else f"{TELEMETRY} is nested too deeply"
    blocks = tuple(_block(folder, measured) for measured in record.measured if not measured.missing)
    return Evidence(record, blocks, looks, damage, _edited(folder, record))


def _edited(folder: Path, record: Record) -> str:
    """What was changed since the run wrote it. Samples have hashes of their own, which the seal covers."""
    try:
        seal = seal_of((folder / RESULT).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        return f"{RESULT}: {error}"
    if seal != record.seal:
        return f"{RESULT} was edited: its seal is another" if record.seal else f"{RESULT} has no seal"
    # A run that was killed wrote more looks than it lived to record.
    if not record.interrupted and looks_hash(folder) != record.looks_sha256:
        return f"{TELEMETRY} is not what the run recorded: its SHA-256 differs"
    for one in record.measured:
        for name, receipt in one.facts.receipts.items():
            path = receipt_path(folder, one.block.name, name)
            if path.is_file() and not _says(path, receipt):
                return f"receipts/{path.name} is not the receipt that the run recorded"
    return ""


def _says(path: Path, told: object) -> bool:
    """Whether a file of JSON says what is known already."""
    try:
        if path.stat().st_size > MOST_RESULT_BYTES:
            return False
        return bool(msgspec.json.decode(path.read_bytes()) == told)
    except (OSError, ValueError, RecursionError):
        return False


def _record(folder: Path) -> Record:
    again = "give the folder that `stillflow-bench run -o DIR` wrote"
    what = f"cannot judge the run in {folder}"
    if not (folder / RESULT).is_file():  # opening a pipe would wait for ever
        raise StillflowError(what, f"it has no {RESULT}", again)
    try:
        record = read_record(folder)
    except RecursionError:
        raise StillflowError(what, f"{RESULT} is nested too deeply", again) from None
    measured = record.measured
    names = [one.block.name for one in measured]
    if len(set(names)) < len(names):
        raise StillflowError(what, f"{RESULT} has two blocks of one name", again)
    numbers = [record.before.at, record.after.at, record.host.cores]
    numbers += [number for one in measured for number in (one.samples, one.began, one.ended)]
    if not _all_sane(numbers):
        raise StillflowError(what, f"{RESULT} holds a number that nothing measures", again)
    return record


def _block(folder: Path, measured: Measured) -> BlockEvidence:
    path = sample_path(folder, measured.block.name)
    if not path.is_file():
        return BlockEvidence(measured, damage=f"there is no file {path.name}")
    try:
        read, sha256 = read_hashed(path)
        samples = sorted(read, key=lambda sample: sample.index)
        if not all(_all_sane(_numbers(sample)) for sample in samples):
            return BlockEvidence(measured, damage=f"{path.name} holds a number that no clock shows")
        return BlockEvidence(measured, tuple(samples), sha256)
    except StillflowError as error:
        return BlockEvidence(measured, damage=f"{path.name}: {error.why}")
    except RecursionError:
        return BlockEvidence(measured, damage=f"{path.name} is nested too deeply")


def _numbers(sample: Sample) -> Iterator[int]:
    yield from (sample.index, sample.input, sample.lane, sample.round, sample.issued, sample.done)
    yield 0 if sample.scheduled is None else sample.scheduled
    yield from sample.spans.values()


def _all_sane(numbers: Iterable[int]) -> bool:
    return all(-MOST_NUMBER <= number <= MOST_NUMBER for number in numbers)
