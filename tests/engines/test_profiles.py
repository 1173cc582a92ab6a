# SPDX-License-Identifier: Apache-2.0
"""The shipped device profiles: all there, all sound, all with their sources."""

from __future__ import annotations

import pytest

from stillflow.build.adapter import Library, find_module
from stillflow.build.plan import plan_engines
from stillflow.build.profile import load_profile
from stillflow.bundle import Bundle
from stillflow_engines import profile_names, profile_path

SHIPPED = (
    "a10",
    "cpu",
    "h100-h200",
    "jetson-agx-orin",
    "jetson-orin-nano",
    "jetson-orin-nx",
    "jetson-thor",
    "l4",
    "rtx-4090",
    "t4",
)


def test_all_are_there() -> None:
    assert profile_names() == SHIPPED


def test_unknown_name_lists_the_shipped() -> None:
    with pytest.raises(KeyError, match="jetson-orin-nano"):
        profile_path("nosuch")


@pytest.mark.parametrize("name", SHIPPED)
def test_is_sound_and_says_where_its_figures_come_from(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name == profile_path(name).stem
    assert profile.what
    assert profile.notes
    assert all(note.text and note.source for note in profile.notes)
    assert not profile.tf32, "fp32 means fp32"


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_bundle_can_be_planned_for_it(name: str) -> None:
    profile = load_profile(name)
    plans = plan_engines(Bundle.open("edge"), profile, profile.libraries[0])
    assert [plan.graph for plan in plans] == ["flow", "generator"]


def test_engines_take_every_tile_that_the_runtime_cuts() -> None:
    from stillflow.features import networks

    for name in SHIPPED:
        tile = load_profile(name).sizes.tile
        assert tile.min <= networks.LEAST_SIDE
        assert tile.max >= networks.MOST_SIDE


def test_jetsons_build_on_the_device_and_save_memory() -> None:
    for name in SHIPPED:
        if name.startswith("jetson"):
            profile = load_profile(name)
            assert profile.libraries == ("tensorrt",)
            assert profile.aux_streams == 0
            assert not profile.version_compatible


@pytest.mark.skipif(
    find_module("tensorrt_rtx") is None, reason="TensorRT-RTX is not installed: pip install 'stillflow[rtx]'"
)
def test_rtx_is_offered_exactly_where_it_can_build() -> None:
    targets = Library.open("tensorrt_rtx").targets()
    for name in SHIPPED:
        profile = load_profile(name)
        assert ("tensorrt_rtx" in profile.libraries) == (profile.compute_capability in targets), name
