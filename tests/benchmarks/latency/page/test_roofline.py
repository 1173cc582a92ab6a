# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stillflow_bench.latency.page import roofline as page_roofline
from stillflow_bench.latency.page.roofline import bandwidth, roofline
from stillflow_bench.latency.page.work import Work


def test_the_roof_is_the_copy_that_was_measured(
    make: Any, read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make()
    made.block("ours", "networks", "B2.call", [50.0] * 9)
    made.block("next", "next", "B3.next", [3.0] * 9)
    made.block("copy", "copy", "B3.next", [0.5] * 9, role="limit")
    shown = read(made).answered
    assert bandwidth(shown) == pytest.approx(2 * 3 * 1280 * 720 / 0.5e-3)
    text = roofline("r", shown)
    assert "11.1 GB/s" in text
    assert "GFLOP/s" not in text  # the bundle of this run is none that is shipped
    monkeypatch.setattr(page_roofline, "network_work", lambda _: {"ours": Work(4e9, 1e8)})
    text = roofline("r", shown)
    assert "GFLOP/s, logarithmic" in text
    assert "operations a byte" in text
    assert roofline("r", shown[:2]) == ""  # without a copy there is no roof
