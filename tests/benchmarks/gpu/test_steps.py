# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from stillflow_bench.gpu import steps as module
from stillflow_bench.gpu.stage import Stage
from stillflow_bench.gpu.steps import PARTS, Order, finding, last_object, marked_tests, steps


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order(device=1, photos=50, tiny=True, logs=tmp_path, root=None)


def test_every_step_has_a_limit_and_names_the_device(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module.importlib.util, "find_spec", lambda name: name == "tensorrt_rtx_bindings" or None
    )
    found = {stage.name: stage for stage in steps(order)}
    assert [name for name in found if name.startswith("bench ")] == [f"bench {part}" for part in PARTS]
    assert [n for n in found if n.startswith("engines")] == [
        "engines tensorrt_rtx fp32",
        "engines tensorrt_rtx fp16",
    ]
    assert all(stage.limit > 0 or stage.absent for stage in found.values())
    assert found["tests"].absent == "there is no source tree with tests"
    assert found["bench copy"].command[-5:] == (
        "--device",
        "1",
        "--rows",
        str(order.logs / "rows-copy.json"),
        "--tiny",
    )
    assert found["soak"].command[4:6] == ("--photos", "50")


def test_a_machine_without_a_library_of_engines_builds_none(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _: None)
    (stage,) = [stage for stage in steps(order) if stage.name.startswith("engines")]
    assert stage.absent == "none of tensorrt and tensorrt_rtx is installed"


def test_only_files_with_a_test_for_a_gpu_are_run(tmp_path: Path) -> None:
    for name, text in {
        "test_a.py": "@pytest.mark.device\ndef test_x(): ...",
        "test_b.py": "def test_x(): ...  # devices",
        "deep/test_c.py": "def test_x(cuda_device): ...",
        "deep/test_d.py": "pytestmark = pytest.mark.gpu",
        "deep/other.py": "pytestmark = pytest.mark.gpu",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert [path.name for path in marked_tests(tmp_path)] == ["test_c.py", "test_d.py", "test_a.py"]


def test_the_tests_of_this_tree_are_found(order: Order, source_tree: Path) -> None:
    stage = module._tests(Order(**{**vars(order), "root": source_tree}))
    assert "tests/benchmarks/gpu/test_suite.py" in stage.command
    assert all((source_tree / word).is_file() for word in stage.command if word.endswith(".py"))


def findings(tmp_path: Path, name: str, text: str) -> dict[str, object]:
    (tmp_path / f"{name.replace(' ', '-')}.out").write_text(text)
    return finding(Stage(name, "", (), 1), tmp_path)


def test_what_steps_print_becomes_a_line(tmp_path: Path) -> None:
    doctor = {"findings": [{"name": "PyAV", "state": "broken"}, {"name": "NumPy", "state": "ok"}]}
    assert findings(tmp_path, "doctor", json.dumps(doctor, indent=2))["says"] == "broken: PyAV"
    kernels = {"architecture": "sm_90", "sources": {"a.cu": 0.2, "b.cu": "Error: no"}}
    said = findings(tmp_path, "kernels", json.dumps(kernels))["says"]
    assert said == "2 sources for sm_90 in 0.2 s, failed: b.cu"
    engines = {"engines": [{"graph": "flow", "gate_c": {"state": "passed"}}]}
    assert findings(tmp_path, "engines tensorrt fp16", json.dumps(engines))["says"] == "flow: gate C passed"
    assert findings(tmp_path, "bench copy", 'noise\n{"says": "3 figures"}')["says"] == "3 figures"
    tests = "FAILED tests/a.py::test_x - boom\n== 1 failed, 2 passed in 3s =="
    assert findings(tmp_path, "tests", tests) == {
        "says": "1 failed, 2 passed in 3s",
        "wrong": ["FAILED tests/a.py::test_x"],
    }
    assert findings(tmp_path, "soak", "") == {}
    assert finding(Stage("never", "", (), 1), tmp_path) == {}


@pytest.mark.parametrize("text", ["", "plain", "[1]", "{broken", "1"])
def test_what_is_no_object_is_none(text: str) -> None:
    assert last_object(text) is None
