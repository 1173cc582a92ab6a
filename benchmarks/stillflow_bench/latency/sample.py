# SPDX-License-Identifier: Apache-2.0
"""One query as it was measured, and the file that keeps them all: one JSON object a line, nothing left out."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from stillflow.errors import StillflowError

Phase = Literal["warm-up", "measured", "audit"]
"""Audit: the same input again and again, which must not be faster."""

MOST_BYTES = 256 * 2**20
"""Of a file of samples, unpacked: a million queries take half of that."""


class Sample(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One query. Times are nanoseconds of the host's monotonic clock since the run began.

    Attributes:
        index: number of the query in its block, from 0, warm-up included.
        phase: what it was for.
        input: which input.
        issued: when it began.
        done: when it was answered.
        scheduled: when it should have begun; None: whenever the one before was done.
        lane: which of several.
        round: which turn of its block; blocks of a group take turns.
        spans: nanoseconds of what lies inside: boundaries, stages.
        digest: of the outputs, where it was taken.
        error: why there is no answer.
    """

    index: int
    phase: Phase
    input: int
    issued: int
    done: int
    scheduled: int | None = None
    lane: int = 0
    round: int = 0
    spans: dict[str, int] = {}
    digest: str = ""
    error: str = ""

    @property
    def latency(self) -> int:
        """Nanoseconds from when it should have begun: waiting counts (no coordinated omission)."""
        return self.done - (self.issued if self.scheduled is None else self.scheduled)

    @property
    def service(self) -> int:
        """Nanoseconds from when it did begin."""
        return self.done - self.issued


def write_samples(path: Path, samples: Iterable[Sample], *, append: bool = False) -> None:
    """Write samples, in the order they are given; the folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encoder = msgspec.json.Encoder()
    with path.open("ab" if append else "wb") as file:
        file.writelines(encoder.encode(sample) + b"\n" for sample in samples)


def read_samples(path: Path) -> list[Sample]:
    """Read a file of samples, ``.jsonl`` or ``.jsonl.gz``.

    Raises:
        StillflowError: it is not there, too large, or a line is none that ``write_samples`` wrote.
    """
    return read_hashed(path)[0]


def read_hashed(path: Path) -> tuple[list[Sample], str]:
    """Read a file of samples, and the SHA-256 of its lines, packed or not.

    Raises:
        StillflowError: as ``read_samples``.
    """
    data = sample_bytes(path)
    decoder = msgspec.json.Decoder(Sample)
    samples = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            samples.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _damaged(path, f"line {number}: {error}") from error
    return samples, hashlib.sha256(data).hexdigest()


def sample_bytes(path: Path) -> bytes:
    """The lines of a file of samples, unpacked.

    Raises:
        StillflowError: as ``read_samples``.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data: bytes = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
        raise _damaged(path, str(error)) from error
    if len(data) > MOST_BYTES:
        raise _damaged(path, f"it holds more than {MOST_BYTES // 2**20} MiB")
    return data


def _damaged(path: Path, why: str) -> StillflowError:
    return StillflowError(
        f"cannot read the samples {path.name}", why, "measure again: stillflow-bench run -o DIR"
    )
