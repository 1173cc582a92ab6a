# SPDX-License-Identifier: Apache-2.0
"""The contract of the child: a request in, one line of JSON out, everything else on standard error."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stillflow.build.adapter import Library
from stillflow.build.child import build
from stillflow.build.plan import plan_engines
from stillflow.build.profile import Profile
from stillflow.build.request import Request, Result
from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.gpu.description import Gpu, find_gpu

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def asked(golden: Bundle, l4: Profile, rtx: str, tmp_path: Path) -> dict[str, Any]:
    (plan,) = plan_engines(golden, l4, "tensorrt_rtx")
    (tmp_path / "graph.onnx").write_bytes(golden.graph_bytes("flow", "fp32"))
    request = Request(
        builder="tensorrt_rtx",
        graph="flow",
        precision="fp32",
        onnx="graph.onnx",
        settings=plan.settings,
        timing=None,
        engine="flow.engine",
        layers="layers.json",
    )
    found = msgspec.to_builtins(request)
    assert msgspec.convert(json.loads(json.dumps(found)), Request) == request
    assert isinstance(found, dict)
    return found


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def call(request: object) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "request.json"
        path.write_text(request if isinstance(request, str) else json.dumps(request))
        command = [sys.executable, "-m", "stillflow.build.child", str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return call


def test_one_line_of_json_and_two_files(run: Run, asked: dict[str, Any], tmp_path: Path) -> None:
    done = run(asked)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    result = msgspec.json.decode(line, type=Result)
    assert result.error is None
    assert result.layers > 100
    assert result.seconds > 0
    assert (tmp_path / "flow.engine").stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / "layers.json").read_text())["library"] == "tensorrt_rtx"
    progress = [json.loads(line[1:]) for line in done.stderr.splitlines() if line.startswith("@")]
    assert progress[0] == {"phase": "parsing", "done": 0, "of": 1}


def test_errors_come_as_a_result(run: Run, asked: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "graph.onnx").write_bytes(b"no graph")
    done = run(asked)
    assert done.returncode == 2
    error = msgspec.json.decode(done.stdout, type=Result).error
    assert error is not None
    assert "cannot build the graph flow" in error.what
    assert not (tmp_path / "flow.engine").exists()


def test_what_is_there_is_not_overwritten(run: Run, asked: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "flow.engine").write_bytes(b"mine")
    assert run(asked).returncode == 2
    assert (tmp_path / "flow.engine").read_bytes() == b"mine"


@pytest.mark.parametrize("request_", ["", "{", "{}", "[]", '{"builder": "abacus"}'])
def test_a_request_that_is_none(run: Run, request_: str) -> None:
    done = run(request_)
    assert done.returncode == 2
    assert msgspec.json.decode(done.stdout, type=Result).error is not None
    assert "Traceback" not in done.stderr


def test_no_request() -> None:
    command = [sys.executable, "-m", "stillflow.build.child"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "usage" in done.stderr


@pytest.mark.parametrize(
    ("capability", "said", "inspected"),
    [("8.9", '{"Layers": ["a"]}', "engine"), ("8.9", "no JSON", "engine"), ("8.6", "", "network")],
)
def test_an_engine_is_asked_where_its_device_is(
    asked: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    other_gpu: Gpu,
    capability: str,
    said: str,
    inspected: str,
) -> None:
    """The inspector itself needs the device; whether it is asked does not."""
    gpu = dataclasses.replace(other_gpu, compute_capability=capability)
    monkeypatch.setattr("stillflow.build.child.find_gpu", lambda: gpu)
    monkeypatch.setattr(Library, "inspect", lambda self, engine: said)
    result = build(msgspec.convert(asked, Request), tmp_path)
    assert result.inspected == inspected
    found = json.loads((tmp_path / "layers.json").read_text())["inspector"]
    assert found == {"8.9": {"Layers": ["a"]} if "{" in said else said, "8.6": None}[capability]


@pytest.mark.skipif(find_gpu() is not None, reason="a CUDA device is here")
def test_inspecting_without_a_device_is_an_error_with_the_librarys_words(
    run: Run, asked: dict[str, Any], tmp_path: Path, rtx: str
) -> None:
    assert run(asked).returncode == 0
    with pytest.raises(StillflowError, match="CUDA driver"):
        Library.open(rtx).inspect((tmp_path / "flow.engine").read_bytes())
