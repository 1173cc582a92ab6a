# SPDX-License-Identifier: Apache-2.0
"""How fast the device copies: on itself, from pinned memory of the host, and to it. The bound of all that follows."""

from __future__ import annotations

from collections.abc import Callable

from stillflow.gpu.layer import CudaDevice
from stillflow_bench.gpu.plan import Plan
from stillflow_bench.gpu.samples import Samples, device_times
from stillflow_bench.report import Row

PART = "copy"

LARGEST = 1 << 30
"""Bytes of each buffer: several times any second-level cache."""

SHARE = 8
"""At most this part of the free memory goes into one buffer."""


def copy_bandwidth(device: CudaDevice, plan: Plan) -> Samples:
    """GB/s of copies on the device, the bytes read and the bytes written both counted."""
    size = _size(device, plan)
    source, target, stream = device.allocate(size), device.allocate(size), device.stream()
    try:
        device.clear(source.address, size, stream)

        def copy(_: int) -> None:
            device.copy(source.address, target.address, size, stream)

        taken = device_times(device, stream, copy, plan.repeats, plan.warm_up, batch=4)
        return taken.scaled(lambda ms: 2 * size / ms / 1e6, "GB/s")
    finally:
        stream.synchronize()
        for held in (source, target, stream):
            held.close()


def measure(device: CudaDevice, plan: Plan) -> list[Row]:
    """Measure copies.

    Returns:
        Rows of the part "copy".
    """
    size = _size(device, plan)
    about = {**plan.about(device), "bytes": size}
    rows = [copy_bandwidth(device, plan).row(PART, "copy on the device, read and written", about)]
    host = min(size, 1 << 28)
    memory, pinned, stream = device.allocate(host), device.pin(host), device.stream()
    pinned.array[:] = 0
    ways: tuple[tuple[str, Callable[[int], None]], ...] = (
        (
            "copy to the device from pinned memory",
            lambda _: device.upload(pinned.array, memory.address, stream),
        ),
        (
            "copy from the device to pinned memory",
            lambda _: device.download(memory.address, pinned.array, stream),
        ),
    )
    try:
        for name, work in ways:
            taken = device_times(device, stream, work, plan.repeats, plan.warm_up)
            about = {**plan.about(device), "bytes": host}
            rows.append(taken.scaled(lambda ms: host / ms / 1e6, "GB/s").row(PART, name, about))
    finally:
        stream.synchronize()
        for held in (memory, pinned, stream):
            held.close()
    return rows


def _size(device: CudaDevice, plan: Plan) -> int:
    free, _ = device.memory()
    return max(1 << 16, min(1 << 18 if plan.tiny else LARGEST, free // SHARE))
