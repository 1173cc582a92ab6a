# SPDX-License-Identifier: Apache-2.0
"""About how long a plan takes: rough figures of a machine with two cores, for progress and for choosing what fits.

They decide nothing that is measured. What a run has found out itself replaces them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stillflow_bench.latency.plan import Block

QUERY_SECONDS: Mapping[str, tuple[float, float]] = {
    "networks": (0.007, 0.045),
    "device": (0.002, 0.01),
    "frame": (0.04, 0.5),
    "next": (0.0003, 0.0048),
    "job": (0.2, 1.8),
    "cold": (0.8, 0.5),
    "raw-onnxruntime": (0.01, 0.06),
    "raw-openvino": (0.01, 0.055),
    "raw-tensorrt": (0.002, 0.01),
    "torch": (0.02, 0.09),
    "published-torch": (0.0, 25.0),
    "published-onnxruntime": (0.0, 20.0),
    "plain-warp": (0.0005, 0.005),
    "copy": (0.0, 0.0003),
    "encode": (0.1, 1.4),
}
"""Kind -> seconds a query, and seconds more for every megapixel; others are taken for nothing."""

OPEN_SECONDS: Mapping[str, tuple[float, float]] = {
    "next": (1.0, 2.0),
    "plain-warp": (1.0, 4.0),
    "encode": (1.0, 4.0),
    "torch": (4.0, 4.0),
    "published-torch": (2.0, 10.0),
    "published-onnxruntime": (4.0, 15.0),
}
"""Kind -> likewise, until it is open; others take about one."""

_OPEN = (1.0, 0.5)

COMPILE_SECONDS = 45.0
"""For torch.compile to compile both networks."""


def _seconds(costs: tuple[float, float], block: Block) -> float:
    subject = block.target.subject
    return costs[0] + costs[1] * subject.width * subject.height / 1e6


def query_seconds(block: Block) -> float:
    """About how long one query takes."""
    return _seconds(QUERY_SECONDS.get(block.target.kind, (0.0, 0.0)), block)


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
    opening = _seconds(OPEN_SECONDS.get(block.target.kind, _OPEN), block)
    if block.target.options.get("compile"):
        opening += COMPILE_SECONDS
    besides = (block.load.warm_up + block.load.audit) * query_seconds(block)
    return opening + besides + measuring_seconds(block)


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
