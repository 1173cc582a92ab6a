# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from stillflow.gpu.layer import CudaDevice
from stillflow_bench.gpu.samples import Samples, device_times, host_times, missing


def test_warm_up_is_kept_and_counts_for_nothing() -> None:
    row = Samples((2.0, 4.0, 6.0), (100.0,), "ms").row("frames", "one", {"size": "4K"}, limit=5.0)
    assert (row.samples, row.value, row.holds) == ((2.0, 4.0, 6.0), 4.0, True)
    assert row.parameters == {"size": "4K", "warm_up": [100.0]}


def test_a_percentile_that_few_samples_cannot_tell_is_left_out() -> None:
    def told(count: int) -> dict[str, object]:
        row = Samples(tuple(map(float, range(1, count + 1))), (), "ms").row("p", "n", {})
        return {name: value for name, value in row.parameters.items() if name != "warm_up"}

    assert told(6) == {}
    assert told(43) == {"p50": 22.0}
    assert told(458) == {"p50": 229.0, "p90": 413.0}
    assert told(459) == {"p50": 230.0, "p90": 414.0, "p99": 455.0}


def test_scaling_changes_every_sample() -> None:
    scaled = Samples((2.0, 4.0), (8.0,), "ms").scaled(lambda ms: 1000 / ms, "frames/s")
    assert scaled == Samples((500.0, 250.0), (125.0,), "frames/s")


def test_host_times_are_milliseconds_of_every_call() -> None:
    calls: list[int] = []
    taken = host_times(lambda: calls.append(1), 3, 2)
    assert len(calls) == 5
    assert (len(taken.values), len(taken.warm_up)) == (3, 2)
    assert min(taken.values) >= 0


@pytest.mark.device
def test_device_times_are_means_of_batches(cuda_device: CudaDevice) -> None:
    memory, stream = cuda_device.allocate(64), cuda_device.stream()
    pieces: list[int] = []

    def work(index: int) -> None:
        pieces.append(index)
        cuda_device.clear(memory.address, 64, stream)

    taken = device_times(cuda_device, stream, work, 3, 1, batch=4)
    assert pieces == list(range(16))
    assert (len(taken.values), len(taken.warm_up)) == (3, 1)
    assert min(taken.values) >= 0
    memory.close()
    stream.close()


def test_what_was_not_measured_says_why() -> None:
    row = missing("copy", "a copy", "  no\n driver ", limit=4.0)
    assert (row.missing, row.limit, row.holds) == ("no driver", 4.0, None)
    assert missing("copy", "a copy", "").missing == "no reason was given"
