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

from stillflow.errors import StillflowError
from stillflow_bench.latency.clock import Clock
from stillflow_bench.latency.plan import Load
from stillflow_bench.latency.scenarios.asking import Asker
from stillflow_bench.latency.scenarios.driver import Driver
from stillflow_bench.latency.scenarios.loadgen_driver import LoadGenDriver
from stillflow_bench.latency.scenarios.own import own_driver
from stillflow_bench.latency.target import Target

__all__ = ["Driver", "make_driver"]


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
    asker = Asker(target, load, clock, origin)
    own = own_driver(asker, load)
    return LoadGenDriver(asker, load, own, target.inputs) if load.driver == "loadgen" else own
