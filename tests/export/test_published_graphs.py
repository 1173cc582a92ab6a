# SPDX-License-Identifier: Apache-2.0
"""Names and shapes are a contract with the runtime: stillflow.bundle.interfaces refuses others."""

from __future__ import annotations

import torch
from torch import nn

from stillflow.bundle.interfaces import CONTEXT_SHAPE, INTERFACES, SCENE_FLOW_INPUTS
from stillflow_export.plan import GraphPlan
from stillflow_export.published_graphs import (
    generator_parts,
    generator_plans,
    hinted_flow_plan,
    text_flow_plan,
)


def channels(plan: GraphPlan) -> tuple[dict[str, int], dict[str, int]]:
    for tensor in (*plan.inputs, *plan.outputs):
        assert tensor.dtype == "float32"
        assert tensor.meaning
        if tensor.name != "context":
            assert tensor.shape == (1, len(tensor.channels), "height", "width")
    return (
        {tensor.name: len(tensor.channels) for tensor in plan.inputs if tensor.name != "context"},
        {tensor.name: len(tensor.channels) for tensor in plan.outputs},
    )


def test_graphs_of_a_generator_are_what_the_runtime_plays() -> None:
    with torch.device("meta"):
        parts = generator_parts(32, layered=True)
    plans = generator_plans(parts, 32)
    assert [plan.name for plan in plans] == list(INTERFACES)
    counts = {"C": 64, "C+1": 65}
    for plan in plans:
        wanted = [{name: counts.get(str(n), n) for name, n in side.items()} for side in INTERFACES[plan.name]]
        assert list(channels(plan)) == wanted
        assert plan.multiple == 4
        assert plan.halo == (16 if plan.name.endswith("encoder") else 48)
        assert plan.long_side is None


def test_without_layers_there_are_two() -> None:
    plans = generator_plans(generator_parts(1, layered=False), 1)
    assert [plan.name for plan in plans] == ["encoder", "decoder"]


def test_graphs_of_flow_networks_are_what_the_runtime_asks() -> None:
    hinted = hinted_flow_plan(nn.Identity(), scale=None, hint_scale=1.0)
    assert channels(hinted) == (SCENE_FLOW_INPUTS[0], {"velocity": 2})
    assert (hinted.multiple, hinted.halo, hinted.long_side) == (256, None, 768)
    text = text_flow_plan(nn.Identity(), scale=64.0)
    assert channels(text) == (SCENE_FLOW_INPUTS[1], {"velocity": 2})
    assert text.inputs[2].shape == CONTEXT_SHAPE
    assert (text.multiple, text.halo, text.long_side) == (64, None, 512)
    assert text.outputs[0].range == (-64.0, 64.0)


def test_hints_in_another_unit_say_so() -> None:
    plan = hinted_flow_plan(nn.Identity(), scale=64.0, hint_scale=1 / 64)
    assert plan.inputs[2].range == (-1.0, 1.0)
    assert "times 0.015625" in plan.inputs[2].meaning
