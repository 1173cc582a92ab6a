# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow.bundle.manifest import Tolerance
from stillflow.errors import StillflowError
from stillflow_export.gates import GateReceipt, OutputReport, require_passed
from stillflow_export.gates.receipt import Tally

ALLOWED = Tolerance(absolute=0.01, relative=0.1)


def tallied(**samples: list[float]) -> OutputReport:
    tally = Tally(ALLOWED)
    for name, got in samples.items():
        tally.add(name, np.array(got, np.float32), np.array([0.0, 1.0], np.float32))
    return tally.report()


def receipt(report: OutputReport) -> GateReceipt:
    return GateReceipt(
        "A",
        "this against that",
        "flow",
        "0" * 64,
        report.passed,
        {"absolute": 0.01},
        {"out": report},
        ("one",),
        {},
    )


def test_the_worst_sample_is_the_one_nearest_to_its_allowance_not_the_largest_difference() -> None:
    report = tallied(large=[0.0, 1.05], near=[0.009, 1.0])
    assert report.worst_sample == "near"
    assert report.max_abs == pytest.approx(0.05, abs=1e-6)
    assert report.mean_abs == pytest.approx((0.05 + 0.009) / 4, abs=1e-6)
    assert report.passed


@given(at=st.integers(0, 4), value=st.sampled_from([np.nan, np.inf, -np.inf, 5.0]))
def test_one_bad_value_in_any_sample_fails_and_is_named(at: int, value: float) -> None:
    samples = {f"sample {i}": [0.0, 1.0] for i in range(5)}
    samples[f"sample {at}"] = [0.0, value]
    report = tallied(**samples)
    assert not report.passed
    assert report.worst_sample == f"sample {at}"
    with pytest.raises(StillflowError, match=f"out is wrong on the sample 'sample {at}'"):
        require_passed(receipt(report))
    json.dumps(receipt(report).as_json(), allow_nan=False)  # a receipt of any failure can be written


def test_what_passes_is_let_through() -> None:
    require_passed(receipt(tallied(fine=[0.0, 1.0])))
