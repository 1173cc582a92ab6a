# SPDX-License-Identifier: Apache-2.0
"""What every counter of the guard hands back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Counts = Mapping[str, int]
"""What was counted -> how often a frame."""


@dataclass(frozen=True)
class Counted:
    """What one counter found.

    Attributes:
        by: the counter, one word: "native", "python" or "cuda".
        environment: what the counts depend on beside the source: they are compared with those of the same
            environment only.
        counts: of the first run.
        differing: those that a second run did not repeat, with its count.
        left_out: what could not be counted here -> why.
    """

    by: str
    environment: str
    counts: Counts
    differing: Counts = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


def twice(counter: Callable[[], Counts]) -> tuple[Counts, Counts]:
    """Count, count again, and return the first counts and those of the second run that differ."""
    first, second = counter(), counter()
    return first, differing(first, second)


def differing(first: Counts, second: Counts) -> Counts:
    """Return what a second run did not repeat, with its count; -1 where it did not count it at all."""
    return {
        name: second.get(name, -1)
        for name in dict.fromkeys([*first, *second])
        if first.get(name) != second.get(name)
    }
