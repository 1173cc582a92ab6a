# SPDX-License-Identifier: Apache-2.0
"""What a run and its workers say to each other: one JSON object a line, an order there and a reply back."""

from __future__ import annotations

import re
from typing import TypeAlias

import msgspec
import numpy as np

from stillflow.errors import StillflowError
from stillflow_bench.latency.plan import Block
from stillflow_bench.latency.sample import Sample
from stillflow_bench.latency.target import Facts


class Open(msgspec.Struct, frozen=True, tag="open", forbid_unknown_fields=True):
    """Open the block's target.

    Attributes:
        block: the worker's only one.
        origin: nanoseconds of the host's monotonic clock that samples count from.
    """

    block: Block
    origin: int


class WarmUp(msgspec.Struct, frozen=True, tag="warm-up", forbid_unknown_fields=True):
    """Do the queries of the warm-up."""


class Measure(msgspec.Struct, frozen=True, tag="measure", forbid_unknown_fields=True):
    """Measure for one round.

    Attributes:
        queries: at least so many.
        seconds: and for at least so long.
        round: number of the turn, from 0.
    """

    queries: int
    seconds: float
    round: int


class Audit(msgspec.Struct, frozen=True, tag="audit", forbid_unknown_fields=True):
    """Do the queries with one input again and again."""


class Close(msgspec.Struct, frozen=True, tag="close", forbid_unknown_fields=True):
    """Give back what is held, and end."""


Order: TypeAlias = Open | WarmUp | Measure | Audit | Close


class Failure(msgspec.Struct, frozen=True):
    """Why an order was not carried out: the three phrases of a ``StillflowError``, or a bug with its trace."""

    what: str
    why: str
    fix: str
    trace: str = ""

    def raised(self) -> StillflowError:
        """As what it was."""
        return StillflowError(self.what, self.why, self.fix)


class Reply(msgspec.Struct, frozen=True):
    """What came of an order.

    Attributes:
        samples: of the queries that it took.
        facts: of the target; it may know more of itself after every order.
        rss_peak: bytes of resident memory at most since the order came, or, where the system cannot count anew,
            since the worker began; 0: not known.
        gpu_peak: bytes of device memory that the worker holds at its end; libraries keep what they once took.
        cpu_seconds: processor time that it took, ended children's included.
        error: why there is nothing else.
    """

    samples: tuple[Sample, ...] = ()
    facts: Facts | None = None
    rss_peak: int = 0
    gpu_peak: int = 0
    cpu_seconds: float = 0.0
    error: Failure | None = None


def read_order(line: bytes) -> Order:
    """Read a line of a worker's stdin.

    Raises:
        msgspec.DecodeError: it is none.
    """
    order: Order = msgspec.json.decode(line, type=Order)
    return order


def line_of(message: Order | Reply) -> bytes:
    """Write an order or a reply as one line.

    Raises:
        TypeError: a target put something else than plain values into its facts.
    """
    return _ENCODER.encode(message) + b"\n"


def without_folders(text: str) -> str:
    """A text in which files are named without the folders of this machine: records are passed on."""
    return re.sub(r"(?<![\w/])(?:/[^/\s\"']+)+/([^/\s\"']+)", r"\1", text)


def _plain(value: object) -> object:
    """What libraries give for plain values: strings of a class of their own, numbers of NumPy's types."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no plain value")


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
