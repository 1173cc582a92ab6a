# SPDX-License-Identifier: Apache-2.0
"""About how long a plan takes: rough figures of a machine with two cores, for progress and for choosing what fits.

They decide nothing that is measured. What a run has found out itself replaces them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stillflow_bench.latency.plan import Block

_PIXELS = 1280 * 720

QUERY_SECONDS: Mapping[str, float] = {
    "networks": 0.12,
    "device": 0.02,
    "frame": 0.35,
    "next": 0.006,
    "job": 2.5,
    "cold": 2.0,
    "raw-onnxruntime": 0.12,
    "raw-openvino": 0.1,
    "raw-tensorrt": 0.02,
    "torch": 0.25,
    "published-torch": 40.0,
    "published-onnxruntime": 40.0,
    "plain-warp": 0.05,
    "copy": 0.001,
    "encode": 1.5,
}
"""Kind -> seconds a query at 720p; others are taken for nothing."""

OPEN_SECONDS: Mapping[str, float] = {"torch": 6.0, "published-torch": 8.0, "published-onnxruntime": 15.0}
"""Kind -> seconds until it is open; others take about two."""

_OPEN = 2.0

NETWORKS = ("networks", "device", "raw-onnxruntime", "raw-openvino", "raw-tensorrt", "torch")
"""Kinds whose networks see about the same size whatever the picture's."""


def query_seconds(block: Block) -> float:
    """About how long one query takes."""
    subject = block.target.subject
    cost = QUERY_SECONDS.get(block.target.kind, 0.0)
    return cost if block.target.kind in NETWORKS else cost * subject.width * subject.height / _PIXELS


def measuring_seconds(block: Block, a_query: float | None = None) -> float:
    """About how long a block's measured queries take in all.

    Args:
        block: which.
        a_query: seconds, where they are known; None takes ``query_seconds``.
    """
    load = block.load
    cost = query_seconds(block) if a_query is None else a_query
    waits = 0.0
    if load.rate:
        waits = load.queries / load.rate
    elif load.share:
        waits = load.queries * cost / load.share / load.lanes
    return max(load.seconds, load.queries * cost / load.lanes, waits)


def block_seconds(block: Block) -> float:
    """About how long a block takes from its start to its end."""
    opening = OPEN_SECONDS.get(block.target.kind, _OPEN)
    besides = (block.load.warm_up + block.load.audit) * query_seconds(block)
    return opening + besides + measuring_seconds(block)


def plan_seconds(blocks: Sequence[Block]) -> float:
    """About how long all of them take, one after the other."""
    return sum(block_seconds(block) for block in blocks)


class Progress:
    """How far a run is.

    Args:
        blocks: all that it measures.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._expected = {block.name: block_seconds(block) for block in blocks}

    def expect(self, name: str, seconds: float) -> None:
        """Replace what a block is expected to take still; 0 once it is done."""
        self._expected[name] = seconds

    @property
    def left(self) -> float:
        """Seconds that the run takes still, about."""
        return sum(self._expected.values())
