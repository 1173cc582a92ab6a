# SPDX-License-Identifier: Apache-2.0
"""From where to where a time runs. A figure without a boundary means nothing, so none is kept without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Boundary = Literal["B0.device", "B1.transfer", "B2.call", "B3.frame", "B3.next", "B4.job", "B5.cold"]

NESTED: tuple[Boundary, ...] = ("B0.device", "B1.transfer", "B2.call", "B3.frame")
"""Each lies inside the next one, so none may be longer than what it lies in."""


@dataclass(frozen=True)
class Meaning:
    """What a boundary means.

    Attributes:
        begins: the moment at which the clock starts.
        ends: and stops.
        clock: which one.
        unit_of_work: what one query is.
    """

    begins: str
    ends: str
    clock: str
    unit_of_work: str


MONOTONIC = "the host's monotonic clock"

BOUNDARIES: Mapping[Boundary, Meaning] = {
    "B0.device": Meaning(
        "the engine begins to compute",
        "it has computed",
        "on a GPU events in its stream; on the CPU the host's monotonic clock around the library's own call",
        "both networks for one photo",
    ),
    "B1.transfer": Meaning(
        "the first input leaves the host's memory",
        "the last output has arrived there",
        "events in the stream; there is no such boundary on the CPU",
        "both networks for one photo",
    ),
    "B2.call": Meaning(
        "session.run is entered",
        "its outputs can be read on the host",
        MONOTONIC,
        "both networks for one photo",
    ),
    "B3.frame": Meaning(
        "a photo lies in memory", "the first frame of its loop does", MONOTONIC, "one photo, one frame"
    ),
    "B3.next": Meaning(
        "the time t of a frame is given",
        "the frame lies in memory",
        MONOTONIC,
        "one frame of a prepared loop",
    ),
    "B4.job": Meaning(
        "the name of a photo file is given",
        "the finished file is closed and on the disk (fsync)",
        MONOTONIC,
        "one photo, one file",
    ),
    "B5.cold": Meaning(
        "a new process is asked for", "its first frame lies in memory", MONOTONIC, "one process"
    ),
}
"""Boundary -> its meaning."""


def is_shorter(inner: str, outer: str) -> bool:
    """Whether ``inner`` lies inside ``outer``, so that it may not take longer."""
    return inner in NESTED and outer in NESTED and NESTED.index(inner) < NESTED.index(outer)
