# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from stillflow_bench.latency.checks.check import Check, Severity


@pytest.mark.parametrize(
    ("ok", "severity", "condemns", "warns"),
    [
        (True, "invalid", False, False),
        (False, "invalid", True, False),
        (None, "invalid", False, True),
        (False, "warning", False, True),
        (None, "warning", False, True),
        (True, "warning", False, False),
        (False, "note", False, False),
        (None, "note", False, False),
    ],
)
def test_what_cannot_be_told_is_a_warning_and_never_silently_fine(
    ok: bool | None, severity: Severity, condemns: bool, warns: bool
) -> None:
    check = Check(id="x", ok=ok, why="", severity=severity)
    assert (check.condemns, check.warns) == (condemns, warns)
