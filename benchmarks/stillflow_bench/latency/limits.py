# SPDX-License-Identifier: Apache-2.0
"""Where the judge draws its lines. They are his, not the run's: another line needs no new measurement."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from stillflow.errors import StillflowError


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every threshold, each with why it is what it is. Shares are in percent.

    Attributes:
        clock_us: microseconds by which an inner time may exceed the one it lies in. The clock is one and the same and
            ticks in nanoseconds; half of this is what CUDA's events resolve.
        clock_order: % by which the median of an inner boundary may exceed that of an outer one where both come from
            queries of their own: what two medians of the same thing differ by on a quiet machine.
        photos: different inputs of as many different photos. 32 put photos of every kind among them, and one odd
            photo is 3 % of the figure.
        uneven: queries by which the most frequent input may lead the rarest one. Passes through all inputs end at
            most one apart; the first and the last pass of a measurement may both be cut.
        windows: equal parts that the measured queries are cut into. Five show a trend, and nine queries each is what
            44 leave for them.
        windows_stable: % between the slowest and the fastest of them. perf_analyzer's own limit.
        warm_up_enough: % by which the first of them may be slower than the others: the same line.
        stall: the longest query as a multiple of the median. A heavy tail of a busy system reaches five; ten says that
            something stood still.
        stall_ms: and so many milliseconds above it. Schedulers take a processor away for up to ten; queries of less
            than a millisecond would all stall otherwise.
        same_outputs: % of inputs whose output may be another's. Photos in which nothing moves, frames of a loop
            that stands still; a cache that confuses its inputs confuses more.
        caching: % by which an input that is known already may be faster than it plausibly is. Warm processor caches
            give a few per cent, a cache of results nearly 100.
        late_ms: milliseconds by which the 95th percentile of arrivals may be issued late though a lane was idle.
            A sleeping thread wakes within 0.1 on a quiet machine.
        queue_growth: median services by which the wait of arrivals may grow over a round. Below the knee it comes and
            goes; above it grows for as long as one measures.
        arrival_rate: % by which the arrivals may be off their rate, beside what chance makes of their number.
        moving: percentage points by which the share that moves may be off. Fields are a quarter of the size.
        quiet: % of all processor time, of ten processors at most, that others may take meanwhile. A system's own chores
            take 1 to 2.
        steal: % of the processor time that was wanted that other guests of the host may take.
        throttled: % of the control group's periods (of 100 ms) in which it may be held back.
        clock_drop: % by which the clock may fall while a block is measured.
        looks: seconds between two looks at the machine, at most, for them to count. A run takes two a second.
        celsius: at which processors slow down; makers' limits are 95 to 105.
    """

    clock_us: float = 1.0
    clock_order: float = 5.0
    photos: int = 32
    uneven: int = 2
    windows: int = 5
    windows_stable: float = 10.0
    warm_up_enough: float = 10.0
    stall: float = 10.0
    stall_ms: float = 20.0
    same_outputs: float = 10.0
    caching: float = 30.0
    late_ms: float = 2.0
    queue_growth: float = 3.0
    arrival_rate: float = 10.0
    moving: float = 2.0
    quiet: float = 10.0
    steal: float = 2.0
    throttled: float = 1.0
    clock_drop: float = 10.0
    looks: float = 5.0
    celsius: float = 95.0

    def __post_init__(self) -> None:
        for name, value in msgspec.structs.asdict(self).items():
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} cannot be {value}")
        if not 2 <= self.windows <= 1000:
            raise ValueError(f"windows are 2 to 1000, not {self.windows}")


def parse_limits(text: str) -> Limits:
    """Read limits.

    Args:
        text: ``name=value`` pairs with commas between them, such as ``windows_stable=15,photos=8``.

    Raises:
        StillflowError: an unknown name, or a value that it cannot have.
    """
    whole: dict[str, Any] = msgspec.structs.asdict(Limits())
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, sign, value = (part.strip() for part in pair.partition("="))
        if not sign or name not in whole:
            raise _refused(text, f"there is no '{name}'" if sign else f"'{pair}' has no '='")
        whole[name] = value
    try:
        return msgspec.convert(whole, Limits, strict=False)
    except msgspec.ValidationError as error:
        raise _refused(text, str(error)) from error


def _refused(text: str, why: str) -> StillflowError:
    names = ", ".join(field.name for field in msgspec.structs.fields(Limits))
    return StillflowError(
        f"cannot read the limits '{text}'", why, f"write them like windows_stable=15; there are {names}"
    )
