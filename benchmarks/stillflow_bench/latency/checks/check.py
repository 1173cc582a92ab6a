# SPDX-License-Identifier: Apache-2.0
"""One thing that was looked at, and what was found."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["invalid", "warning", "note"]
"""What it means where it does not hold: the figures may not be believed; a reader should know; somebody may ask."""

Value = int | float | str | None


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked, and the answer.

    Attributes:
        id: what was looked at; "min-samples:p99" where there are several of a kind.
        ok: whether it holds; None: the files do not tell.
        why: one sentence, whichever it is.
        block: name of the block; "" for the whole run.
        severity: see ``Severity``.
        need: what there should be.
        have: what there is.
        limit: the threshold that was used.
    """

    id: str
    ok: bool | None
    why: str
    block: str = ""
    severity: Severity = "invalid"
    need: Value = None
    have: Value = None
    limit: Value = None

    @property
    def condemns(self) -> bool:
        """Whether it makes its block, or the run, INVALID."""
        return self.ok is False and self.severity == "invalid"

    @property
    def warns(self) -> bool:
        """Whether a reader should know: something is amiss, or nobody could tell."""
        return not self.condemns and self.ok is not True and self.severity != "note"
