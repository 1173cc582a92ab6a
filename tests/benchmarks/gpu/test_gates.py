# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

from stillflow.bundle import Bundle
from stillflow.sessions.facts import Trouble
from stillflow.sessions.machine import Machine
from stillflow_bench.gpu import engines, gates
from stillflow_bench.gpu.engines import ON_GPUS, engines_here
from stillflow_bench.gpu.stage import NOTHING_TO_DO

from .host_engine import ENGINES, host_engine  # noqa: F401


@pytest.mark.device
@pytest.mark.usefixtures("host_engine")
def test_every_engine_graph_and_precision_is_judged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from stillflow.bundle import gate_c as module
    from stillflow.bundle.bundle import open_session

    monkeypatch.setattr(module, "open_session", open_session)
    monkeypatch.setattr("sys.argv", ["gates"])
    assert gates.main() == 0
    told = json.loads(capsys.readouterr().out)
    judged = [(one["engine"], one["graph"], one["precision"]) for one in told["receipts"]]
    graphs = Bundle.open().manifest.graphs
    assert judged == [("onnxruntime", g.name, v.precision) for g in graphs for v in g.all_variants]
    assert told["says"] == f"{len(judged)} of {len(judged)} passed"
    assert set(told["absent"]) == set(ENGINES[1])


def test_an_engine_that_does_not_open_has_not_passed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gates, "engines_here", lambda _: (("tensorrt",), {}))
    monkeypatch.setattr("sys.argv", ["gates"])
    assert gates.main() == 3
    told = json.loads(capsys.readouterr().out)
    assert told["says"].startswith(f"0 of {len(told['receipts'])} passed; tensorrt flow ")


def test_without_an_engine_nothing_has_passed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gates, "engines_here", lambda _: ((), {"onnxruntime": "it is for CPUs"}))
    monkeypatch.setattr("sys.argv", ["gates"])
    assert gates.main() == NOTHING_TO_DO
    assert capsys.readouterr().err == "onnxruntime: it is for CPUs\n"


def test_every_engine_can_be_tried_or_has_a_reason() -> None:
    usable, absent = engines_here(0)
    assert sorted([*usable, *absent]) == sorted(ON_GPUS)
    assert all(absent.values())


@pytest.mark.device
def test_a_library_that_builds_for_other_gpus_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trouble = Trouble("it builds for others", "another library")
    monkeypatch.setattr(Machine, "builder", lambda *_: trouble)
    monkeypatch.setattr("sys.argv", ["engines", "tensorrt_rtx", "fp16"])
    assert engines.main() == NOTHING_TO_DO
    assert capsys.readouterr().err == "it builds for others\n"
    usable, absent = engines_here(0)
    assert "tensorrt_rtx" not in usable and absent["tensorrt_rtx"]


def test_engines_are_built_by_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[list[str]] = []
    monkeypatch.setattr(Machine, "builder", lambda *_: None)
    monkeypatch.setattr("os.execv", lambda program, line: lines.append(line[1:]))
    monkeypatch.setattr("sys.argv", ["engines", "tensorrt", "fp16"])
    engines.main()
    told = [
        "-m",
        "stillflow",
        "build",
        "--for",
        "auto",
        "--library",
        "tensorrt",
        "--precision",
        "fp16",
        "--json",
    ]
    assert lines == [told]
