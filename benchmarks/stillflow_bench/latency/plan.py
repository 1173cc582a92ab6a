# SPDX-License-Identifier: Apache-2.0
"""What a run measures: blocks, each a target at a boundary under a scenario, and how long."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from stillflow_bench.latency.target import Role, TargetSpec

Scenario = Literal["single_stream", "multi_stream", "offline", "server", "sustained", "cold"]
"""single_stream: one query after the other. multi_stream: one on each of N lanes at once, the next when all are done.
offline: as many as possible in all lanes. server: queries arrive by chance (Poisson), latency counts from when each
arrived. sustained: single_stream for minutes, told minute by minute. cold: every query a new process."""

Issue = Literal["unique", "same"]

DriverName = Literal["own", "loadgen"]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}\Z")


class Load(msgspec.Struct, frozen=True):
    """How a target is loaded.

    Attributes:
        scenario: see ``Scenario``.
        queries: at least so many are measured.
        seconds: and for at least so long; both must hold.
        warm_up: queries before those, which are kept and flagged.
        audit: queries with one input again and again, after them.
        lanes: that work at the same time.
        rate: queries a second that arrive, of ``server``.
        share: instead of a rate, so much of what the block ``of`` answers when its queries come one after the other;
            the run puts the rate in once it knows it.
        of: name of a block that is measured before.
        rounds: turns in which the block is measured; blocks of a group take turns.
        issue: "unique": inputs in turn, each as often as any other; "same": always the first, an audit of caching.
        seed: of arrivals and of the order of inputs.
        driver: "own", or "loadgen" for MLPerf's.
    """

    scenario: Scenario = "single_stream"
    queries: int = 44
    seconds: float = 0.0
    warm_up: int = 5
    audit: int = 0
    lanes: int = 1
    rate: float = 0.0
    share: float = 0.0
    of: str = ""
    rounds: int = 1
    issue: Issue = "unique"
    seed: int = 0
    driver: DriverName = "own"


class Block(msgspec.Struct, frozen=True):
    """What is measured in one go, in a process of its own.

    Attributes:
        name: unique in the run; file names are made of it: small letters, digits, "." "-" "_".
        title: in words, for tables.
        role: "ours"; "peer": another way to the same; "baseline": what anybody would write; "limit": nothing beats it.
        target: what is loaded.
        load: how.
        group: blocks of one group do comparable work and take turns, in an order drawn anew each round.
        claims: percentiles that the run is meant to give; the judge asks for enough samples.
    """

    name: str
    title: str
    role: Role
    target: TargetSpec
    load: Load = Load()
    group: str = ""
    claims: tuple[float, ...] = (50.0,)

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ValueError(f"'{self.name}' is no name of a block")


class Plan(msgspec.Struct, frozen=True):
    """A whole run.

    Attributes:
        name: "quick", "standard", "full" or "own".
        blocks: in the order of the tables.
        seed: of the order in which blocks take turns.
        sources: where a setting came from, by name: "default", "quick", "command line".
    """

    name: str
    blocks: tuple[Block, ...]
    seed: int = 0
    sources: dict[str, str] = {}
