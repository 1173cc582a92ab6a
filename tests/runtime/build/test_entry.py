# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from stillflow.build.entry import Entry, Parts, Target, differences
from stillflow.build.request import Settings
from stillflow.gpu.description import Gpu

SETTINGS = Settings(
    shapes={"a": ((1,), (2,), (3,)), "b": ((1,), (1,), (1,))},
    workspace_mib=512,
    builder_level=3,
    aux_streams=0,
    version_compatible=False,
    hardware_compatibility="none",
    tf32=False,
    compute_capability=None,
)


@pytest.fixture
def parts(other_gpu: Gpu) -> Parts:
    return Parts(
        onnx_sha256="ab" * 32,
        builder="tensorrt",
        builder_version="10.9.0.34",
        settings=SETTINGS,
        target=Target.of(other_gpu),
    )


def turned(value: Any) -> Any:
    """The same JSON with the fields of every object in the opposite order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


def test_the_order_of_fields_does_not_matter(parts: Parts) -> None:
    data = json.dumps(turned(json.loads(msgspec.json.encode(parts))))
    again = msgspec.json.decode(data, type=Parts)
    assert again == parts
    assert again.key == parts.key
    swapped = msgspec.structs.replace(SETTINGS, shapes=dict(reversed(SETTINGS.shapes.items())))
    assert msgspec.structs.replace(parts, settings=swapped).key == parts.key


CHANGES: dict[str, Any] = {
    "onnx_sha256": "cd" * 32,
    "builder": "tensorrt_rtx",
    "builder_version": "10.9.0.35",
}
SETTING_CHANGES: dict[str, Any] = {
    "shapes": {"a": ((1,), (2,), (4,)), "b": ((1,), (1,), (1,))},
    "workspace_mib": None,
    "builder_level": 4,
    "aux_streams": None,
    "version_compatible": True,
    "hardware_compatibility": "ampere_plus",
    "tf32": True,
    "compute_capability": "8.9",
}
TARGET_CHANGES: dict[str, Any] = {
    "compute_capability": "8.6",
    "gpu": "NVIDIA L40",
    "multiprocessors": 142,
    "memory_mib": 46068,
    "l2_kib": 1,
    "bus_bits": 384,
    "shared_bytes": 1,
    "integrated": True,
    "ecc": False,
    "driver": "580.65.07",
}


@pytest.mark.parametrize(
    ("compatible", "version", "loads"),
    [
        (False, "10.9.0.34", True),
        (False, "10.9.0.35", False),
        (True, "10.9.0.35", True),
        (True, "10.16.1.11", True),
        (True, "10.3.0.30", False),
        (True, "11.4.0.106", False),
    ],
)
def test_which_versions_load_it(parts: Parts, compatible: bool, version: str, loads: bool) -> None:
    settings = msgspec.structs.replace(SETTINGS, version_compatible=compatible)
    assert msgspec.structs.replace(parts, settings=settings).loads_with(version) == loads


def test_every_part_is_in_the_key(parts: Parts) -> None:
    assert set(SETTING_CHANGES) == set(Settings.__struct_fields__)
    assert set(TARGET_CHANGES) == set(Target.__struct_fields__)
    assert set(CHANGES) | {"settings", "target"} == set(Parts.__struct_fields__)
    replace = msgspec.structs.replace
    others = [replace(parts, **{name: value}) for name, value in CHANGES.items()]
    others += [
        replace(parts, settings=replace(SETTINGS, **{name: value})) for name, value in SETTING_CHANGES.items()
    ]
    others += [
        replace(parts, target=replace(parts.target, **{name: value}))
        for name, value in TARGET_CHANGES.items()
    ]
    keys = {other.key for other in others}
    assert len(keys) == len(others)
    assert parts.key not in keys
    for other in others:
        assert differences(parts, other), "and can be told in words"
    assert differences(parts, parts) == []


def test_differences_read_well(parts: Parts) -> None:
    newer = msgspec.structs.replace(parts, builder_version="11.4.0")
    assert differences(newer, parts) == ["tensorrt 10.9.0.34 instead of tensorrt 11.4.0"]
    driver = msgspec.structs.replace(parts, target=msgspec.structs.replace(parts.target, driver="590.1"))
    assert differences(driver, parts) == ["driver 580.65.06 instead of 590.1"]


def test_where_a_target_runs(other_gpu: Gpu) -> None:
    tied, portable = Target.of(other_gpu), Target(compute_capability="8.9")
    another = Gpu("NVIDIA RTX 4090", "", "8.9", 128, 24564, 73728, 384, 101376, False, False, "580.65.06")
    assert tied.runs_on(other_gpu) and portable.runs_on(other_gpu) and portable.runs_on(another)
    assert not tied.runs_on(another)
    assert not Target(compute_capability="8.6").runs_on(other_gpu)
    assert "driver 580.65.06" in str(tied) and str(portable) == "compute capability 8.9"


@pytest.mark.parametrize(
    "name", ["../x.engine", "/x.engine", "x.plan", "x.engine\n", ".x.engine", "a/b.engine", ""]
)
def test_an_engine_lies_beside_its_sidecar(parts: Parts, name: str) -> None:
    good = {
        "parts": msgspec.to_builtins(parts), "engine": "x.engine", "bytes": 1, "sha256": "0" * 64, "bundle": "b",
        "graph": "g", "precision": "fp32", "profile": "p", "seconds": 1.0, "layers": 1, "inspected": "network",
        "created": "", "stillflow": "0",
    }  # fmt: skip
    assert msgspec.convert(good, Entry).engine == "x.engine"
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(good | {"engine": name}, Entry)
