# SPDX-License-Identifier: Apache-2.0
"""Words that users write for a device, an engine and a precision."""

from __future__ import annotations

import pytest

from stillflow.errors import StillflowError
from stillflow.sessions.wish import Wish


def test_words() -> None:
    assert Wish.of() == Wish()
    assert Wish.of("cuda:1", "rtx", "fp16", True) == Wish("cuda:1", "tensorrt_rtx", "fp16", True)
    assert Wish.of(engine="tensorrt_rtx").engine == "tensorrt_rtx"
    assert Wish.of(precision=None).precision == Wish.of(precision="auto").precision == "auto"


@pytest.mark.parametrize(
    ("device", "index"), [("auto", None), ("cpu", None), ("cuda", 0), ("cuda:0", 0), ("cuda:12", 12)]
)
def test_devices(device: str, index: int | None) -> None:
    assert Wish.of(device).index == index


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"device": "gpu"}, "no such device"),
        ({"device": "cuda:"}, "no such device"),
        ({"device": "cuda:-1"}, "no such device"),
        ({"device": "cuda:1\n"}, "no such device"),
        ({"device": "cuda:9999"}, "no such device"),
        ({"device": ""}, "no such device"),
        ({"engine": "steam"}, "auto, tensorrt, rtx, onnxruntime, openvino"),
        ({"precision": "fp8"}, "auto, fp32, fp16, int8"),
        ({"device": "cpu", "engine": "rtx"}, "NVIDIA GPUs only"),
    ],
)
def test_words_that_mean_nothing(words: dict[str, str], says: str) -> None:
    with pytest.raises(StillflowError, match=says):
        Wish.of(**words)  # type: ignore[arg-type]


def test_who_must_not_land_on_the_cpu() -> None:
    assert Wish.of("cuda").strict and Wish.of(engine="rtx").strict
    assert not Wish.of().strict and not Wish.of(engine="onnxruntime").strict
    assert not Wish.of("cuda", allow_fallback=True).strict
