# SPDX-License-Identifier: Apache-2.0
"""What the judge looks at: each check is a function of the evidence and the limits, and knows of no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from stillflow_bench.latency.checks import (
    amounts,
    identity,
    nesting,
    queues,
    steadiness,
    surroundings,
    variety,
    wholeness,
)
from stillflow_bench.latency.checks.check import Check
from stillflow_bench.latency.checks.evidence import Evidence
from stillflow_bench.latency.limits import Limits

CHECKS: tuple[Callable[[Evidence, Limits], Iterable[Check]], ...] = (
    wholeness.check_plan_kept,
    wholeness.check_unedited,
    wholeness.check_samples_complete,
    wholeness.check_no_errors,
    amounts.check_min_samples,
    nesting.check_clock_order,
    steadiness.check_warm_up_flagged,
    steadiness.check_warm_up_enough,
    steadiness.check_windows_stable,
    steadiness.check_no_stall,
    variety.check_inputs_different,
    variety.check_outputs_vary,
    variety.check_outputs_repeat,
    variety.check_no_caching,
    variety.check_moving_share,
    identity.check_provider,
    identity.check_precision,
    identity.check_receipt,
    identity.check_source_tree,
    queues.check_schedule_kept,
    queues.check_arrival_rate,
    queues.check_queue_stable,
    queues.check_lanes_used,
    surroundings.check_telemetry_there,
    surroundings.check_quiet_machine,
    surroundings.check_no_throttle,
    surroundings.check_gpu_exclusive,
)
"""All of them, in the order in which a verdict tells them."""
