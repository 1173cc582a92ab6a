# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from stillflow_export.checkpoints.pickle_machine import Options
from stillflow_export.checkpoints.recognise import (
    EDGE_FLOW,
    EDGE_GENERATOR,
    GENERATOR,
    HINTED_FLOW,
    LAYERS,
    PREFIXES,
    TEXT_FLOW,
    NotRecognisedError,
    recognise,
)
from stillflow_export.networks.flow import build_flow_network
from stillflow_export.networks.generator import build_generator_network

from ..published_checkpoints import random_tensors


def prefixed(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": value for name, value in tensors.items()}


FAMILIES = {
    "generator": (4, {GENERATOR}),
    "layered": (4, {GENERATOR, LAYERS}),
    "hinted_flow": (4, {HINTED_FLOW}),
    "text_flow": (32, {TEXT_FLOW}),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("prefix", ["", *PREFIXES, "model.module.motion_regressor.motion_predictor."])
def test_families_are_told_by_their_tensors(family: str, prefix: str) -> None:
    width, parts = FAMILIES[family]
    tensors = random_tensors(family, width)
    found = recognise(prefixed(tensors, prefix))
    assert set(found.parts) == parts
    assert {name for part in found.parts.values() for name in part} == set(tensors)
    assert found.unknown == found.ignored == []
    assert found.container == "bare"


def test_containers_and_what_lies_beside() -> None:
    tensors = random_tensors("hinted_flow", 4)
    slr = recognise(
        {"state_dict": prefixed(tensors, "model.module."), "epoch": 3, "opts": Options(div_flow=1.0)}
    )
    assert (slr.container, slr.beside, slr.options) == ("state_dict", ["epoch"], {"div_flow": 1.0})
    other = recognise({"netG": tensors, "netD": {"a": torch.zeros(1)}, "optimG": {}})
    assert (other.container, other.beside, other.options) == ("netG", ["netD", "optimG"], None)


def test_both_networks_of_a_joint_file() -> None:
    tensors = {
        **prefixed(random_tensors("generator", 4), "model.module."),
        **prefixed(random_tensors("hinted_flow", 4), "model.module.motion_regressor.motion_predictor."),
    }
    assert set(recognise({"state_dict": tensors}).parts) == {GENERATOR, HINTED_FLOW}


def test_leftovers_are_sorted() -> None:
    tensors = random_tensors("generator", 4)
    ignored = (
        "netD.module.x.weight",
        "loss_function.vgg.weight",
        "min_z",
        "max_z",
        "discretized_zs",
        "a.xyzs.b",
        "Z_predictor.w",
    )
    more = {f"model.module.{name}": torch.zeros(1) for name in (*ignored, "surprise.weight")}
    found = recognise({"state_dict": {**tensors, **more}})
    assert found.ignored == list(ignored)
    assert found.unknown == ["surprise.weight"]


def test_the_newer_layout_of_spectral_norms() -> None:
    layer = nn.utils.parametrizations.spectral_norm(nn.Conv2d(6, 4, 4, 2, 1))
    found = recognise({f"conv1.{name}": value for name, value in layer.state_dict().items()})
    assert set(found.parts[HINTED_FLOW]) == {
        "conv1.weight_orig",
        "conv1.weight_u",
        "conv1.weight_v",
        "conv1.bias",
    }


def test_our_own_networks() -> None:
    assert set(recognise(build_flow_network().state_dict()).parts) == {EDGE_FLOW}
    assert set(recognise(build_generator_network().state_dict()).parts) == {EDGE_GENERATOR}


STRANGE: dict[str, tuple[Any, str]] = {
    "a list": ([1], "holds a list"),
    "nothing": ({}, "no tensors"),
    "no tensors": ({"epoch": 3}, "no tensors"),
    "another network": (
        {"layer1.0.weight": torch.zeros(1)},
        "no network known here; it has 1, such as layer1.0.weight",
    ),
    "another encoder": ({"encoder.conv_in.weight": torch.zeros(1)}, r"such as encoder\.conv_in\.weight"),
    "another ResNet": ({"conv1.weight": torch.zeros(1)}, r"such as conv1\.weight"),
    "numbered tensors": ({1: torch.zeros(1)}, "other than words"),
    "names that a terminal obeys": ({"a\x1b[2J": torch.zeros(1)}, "other than words"),
    "names that meet": ({"module.a": torch.zeros(1), "a": torch.zeros(1)}, "two of its tensors are named a"),
    "points": ({"feature_net": {}, "img_decoder": {}}, "renderer of point clouds"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_no_network_is_named(kind: str) -> None:
    content, why = STRANGE[kind]
    with pytest.raises(NotRecognisedError, match=why):
        recognise(content)


def test_values_that_are_no_tensors_are_unknown() -> None:
    tensors: dict[str, Any] = {**random_tensors("generator", 4), "encoder.extra": 3}
    assert recognise({"state_dict": tensors}).unknown == ["encoder.extra"]
