# SPDX-License-Identifier: Apache-2.0
"""What enqueuing one frame costs the host: a lane's graph against launches one by one. The device is idle meanwhile."""

from __future__ import annotations

import time

from stillflow.gpu.lane import Lane, Output
from stillflow.gpu.layer import CudaDevice
from stillflow_bench.gpu.frames import SHARES, Stand
from stillflow_bench.gpu.plan import Plan
from stillflow_bench.gpu.samples import Samples, missing
from stillflow_bench.report import Row

PART = "overhead"

LIMIT = 60.0
"""Microseconds a frame with graphs."""

TIMES_MORE = 10
"""Calls for each of the plan's samples: one takes microseconds."""


def measure(device: CudaDevice, plan: Plan) -> list[Row]:
    """Time a lane's ``draw`` at 1080p.

    Returns:
        Rows of the part "overhead".
    """
    stand = Stand(device, plan, "1080p", SHARES[0])
    about = {**plan.about(device), "size": plan.shown("1080p")}
    rows = []
    try:
        for output in ("rgb", "nv12"):
            for graphs in (True, False):
                how = "as a graph" if graphs else "launch by launch"
                name = f"host's time to enqueue a frame, {output.upper()}, {how}"
                found = _drawn(device, stand, plan, output, graphs)
                if isinstance(found, str):
                    rows.append(missing(PART, name, found, "µs", limit=LIMIT))
                else:
                    rows.append(found.row(PART, name, about, limit=LIMIT if graphs else None))
    finally:
        stand.close()
    return rows


def _drawn(device: CudaDevice, stand: Stand, plan: Plan, output: Output, graphs: bool) -> Samples | str:
    """Microseconds of calls of ``draw``; or why there is no graph to draw with."""
    scene = stand.scene
    sizes: dict[Output, int] = {"rgb": scene.rgb_bytes, "nv12": scene.nv12_bytes}
    frames = stand.arrays.frames
    check = (0.25 * frames, 0.6 * frames)
    untrusted: set[Output] = set() if graphs else {"rgb", "nv12"}
    lane = Lane(device, scene, sizes, check=check, moves=True, untrusted=untrusted)
    try:
        for t in (0.0, 1.0):  # the second call records
            lane.draw(t, output)
            lane.wait()
        if graphs and output not in lane.graphs:
            return "no graph plays it: this provider has none, or it was dropped with a warning"
        taken = []
        for index in range((plan.warm_up + plan.repeats) * TIMES_MORE):
            started = time.perf_counter()
            lane.draw(float(index % frames), output)
            taken.append(1e6 * (time.perf_counter() - started))
            lane.wait()
    finally:
        lane.close()
    first = plan.warm_up * TIMES_MORE
    return Samples(tuple(taken[first:]), tuple(taken[:first]), "µs")
