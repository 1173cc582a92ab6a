# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import pytest

from stillflow_bench.gpu import wheels as module
from stillflow_bench.gpu.wheels import described, normal, parsed, unpacked, wanted


def a_wheel(folder: Path, name: str, version: str, requires: tuple[str, ...] = (), **files: str) -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {line}" for line in requires)]
    with ZipFile(path, "w") as file:
        file.writestr(f"{name}-{version}.dist-info/METADATA", "\n".join(lines) + "\n\nRequires-Dist: text\n")
        for inner, text in files.items():
            file.writestr(inner.replace("__", "/"), text)
    return path


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("av>=12", ("av", "12", "")),
        ("numpy", ("numpy", "", "")),
        ("cuda-bindings (>=13.0,<14)", ("cuda-bindings", "13.0", "")),
        ("torch<2.14,>=2.13; extra == 'export'", ("torch", "2.13", "extra == 'export'")),
        ("stillflow[export,lint]; extra == 'test'", ("stillflow", "", "extra == 'test'")),
        ("cuda-bindings==13.*; extra == 'cu13'", ("cuda-bindings", "13", "extra == 'cu13'")),
        ("a.b~=1.2.3", ("a.b", "1.2.3", "")),
    ],
)
def test_requirements_are_read(line: str, found: tuple[str, str, str]) -> None:
    assert parsed(line) == found


def test_what_a_gpu_machine_needs_is_the_runtime_cuda_and_the_tests_tools() -> None:
    lines = [
        "av>=12",
        "onnxruntime>=1.18",
        "torch>=2.13; extra == 'export'",
        "cuda-core>=0.3; extra == 'gpu'",
        "cuda-core>=1.0; extra == 'cuda'",
        "pytest>=8; extra == 'test'",
        "pytest-xdist>=3.5; extra == 'test'",
    ]
    assert wanted(lines) == {"av": "12", "cuda-core": "1.0", "pytest": "8"}


def test_the_installed_package_says_what_it_needs() -> None:
    found = wanted()
    assert {"numpy", "av", "msgspec", "cuda-core", "pytest", "hypothesis"} <= set(found)
    assert not {"torch", "onnxruntime", "onnxruntime-gpu"} & set(found)


def test_a_wheel_is_needed_below_what_anybody_asks_for(tmp_path: Path) -> None:
    paths = [
        a_wheel(tmp_path, "cuda_core", "1.2", ("cuda-pathfinder>=1.4.2", "numpy", "odd>=9; extra == 'x'")),
        a_wheel(tmp_path, "cuda_pathfinder", "1.9"),
        a_wheel(tmp_path, "numpy", "2.5"),
        a_wheel(tmp_path, "odd", "9.9"),
    ]
    found = {wheel.name: (wheel.version, wheel.at_least) for wheel in described(paths, {"numpy": "1.26"})}
    assert found == {
        "cuda_core": ("1.2", ""),
        "cuda_pathfinder": ("1.9", "1.4.2"),
        "numpy": ("2.5", "1.26"),
        "odd": ("9.9", ""),
    }


def test_the_higher_of_two_floors_counts(tmp_path: Path) -> None:
    paths = [a_wheel(tmp_path, "one", "1", ("two>=1.10",)), a_wheel(tmp_path, "two", "2")]
    assert described(paths, {"two": "1.9"})[1].at_least == "1.10"


def test_useless_files_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.USELESS, "big", ("big/tools/*",))
    path = a_wheel(tmp_path, "big", "1", big__tools__x="", big__core="")
    place = unpacked(described([path], {})[0], tmp_path / "out")
    names = sorted(p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file())
    assert names == ["big-1.dist-info/METADATA", "big/core"]


def test_names_compare_however_they_are_written() -> None:
    assert normal("Cuda-Core") == normal("cuda.core") == normal("cuda__core") == "cuda_core"
