# SPDX-License-Identifier: Apache-2.0
"""Both networks once a 720p photo, on every engine and precision: time on the device, and of calls from the host."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack

import numpy as np

from stillflow.build.builder import Orders
from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.gpu.arrays import DeviceArray
from stillflow.gpu.layer import CudaDevice, Stream
from stillflow.sessions import DeviceSession, Session
from stillflow_bench.gpu.engines import ON_GPUS, engines_here
from stillflow_bench.gpu.plan import Plan
from stillflow_bench.gpu.samples import device_times, host_times, missing
from stillflow_bench.latency.inputs import Inputs, network_inputs, shapes_of
from stillflow_bench.photos import of_size, sample_photos
from stillflow_bench.report import Row

PART = "networks"

LIMIT = 4.0
"""Milliseconds of both networks for a 720p photo, with fp16 engines."""

PRECISIONS = ("fp32", "fp16")


def measure(device: CudaDevice, plan: Plan) -> list[Row]:
    """Time the networks of the bundle on whatever runs them here.

    Returns:
        Rows of the part "networks".
    """
    bundle = Bundle.open(plan.bundle)
    inputs = plan_inputs(bundle, plan)
    _, absent = engines_here(plan.device)
    rows: list[Row] = []
    for engine in ON_GPUS:
        for precision in PRECISIONS:
            limit = LIMIT if precision == "fp16" else None
            what = f"flow and generator, {engine} {precision}"
            if engine in absent:
                rows.append(missing(PART, what, absent[engine], "ms", limit=limit))
                continue
            try:
                rows += _timed(device, plan, bundle, engine, precision, inputs, limit)
            except StillflowError as error:
                rows.append(missing(PART, what, f"{error.what}: {error.why}", "ms", limit=limit))
    return rows


def plan_inputs(bundle: Bundle, plan: Plan) -> dict[str, Inputs]:
    """What flow and generator are given for a photo of 1280x720, by graph; see ``latency.inputs``."""
    photo = of_size(next(iter(sample_photos()), None), *plan.size("720p"))
    return network_inputs(bundle, photo)


def _timed(
    device: CudaDevice,
    plan: Plan,
    bundle: Bundle,
    engine: str,
    precision: str,
    inputs: Mapping[str, Inputs],
    limit: float | None,
) -> list[Row]:
    where = f"cuda:{plan.device}"
    with ExitStack() as owned:
        sessions: dict[str, Session] = {}
        for graph in inputs:
            sessions[graph] = bundle.session(
                graph, engine, precision=precision, device=where, cuda=device, build=building()
            )
            owned.callback(sessions[graph].close)
        return session_rows(device, plan, sessions, inputs, f"{engine} {precision}", limit)


def building() -> Orders:
    """How an engine is built that the cache does not have: told of on stderr."""

    def say(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    return Orders(say=say)


def session_rows(
    device: CudaDevice,
    plan: Plan,
    sessions: Mapping[str, Session],
    inputs: Mapping[str, Inputs],
    name: str,
    limit: float | None,
) -> list[Row]:
    """Time loaded networks, together and each.

    Args:
        device: that they run on.
        plan: how often.
        sessions: by graph.
        inputs: by graph.
        name: of what runs them.
        limit: milliseconds of all together.
    """
    about = {
        **plan.about(device),
        "size": plan.shown("720p"),
        "engine": [session.provider for session in sessions.values()],
        "fallback": [session.fallback for session in sessions.values() if session.fallback],
        "inputs": shapes_of(inputs),
    }
    together = " and ".join(sessions)

    def calls() -> None:
        for graph, session in sessions.items():
            session.run(inputs[graph])

    rows = [
        host_times(calls, plan.repeats, plan.warm_up).row(
            PART, f"{together}, {name}, calls from the host", about, limit=limit
        )
    ]
    on_device = {graph: session for graph, session in sessions.items() if isinstance(session, DeviceSession)}
    if len(on_device) < len(sessions):
        why = "this engine takes no arrays in device memory"
        return [*rows, missing(PART, f"{together}, {name}, on the device", why, "ms", limit=limit)]
    with ExitStack() as owned:
        stream = device.stream()
        owned.callback(stream.close)
        given = {graph: _uploaded(device, arrays, stream, owned) for graph, arrays in inputs.items()}
        stream.synchronize()

        def enqueue(graphs: tuple[str, ...]) -> Callable[[int], None]:
            def work(_: int) -> None:
                for graph in graphs:
                    on_device[graph].run_on(given[graph], stream)

            return work

        for graphs in (tuple(on_device), *((graph,) for graph in on_device)):
            taken = device_times(device, stream, enqueue(graphs), plan.repeats, plan.warm_up)
            label = f"{' and '.join(graphs)}, {name}, on the device"
            rows.append(taken.row(PART, label, about, limit=limit if len(graphs) == len(on_device) else None))
        stream.synchronize()
        for session in on_device.values():
            session.release(stream)
    return rows


def _uploaded(device: CudaDevice, arrays: Inputs, stream: Stream, owned: ExitStack) -> dict[str, DeviceArray]:
    found = {}
    for name, array in arrays.items():
        dense = np.ascontiguousarray(array)
        memory = device.allocate(dense.nbytes)
        owned.callback(memory.close)
        device.upload(dense, memory.address, stream)
        found[name] = DeviceArray(memory.address, dense.shape, dense.dtype, device.index, owner=memory)
    return found
