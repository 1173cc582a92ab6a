# SPDX-License-Identifier: Apache-2.0
"""A fake engine on a virtual clock under any load: to the nanosecond, and in no time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stillflow_bench.latency.plan import Load
from stillflow_bench.latency.scenarios import Driver, make_driver
from stillflow_bench.latency.target import TargetSpec
from stillflow_bench.latency.targets.fake import Fake

from ..virtual_clock import VirtualClock

Loaded = Callable[..., tuple[Driver, Fake]]


@pytest.fixture(scope="module", autouse=True)
def every_module_unswept(unswept: None) -> None:
    """See ``unswept``."""


@pytest.fixture(scope="session")
def loaded() -> Loaded:
    """Makes (driver, fake): loaded(Load(...), milliseconds=..., other options of the fake)."""

    def make(load: Load, origin: int = 0, **options: Any) -> tuple[Driver, Fake]:
        clock = VirtualClock()
        fake = Fake(TargetSpec("fake", "B2.call", options=options), clock)
        return make_driver(fake, load, clock, origin=origin), fake

    return make
