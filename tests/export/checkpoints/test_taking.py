# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from stillflow_export.checkpoints.taking import Taking

from ..published_checkpoints import Draw


def taking(tensors: dict[str, torch.Tensor]) -> Taking:
    return Taking(tensors, lambda tensor: tensor)  # type: ignore[arg-type, return-value]


def layers() -> dict[str, torch.Tensor]:
    draw = Draw(5)
    draw.spectral("conv", 4, 3, 3, 3)
    draw.noise_norm("norm", 4, "bn")
    draw.plain("plain", 4, 2)
    return draw.tensors


def test_books_are_kept() -> None:
    found = taking({**layers(), "more": torch.zeros(1)})
    assert found.spectral("conv", 4, 3, 3, 3)["weight"].shape == (4, 3, 3, 3)
    scale, shift = found.noise_norm("norm", 4, "bn")
    assert scale.shape == shift.shape == (4,)
    assert set(found.plain("plain", 4, 2)) == {"weight", "bias"}
    assert found.problems == []
    assert found.taken == set(layers())
    assert found.left() == ["more"]


def test_every_problem_is_named() -> None:
    tensors = layers()
    del tensors["conv.weight_u"]
    tensors["conv.bias"] = torch.zeros(5)
    tensors["plain.weight"][0, 0] = float("nan")
    tensors["norm.bn.stored_mean"][1] = float("inf")
    tensors["norm.bn.stored_var"][2] = 0.0
    found = taking(tensors)
    found.spectral("conv", 4, 3, 3, 3)
    found.noise_norm("norm", 4, "bn")
    found.plain("plain", 4, 2)
    assert found.problems == [
        "conv.weight_u is missing",
        "conv.bias is 5, 4 was expected",
        "norm.bn.stored_mean holds NaN or infinite values",
        "norm.bn.stored_var is not positive: the network was never calibrated",
        "plain.weight holds NaN or infinite values",
    ]


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool])
def test_weights_are_no_whole_numbers(dtype: torch.dtype) -> None:
    tensors = {
        "plain.weight": torch.ones(4, 2, dtype=dtype),
        "plain.bias": torch.ones(4, dtype=torch.bfloat16),
    }
    found = taking(tensors)
    found.plain("plain", 4, 2)
    assert found.problems == [f"plain.weight holds whole numbers ({str(dtype)[6:]})"]


def test_names_and_shapes_are_compared_without_memory() -> None:
    tensors = layers()
    del tensors["conv.weight_u"]
    tensors["norm.bn.stored_var"].zero_()
    found = Taking(tensors, None)
    assert found.spectral("conv", 4, 3, 3, 3)["weight"].is_meta
    assert found.noise_norm("norm", 4, "bn")[0].is_meta
    assert found.take("huge", 1 << 20, 1 << 20).is_meta
    assert found.problems == ["conv.weight_u is missing", "huge is missing"]


def test_a_spectral_norm_of_nothing_is_a_problem() -> None:
    tensors = layers()
    tensors["conv.weight_v"].zero_()
    found = taking(tensors)
    found.spectral("conv", 4, 3, 3, 3)
    assert found.problems == ["conv.weight_orig, weight_u and weight_v have the spectral norm 0"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_other_numbers_come_as_float32(dtype: torch.dtype) -> None:
    got = taking({"a": torch.ones(3, dtype=dtype)}).take("a", 3)
    assert got.dtype == torch.float32
