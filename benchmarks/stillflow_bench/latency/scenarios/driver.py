# SPDX-License-Identifier: Apache-2.0
"""What makes the queries of a block, whichever scenario it is."""

from __future__ import annotations

from typing import Protocol

from stillflow_bench.latency.sample import Sample


class Driver(Protocol):
    """Makes the queries of one block. Samples come in the order of their numbers, which go on from call to call."""

    def warm_up(self) -> list[Sample]:
        """Make the queries that do not count: as many as asked for in every lane."""
        ...

    def measure(self, queries: int, seconds: float, round: int) -> list[Sample]:
        """Make at least so many queries, for at least so long.

        Args:
            queries: of ``multi_stream`` those on all lanes, of the others each one.
            seconds: of ``server`` until when queries arrive.
            round: which turn of the block, noted in its samples.
        """
        ...

    def audit(self) -> list[Sample]:
        """Make queries with input 0 again and again, under the same load."""
        ...

    def close(self) -> None:
        """End the lanes; the target stays open. Harmless twice."""
        ...
