# SPDX-License-Identifier: Apache-2.0
"""How a target is loaded: a driver makes the queries of a scenario and reads the clock around each.

What is common to all: between both readings of the clock lies ``Target.query`` and nothing else. Lanes are threads
that were started before. Outputs are hashed after the clock has stopped: the first and the second time that an input
is seen in each phase. Where a hash would hold up the load, it is left out: ``server`` hashes only when the next arrival
of the lane is far enough away, ``offline`` only the last query of each lane in a round. A query that fails is a sample
with its reason, and the scenario goes on. Python's garbage collector runs as in any program; before each round there is
one full collection.
"""

from __future__ import annotations

from typing import Protocol

from stillflow.errors import StillflowError
from stillflow_bench.latency.clock import Clock
from stillflow_bench.latency.plan import Load
from stillflow_bench.latency.sample import Sample
from stillflow_bench.latency.scenarios.asking import Asker
from stillflow_bench.latency.scenarios.lanes import Lanes
from stillflow_bench.latency.scenarios.multi_stream import MultiStream
from stillflow_bench.latency.scenarios.offline import Offline
from stillflow_bench.latency.scenarios.server import Server, poisson_gaps
from stillflow_bench.latency.scenarios.single_stream import SingleStream
from stillflow_bench.latency.target import Target


class Driver(Protocol):
    """Makes the queries of one block. Samples come in the order of their numbers, which go on from call to call."""

    def warm_up(self) -> list[Sample]:
        """Make the queries that do not count."""
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


def make_driver(target: Target, load: Load, clock: Clock, *, origin: int) -> Driver:
    """Make the driver of a scenario. Its threads, if it has any, run when this returns.

    Args:
        target: open; it is not closed with the driver.
        load: scenario and sizes.
        clock: the target's own, where that is a fake.
        origin: reading of the clock when the run began: samples count from there.

    Raises:
        StillflowError: the load makes no sense, or LoadGen is asked for and not installed.
    """
    if load.lanes < 1:
        raise StillflowError(
            "cannot load the target", f"{load.lanes} lanes cannot work", "give --lanes 1 or more"
        )
    if load.driver == "loadgen":
        from stillflow_bench.latency.loadgen import LoadGenDriver

        return LoadGenDriver(target, load, clock, origin=origin)
    return own_driver(Asker(target, load, clock, origin), load)


def own_driver(asker: Asker, load: Load) -> Driver:
    """Make the suite's own driver of a scenario.

    Raises:
        StillflowError: queries of ``server`` do not arrive.
    """
    if load.scenario in ("single_stream", "sustained", "cold"):
        return SingleStream(asker, load.warm_up, load.audit)
    if load.scenario == "server":
        gaps = poisson_gaps(load.rate, load.seed)
        return Server(asker, Lanes(load.lanes, asker.clock), load.warm_up, load.audit, gaps)
    kind = MultiStream if load.scenario == "multi_stream" else Offline
    return kind(asker, Lanes(load.lanes, asker.clock), load.warm_up, load.audit)
