# SPDX-License-Identifier: Apache-2.0
"""What a scenario loads with queries, whichever it is: ours, a peer, a limit, or the fake of the suite's own test."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from stillflow.errors import StillflowError
from stillflow_bench.latency.boundary import Boundary
from stillflow_bench.latency.subject import Subject

Digest = Callable[[], str]


class TargetSpec(msgspec.Struct, frozen=True):
    """How a target is opened, in any process.

    Attributes:
        kind: a name from ``KINDS``.
        boundary: what one query is.
        subject: what runs.
        photos: folder of photos, or "" for those that come with the package.
        options: what only this kind knows.
    """

    kind: str
    boundary: Boundary
    subject: Subject = Subject()
    photos: str = ""
    options: dict[str, str | int | float | bool] = {}


class Facts(msgspec.Struct, frozen=True):
    """What a target says of itself once it is open. What it does not know stays empty; nothing is guessed.

    Attributes:
        engine: library that computes.
        version: of it.
        provider: what it says that really computes, read back.
        precision: of the arithmetic or the file, by graph.
        device: where.
        frames: what makes the frames.
        fallback: what does not run where it was asked to.
        hashes: SHA-256 by name: "bundle", "flow", "generator": of the very bytes that were loaded.
        receipts: name -> a gate's receipt as it lies in the bundle or beside the engine.
        inputs: SHA-256 of every input, in order, as it is queried with.
        photos: names of the photos that they were made of.
        notes: what else a reader needs: shapes, options, the share that really moves.
    """

    engine: str = ""
    version: str = ""
    provider: str = ""
    precision: dict[str, str] = {}
    device: str = ""
    frames: str = ""
    fallback: str = ""
    hashes: dict[str, str] = {}
    receipts: dict[str, Any] = {}
    inputs: list[str] = []
    photos: list[str] = []
    notes: dict[str, Any] = {}


@dataclass(frozen=True)
class Answer:
    """What one query brought.

    Attributes:
        spans: nanoseconds of what lies inside the query: boundaries by their id, stages as "stage motion".
        digest: makes 16 hexadecimal digits of the outputs; called after the clock was stopped. None: there are none.
    """

    spans: Mapping[str, int] = field(default_factory=dict)
    digest: Digest | None = None


class Target(Protocol):
    """Open, with its inputs at hand. Closing frees what it holds."""

    @property
    def facts(self) -> Facts:
        """What is known of it."""
        ...

    @property
    def inputs(self) -> int:
        """How many different inputs there are, >= 1."""
        ...

    def query(self, index: int, lane: int = 0) -> Answer:
        """Do one unit of work, and return when it is done.

        Args:
            index: of the input, 0 <= index < inputs.
            lane: which of several that work at the same time; each lane calls from a thread of its own.

        Raises:
            StillflowError: it failed.
        """
        ...

    def close(self) -> None:
        """Give back what it holds; harmless twice."""
        ...


Role = Literal["ours", "peer", "baseline", "limit"]
"""peer: another way to the same; baseline: what anybody would write; limit: nothing beats it."""

ROLES: tuple[Role, ...] = ("limit", "ours", "peer", "baseline")
"""In the order of tables and legends."""

PACKAGE = "stillflow_bench.latency"


class Kind(NamedTuple):
    """A way to answer queries.

    Attributes:
        module: of ``PACKAGE``, with ``open_target(spec: TargetSpec) -> Target``; it is loaded when used.
        boundary: what a query is, where nobody says otherwise.
        role: of its blocks.
    """

    module: str
    boundary: Boundary
    role: Role = "peer"


KINDS: Mapping[str, Kind] = {
    "networks": Kind("targets.networks", "B2.call", "ours"),
    "device": Kind("targets.device", "B0.device", "ours"),
    "frame": Kind("targets.frame", "B3.frame", "ours"),
    "next": Kind("targets.next_frame", "B3.next", "ours"),
    "job": Kind("targets.job", "B4.job", "ours"),
    "cold": Kind("targets.cold", "B5.cold", "ours"),
    "fake": Kind("targets.fake", "B3.frame", "ours"),
    "raw-onnxruntime": Kind("peers.raw_onnxruntime", "B2.call"),
    "raw-openvino": Kind("peers.raw_openvino", "B2.call"),
    "raw-tensorrt": Kind("peers.raw_tensorrt", "B2.call"),
    "torch": Kind("peers.torch_networks", "B2.call"),
    "published-torch": Kind("peers.published_torch", "B3.next"),
    "published-onnxruntime": Kind("peers.published_onnxruntime", "B3.next"),
    "plain-warp": Kind("peers.plain_warp", "B3.next", "baseline"),
    "copy": Kind("peers.copy_frame", "B3.next", "limit"),
    "encode": Kind("peers.encode_only", "B4.job", "limit"),
}
"""By the name that ``--target`` takes."""


def open_target(spec: TargetSpec) -> Target:
    """Open a target.

    Raises:
        StillflowError: there is no such kind, what it needs is not installed, or it does not open.
    """
    if spec.kind not in KINDS:
        raise StillflowError(
            f"cannot measure '{spec.kind}'", "there is no such target", f"use one of {', '.join(KINDS)}"
        )
    module = importlib.import_module(f"{PACKAGE}.{KINDS[spec.kind].module}")
    opened: Target = module.open_target(spec)
    return opened
