# SPDX-License-Identifier: Apache-2.0
"""Profiles from anywhere: checked to the last field, or refused with one message."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow.build.profile import MAX_PROFILE_BYTES, load_profile, parse_profile, profile_for, profile_names
from stillflow.errors import StillflowError
from stillflow.gpu.description import Gpu


def content() -> dict[str, Any]:
    from stillflow_engines import profile_path

    found = json.loads(profile_path("l4").read_text())
    assert isinstance(found, dict)
    return found


SPOILT: dict[str, Callable[[dict[str, Any]], object]] = {
    "unknown field": lambda p: p.update(colour="blue"),
    "missing name": lambda p: p.pop("name"),
    "name is a path": lambda p: p.update(name="../l4"),
    "capability": lambda p: p.update(compute_capability="8.9.1"),
    "capability with a line break": lambda p: p.update(compute_capability="8.9\n"),
    "library": lambda p: p.update(libraries=["abacus"]),
    "no library": lambda p: p.update(libraries=[]),
    "precision": lambda p: p.update(precision="fp8"),
    "workspace": lambda p: p.update(workspace_mib=-1),
    "workspace is text": lambda p: p.update(workspace_mib="4096"),
    "level": lambda p: p.update(builder_level=6),
    "compatibility": lambda p: p.update(hardware_compatibility="every_gpu"),
    "sizes fall": lambda p: p["sizes"]["tile"].update(min=2048),
    "size of nothing": lambda p: p["sizes"]["whole"].update(min=0),
    "cpu with a capability": lambda p: p.update(libraries=["onnxruntime"]),
    "gpu without a capability": lambda p: p.update(compute_capability=None),
    "onnxruntime beside others": lambda p: p.update(libraries=["tensorrt", "onnxruntime"]),
    "a name that fits every gpu": lambda p: p.update(gpu_names=[""]),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_what_is_no_profile_is_refused(kind: str) -> None:
    spoilt = content()
    SPOILT[kind](spoilt)
    with pytest.raises(StillflowError, match="not a valid profile") as caught:
        parse_profile(json.dumps(spoilt).encode(), "mine")
    assert "mine" in caught.value.what


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_refused_and_nothing_else(data: bytes) -> None:
    with pytest.raises(StillflowError):
        parse_profile(data, "mine")


@pytest.mark.parametrize("data", [b"[" * 60_000, b" " * (MAX_PROFILE_BYTES + 1)], ids=["deep", "long"])
def test_bombs_are_refused(data: bytes) -> None:
    with pytest.raises(StillflowError):
        parse_profile(data, "mine")


def test_ones_own_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(content() | {"name": "mine", "workspace_mib": 64}))
    assert load_profile(str(path)).workspace_mib == 64


def test_unknown_name_lists_the_shipped() -> None:
    with pytest.raises(StillflowError, match="no profile of that name") as caught:
        load_profile("l40")
    assert all(name in caught.value.fix for name in profile_names())


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for path in (tmp_path / "none.json", tmp_path / "pipe.json", f"{tmp_path}/"):
        with pytest.raises(StillflowError, match="cannot use the device profile"):
            load_profile(str(path))


@pytest.mark.parametrize(
    ("name", "board", "capability", "profile"),
    [
        ("NVIDIA L4", "", "8.9", "l4"),
        ("NVIDIA GeForce RTX 4090", "", "8.9", "rtx-4090"),
        ("Tesla T4", "", "7.5", "t4"),
        ("NVIDIA H200", "", "9.0", "h100-h200"),
        ("Orin", "NVIDIA Jetson Orin NX Engineering Reference Developer Kit", "8.7", "jetson-orin-nx"),
        ("Orin", "NVIDIA Jetson AGX Orin Developer Kit", "8.7", "jetson-agx-orin"),
    ],
)
def test_the_profile_of_the_gpu_at_hand(name: str, board: str, capability: str, profile: str) -> None:
    gpu = Gpu(name, board, capability, 1, 1, 1, 1, 1, False, False, "1")
    assert profile_for(gpu).name == profile


def test_a_gpu_without_a_profile_gets_a_general_one() -> None:
    unknown = Gpu("NVIDIA L400", "", "13.0", 1, 6000, 1, 1, 1, False, False, "1")
    made = profile_for(unknown)
    assert (made.name, made.compute_capability, made.workspace_mib) == ("sm130", "13.0", 1500)
    assert parse_profile(msgspec.json.encode(made), "made") == made, "it is a valid profile"


def test_no_gpu() -> None:
    with pytest.raises(StillflowError, match="no CUDA device") as caught:
        profile_for(None)
    assert "--for" in caught.value.fix
