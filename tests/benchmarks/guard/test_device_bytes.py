# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from stillflow_bench.guard import device_bytes
from stillflow_bench.guard.baseline import compared, failures, read_baseline
from stillflow_bench.guard.suite import BASELINE


def test_this_tree_moves_what_was_accepted() -> None:
    counted = device_bytes.count()
    assert counted.differing == {}
    accepted = read_baseline(BASELINE)
    assert counted.environment in accepted
    assert [line.sentence for line in failures(compared([counted], accepted))] == []


def test_what_is_still_is_copied_and_what_moves_is_computed() -> None:
    counts = device_bytes.count().counts
    width, height = device_bytes.SIZE
    copied = 2 * width * height * 9 // 2  # RGB and NV12, read and written
    assert (
        counts["frame, 0 % moves: bytes of copies"] == counts["frame, 30 % moves: bytes of copies"] == copied
    )
    assert counts["frame, 0 % moves: bytes of pixels"] == counts["frame, 0 % moves: bytes of fields"] == 0
    assert counts["frame, 100 % moves: bytes of copies"] == 0
    whole, part = (counts[f"frame, {share} % moves: bytes of pixels"] for share in (100, 30))
    assert 0.28 < part / whole < 0.36
