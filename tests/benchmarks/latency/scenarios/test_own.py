# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from stillflow_bench.latency.plan import Load, Scenario
from stillflow_bench.latency.scenarios.asking import Asker
from stillflow_bench.latency.scenarios.multi_stream import MultiStream
from stillflow_bench.latency.scenarios.offline import Offline
from stillflow_bench.latency.scenarios.own import own_driver
from stillflow_bench.latency.scenarios.server import Server
from stillflow_bench.latency.scenarios.single_stream import SingleStream
from stillflow_bench.latency.target import TargetSpec
from stillflow_bench.latency.targets.fake import Fake

from ..virtual_clock import VirtualClock


@pytest.mark.parametrize(
    ("scenario", "kind"),
    [
        ("single_stream", SingleStream),
        ("sustained", SingleStream),
        ("cold", SingleStream),
        ("multi_stream", MultiStream),
        ("offline", Offline),
        ("server", Server),
    ],
)
def test_every_scenario_has_its_driver(scenario: Scenario, kind: type) -> None:
    clock = VirtualClock()
    load = Load(scenario, lanes=2, rate=1.0)
    driver = own_driver(Asker(Fake(TargetSpec("fake", "B2.call"), clock), load, clock, 0), load)
    driver.close()
    assert isinstance(driver, kind)
