# SPDX-License-Identifier: Apache-2.0
"""Which of the suite's own drivers a scenario has."""

from __future__ import annotations

from stillflow.errors import StillflowError
from stillflow_bench.latency.plan import Load
from stillflow_bench.latency.scenarios.asking import Asker
from stillflow_bench.latency.scenarios.driver import Driver
from stillflow_bench.latency.scenarios.lanes import Lanes
from stillflow_bench.latency.scenarios.multi_stream import MultiStream
from stillflow_bench.latency.scenarios.offline import Offline
from stillflow_bench.latency.scenarios.server import Server
from stillflow_bench.latency.scenarios.single_stream import SingleStream


def own_driver(asker: Asker, load: Load) -> Driver:
    """Make the suite's own driver of a scenario.

    Raises:
        StillflowError: queries of ``server`` do not arrive.
    """
    if load.scenario in ("single_stream", "sustained", "cold"):
        return SingleStream(asker, load.warm_up, load.audit)
    if load.scenario == "server":
        if load.rate <= 0:
            raise StillflowError(
                "cannot measure the scenario server",
                f"queries have to arrive and the rate is {load.rate:g} a second",
                "give a rate above 0: --rate 10",
            )
        lanes = Lanes(load.lanes, asker.clock)
        return Server(asker, lanes, load.warm_up, load.audit, load.rate, load.seed)
    kind = MultiStream if load.scenario == "multi_stream" else Offline
    return kind(asker, Lanes(load.lanes, asker.clock), load.warm_up, load.audit)
