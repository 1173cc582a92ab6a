# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from stillflow.errors import StillflowError
from stillflow_export.checkpoints.options import read_options

from ..published_checkpoints import OPTIONS


def read(family: str, source: str, told: dict[str, Any] | None, width: int = 32) -> Any:
    return read_options(family, source, told, width, "cannot import x")


def test_the_floor_hangs_on_the_name_and_not_on_its_value() -> None:
    for value in (False, True):
        assert read("feature_generator", "slr", {**OPTIONS, "no_clamp_Z": value}).loop["weight_floor"] is None
    without = {key: value for key, value in OPTIONS.items() if key != "no_clamp_Z"}
    assert read("feature_generator", "slr", without).loop["weight_floor"] == -20.0


@pytest.mark.parametrize(("family", "source", "told"), [
    ("feature_generator", "t2c", None), ("feature_generator", "t2c", {}), ("layered_generator", "slr", {}),
])  # fmt: skip
def test_others_have_no_floor(family: str, source: str, told: Any) -> None:
    loop = read(family, source, told).loop
    assert loop["weight_floor"] is None
    assert loop["rule"] == "symmetric_splat"
    assert loop["edge_share"] == (1 / 600 if family == "layered_generator" else 0.0)


def test_without_options_the_floor_is_assumed_away() -> None:
    reading = read("feature_generator", "slr", None)
    assert reading.loop["weight_floor"] is None
    assert "no floor" in reading.assumed[0]


@pytest.mark.parametrize("key", [
    "use_softmax_splatter_v1", "use_softmax_splatter_v2", "use_softmax_splatter_v3", "use_sum1_alpha",
    "use_3d_splatter", "use_mesh_splatter", "use_alpha_softmax", "use_fluid_alpha_only",
    "use_bg_alpha_only", "use_bg_as_alpha_input",
])  # fmt: skip
def test_options_of_another_rule_are_refused_when_they_are_set(key: str) -> None:
    for family in ("feature_generator", "layered_generator"):
        read(family, "slr", {**OPTIONS, key: False})
        with pytest.raises(StillflowError, match=f"option {key} is 'True'"):
            read(family, "slr", {**OPTIONS, key: True})


def test_the_weight_of_the_fluids_alpha_is_what_the_published_code_takes() -> None:
    def weight(told: dict[str, Any] | None) -> str | None:
        return read("layered_generator", "slr", told).loop.get("alpha_weight")

    key = "use_alpha0_as_blending_weight"
    assert weight({**OPTIONS, key: True}) == "share"
    assert weight({**OPTIONS, key: False}) == weight({}) == "features"
    assert weight(None) is None and "its own share" in read("layered_generator", "slr", None).assumed[0]
    assert "alpha_weight" not in read("feature_generator", "slr", OPTIONS).loop


@pytest.mark.parametrize("key", ["refine_model_type", "pconv", "norm_G"])
def test_options_of_another_graph_are_refused(key: str) -> None:
    with pytest.raises(StillflowError, match=f"option {key} is 'other'") as caught:
        read("feature_generator", "slr", {**OPTIONS, key: "other"})
    assert "released" in caught.value.fix


def test_the_joint_script_is_accepted() -> None:
    told = {
        "refine_model_type": "resnet_256W8UpDown64_de_resnet_pconv2",
        "use_softmax_splatter": False,
        "ngf": 64,
    }
    assert read("feature_generator", "slr", told).options["ngf"] == 64


def test_widths_must_agree() -> None:
    with pytest.raises(StillflowError, match="ngf is 32, its tensors have 64"):
        read("feature_generator", "slr", {"ngf": 32})


def test_the_generators_options_do_not_matter_to_a_flow_network() -> None:
    assert read("hinted_flow", "slr", {**OPTIONS, "norm_G": "other"}).options["scale"] == 1.0


def test_scales_of_flows() -> None:
    assert read("hinted_flow", "slr", {"div_flow": 2}).options == {
        "activation": "identity", "scale": 2.0, "hint_scale": 1.0,
    }  # fmt: skip
    old = read("hinted_flow", "slr", {})
    assert old.options["scale"] == 20.0
    assert "multiplied by 20" in old.assumed[0]
    bare = read("hinted_flow", "slr", None)
    assert bare.options["scale"] == 1.0
    assert "div_flow 1" in bare.assumed[0]
    assert read("hinted_flow", "3dc", None).assumed == ()
    t2c = read("hinted_flow", "t2c", None).options
    assert (t2c["activation"], t2c["scale"], t2c["hint_scale"]) == ("tanh", 64.0, 1 / 64)
    assert read("text_flow", "t2c", None).options == {"activation": "tanh", "scale": 64.0}
    assert read("edge_flow", "stillflow", None).options == {}


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "2", None, True, 1e9])
def test_senseless_scales_are_refused(value: Any) -> None:
    with pytest.raises(StillflowError, match="div_flow"):
        read("hinted_flow", "slr", {"div_flow": value})
