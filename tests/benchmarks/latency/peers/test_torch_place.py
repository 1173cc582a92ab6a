# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from stillflow.errors import StillflowError
from stillflow_bench.latency.peers.torch_place import torch_place
from stillflow_bench.latency.subject import Subject


def test_float32_on_the_cpu_where_nothing_is_said() -> None:
    place = torch_place(Subject(), "a test")
    assert (place.device, place.dtype, place.precision) == ("cpu", torch.float32, "fp32")


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_precision_that_cpus_do_not_compute_in(precision: str) -> None:
    with pytest.raises(StillflowError, match=f"in {precision}"):
        torch_place(Subject(precision=precision), "a test")


def test_a_gpu_is_never_replaced_by_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"card {index}")
    with pytest.raises(StillflowError, match="sees 1 CUDA devices"):
        torch_place(Subject(device="cuda:1"), "a test")
    found = torch_place(Subject(device="auto", precision="fp16"), "a test")
    assert (found.device, found.name, found.dtype) == ("cuda:0", "card 0", torch.float16)
