# SPDX-License-Identifier: Apache-2.0
"""B0 <= B1 <= B2 <= B3: what lies inside cannot take longer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from stillflow_bench.latency.boundary import NESTED, is_shorter
from stillflow_bench.latency.checks.check import Check
from stillflow_bench.latency.checks.evidence import BlockEvidence, Evidence
from stillflow_bench.latency.limits import Limits
from stillflow_bench.latency.percentile import median_interval, percentile
from stillflow_bench.latency.sample import Sample
from stillflow_bench.latency.summaries import times


def check_clock_order(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """Within every query, and between the medians of blocks that measure the same subject from farther out."""
    for block in evidence.blocks:
        broken = [why for sample in block.samples if (why := out_of_order(sample, block, limits))]
        yield Check(
            id="clock-order",
            block=block.name,
            ok=not broken,
            why=f"{len(broken)} of {len(block.samples)} queries: {broken[0]}"
            if broken
            else "in every query the inner times are no longer than the outer ones",
            need=0,
            have=len(broken),
            limit=limits.clock_us,
        )
    alone = [block for block in evidence.blocks if _comparable(block)]
    for inner, outer in itertools.permutations(alone, 2):
        same = (inner.block.target.subject, inner.block.target.photos, inner.block.role) == (
            outer.block.target.subject,
            outer.block.target.photos,
            outer.block.role,
        )
        if same and is_shorter(inner.block.target.boundary, outer.block.target.boundary):
            yield _medians(inner, outer, limits)


def out_of_order(sample: Sample, block: BlockEvidence, limits: Limits) -> str:
    """What of a query lies in what is shorter; "" where nothing does."""
    room = limits.clock_us * 1000
    spans = sample.spans
    for name, span in spans.items():
        if span < 0:
            return f"{name} took {span} ns"
        if span > sample.service + room:
            return f"{name} took {span / 1e6:.4g} ms of a query of {sample.service / 1e6:.4g} ms"
    # "B2.call flow" is the boundary of one graph alone.
    for suffix in {name.partition(" ")[2] for name in spans if name.partition(" ")[0] in NESTED}:
        chain = [name for boundary in NESTED if (name := f"{boundary} {suffix}".strip()) in spans]
        for inner, outer in itertools.pairwise(chain):
            if spans[inner] > spans[outer] + room:
                return f"{inner} took {spans[inner] / 1e6:.4g} ms, {outer} around it {spans[outer] / 1e6:.4g}"
    return ""


def _comparable(block: BlockEvidence) -> bool:
    alone = block.load.scenario in ("single_stream", "sustained") and block.load.issue == "unique"
    return alone and block.block.target.boundary in NESTED and bool(block.taken)


def _medians(inner: BlockEvidence, outer: BlockEvidence, limits: Limits) -> Check:
    low = times(inner.block, inner.samples)[inner.block.target.boundary]
    high = times(outer.block, outer.samples)[outer.block.target.boundary]
    small, large = percentile(low, 50), percentile(high, 50)
    # Both medians are known to their intervals only; what those leave open is no break.
    surely_small = (median_interval(low) or (min(low),))[0]
    surely_large = (median_interval(high) or (max(high),))[-1]
    return Check(
        id="clock-order",
        block=inner.name,
        ok=surely_small <= surely_large * (1 + limits.clock_order / 100),
        why=f"its median {inner.block.target.boundary} of {small:.4g} ms lies in the {outer.block.target.boundary} "
        f"of {outer.name}, {large:.4g} ms",
        have=round(small, 6),
        need=round(large, 6),
        limit=limits.clock_order,
    )
