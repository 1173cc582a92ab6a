# SPDX-License-Identifier: Apache-2.0
"""The samples of a block summed up by boundary: what a run writes down, and what the judge must find again."""

from __future__ import annotations

from collections.abc import Iterable

from stillflow_bench.latency.boundary import BOUNDARIES
from stillflow_bench.latency.percentile import Summary, summarise
from stillflow_bench.latency.plan import Block
from stillflow_bench.latency.sample import Sample

SERVICE = "service"
"""What a query took from when it began; told where queries wait."""


def times(block: Block, samples: Iterable[Sample]) -> dict[str, list[float]]:
    """Milliseconds of the measured queries that were answered, by what lies between the two moments.

    The block's own boundary is the whole query, from when it should have begun, unless the target measured it itself
    (events on a GPU). Further boundaries and stages are the spans. ``service`` is there where queries wait.

    Args:
        block: whose samples they are.
        samples: of any phase.
    """
    found: dict[str, list[float]] = {}
    own = block.target.boundary
    for sample in samples:
        if sample.phase != "measured" or sample.error:
            continue
        if own not in sample.spans:
            found.setdefault(own, []).append(sample.latency / 1e6)
        if sample.scheduled is not None:
            found.setdefault(SERVICE, []).append(sample.service / 1e6)
        for name, span in sample.spans.items():
            found.setdefault(name, []).append(span / 1e6)
    return found


def summaries(block: Block, samples: Iterable[Sample]) -> dict[str, Summary]:
    """Sum them up: boundaries in their order, then service, then stages."""
    order = [*BOUNDARIES, SERVICE]
    found = times(block, samples)
    names = sorted(found, key=lambda name: order.index(name) if name in order else len(order))
    return {name: summarise(found[name]) for name in names}
