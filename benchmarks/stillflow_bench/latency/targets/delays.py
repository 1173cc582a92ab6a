# SPDX-License-Identifier: Apache-2.0
"""Delays whose distribution is known: what a fake engine takes, and what its percentiles truly are."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterator
from itertools import islice
from typing import Literal, get_args

Distribution = Literal["constant", "bimodal", "heavy-tail", "drift", "stall"]
"""constant: always d. bimodal: d, and 3 d in one of five. heavy-tail: Pareto with exponent 3 from d on, in which p99 is
4.6 d. drift: rises evenly from d to 2 d over a cycle. stall: d, and in the middle of a cycle one in fifty, in a row,
takes 15 d."""

DISTRIBUTIONS: tuple[Distribution, ...] = get_args(Distribution)

SLOW_SHARE, SLOW = 0.2, 3.0
PARETO = 3.0
STALL_SHARE, STALL = 0.02, 15.0


class Delays:
    """Delays in cycles; each holds every quantile of the distribution once.

    Drawn freely, 500 delays would miss their own p99 by 10 % or so, and a test could not ask for 2 %. So a cycle of n
    takes the quantiles 1/n, 2/n ... of the distribution, in an order drawn from the seed (``drift`` and ``stall``: in
    theirs). Any percentile p for which n p / 100 is whole is then met exactly by nearest rank.

    Args:
        distribution: its shape.
        milliseconds: d of ``Distribution``.
        cycle: n, >= 1.
        seed: of the order.
    """

    def __init__(self, distribution: Distribution, milliseconds: float, cycle: int, seed: int = 0) -> None:
        self._distribution = distribution
        self._base = milliseconds * 1e6
        self._cycle = cycle
        self._seed = seed

    def quantile(self, share: float) -> float:
        """Nanoseconds that so large a share of all delays does not exceed.

        Args:
            share: 0 < share < 1.
        """
        if self._distribution == "bimodal":
            return self._base * (SLOW if share > 1 - SLOW_SHARE else 1.0)
        if self._distribution == "heavy-tail":
            return self._base * math.pow(1 - share, -1 / PARETO)
        if self._distribution == "drift":
            return self._base * (1 + share)
        if self._distribution == "stall":
            return self._base * (STALL if share > 1 - STALL_SHARE else 1.0)
        return self._base

    def percentile(self, rank: float) -> float:
        """Nanoseconds; the true one.

        Args:
            rank: 0 < rank < 100.
        """
        return self.quantile(rank / 100)

    @property
    def mean(self) -> float:
        """Nanoseconds, of a whole cycle."""
        return statistics.fmean(self._quantiles())

    def first(self, count: int) -> list[int]:
        """The first delays, nanoseconds."""
        return list(islice(self.endless(), count))

    def endless(self) -> Iterator[int]:
        """Yield nanoseconds, cycle after cycle, from the first one on."""
        dice = random.Random(self._seed)
        turn = [round(delay) for delay in self._quantiles()]
        if self._distribution == "stall":
            quick = [delay for delay in turn if delay == turn[0]]
            turn[len(quick) // 2 :] = turn[len(quick) :] + quick[len(quick) // 2 :]
        while True:
            if self._distribution in ("bimodal", "heavy-tail"):
                dice.shuffle(turn)
            yield from turn

    def _quantiles(self) -> list[float]:
        # The last would be infinite where there is a tail: half a step before it.
        shares = [*(k / self._cycle for k in range(1, self._cycle)), 1 - 0.5 / self._cycle]
        return [self.quantile(share) for share in shares]
