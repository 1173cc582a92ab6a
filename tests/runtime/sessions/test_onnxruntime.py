# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow.sessions import onnxruntime as adapter
from stillflow.sessions import open_session

Arrays = dict[str, Any]


def test_reads_back_engine_provider_names_and_shapes(graph_path: Path) -> None:
    session = open_session(graph_path, "onnxruntime", threads=1)
    assert (session.engine, session.provider) == ("onnxruntime", "CPUExecutionProvider")
    assert [(s.name, s.dtype, s.shape) for s in session.inputs] == [
        ("photo", "float32", (1, 3, "height", "width")),
        ("hints", "float32", (1, 6, "height", "width")),
    ]
    assert [s.name for s in session.outputs] == ["classes", "moves", "velocity", "spread"]
    assert session.outputs[0].shape == (1, 10, "height/2", "width/2")


def test_nothing_is_kept_for_or_told_to_anybody(graph_path: Path, tmp_path: Path) -> None:
    """ONNX Runtime 1.32 makes an identifier of the device in the user's cache, to report under."""
    ours = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "ONNX_GRAPH": str(graph_path)}
    others = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    program = "import os, stillflow.sessions as s; s.open_session(os.environ['ONNX_GRAPH'], 'onnxruntime')"
    subprocess.run([sys.executable, "-c", program], env=others | ours, check=True)
    assert list(tmp_path.iterdir()) == []


def test_gives_the_expected_values(graph_path: Path, inputs: Arrays, vector: Arrays) -> None:
    for name, value in open_session(graph_path).run(inputs).items():
        np.testing.assert_allclose(value, vector[f"output.{name}"], atol=1e-5)


def test_threads_and_runs_give_the_same_bytes(graph_path: Path, inputs: Arrays) -> None:
    session = open_session(graph_path, threads=2)
    first = session.run(inputs)
    with ThreadPoolExecutor(4) as pool:
        for out in pool.map(lambda _: session.run(inputs), range(8)):
            assert all(np.array_equal(out[name], first[name]) for name in first)


def test_outputs_belong_to_the_caller(graph_path: Path, inputs: Arrays) -> None:
    session = open_session(graph_path)
    first = session.run(inputs)
    kept = first["moves"].copy()
    session.run({name: value + 1 for name, value in inputs.items()})
    assert np.array_equal(first["moves"], kept)


def test_arrays_that_are_not_contiguous(graph_path: Path, inputs: Arrays) -> None:
    session = open_session(graph_path)
    turned = {
        n: np.ascontiguousarray(a.transpose(0, 1, 3, 2)).transpose(0, 1, 3, 2) for n, a in inputs.items()
    }
    assert np.array_equal(session.run(turned)["moves"], session.run(inputs)["moves"])


SPOILT = {
    "missing": (lambda a: a.pop("hints"), "'hints' is missing"),
    "unknown": (lambda a: a.update(mask=a["photo"]), "no input named 'mask'"),
    "type": (lambda a: a.update(photo=a["photo"].astype(np.float64)), "float64"),
    "rank": (lambda a: a.update(photo=a["photo"][0]), r"\(3, 32, 32\)"),
    "channels": (lambda a: a.update(photo=a["photo"][:, :2]), r"\(1, 2, 32, 32\)"),
    "sizes differ": (lambda a: a.update(photo=a["photo"][..., :16]), "should be float32"),
    "empty": (lambda a: a.update(photo=a["photo"][..., :0]), "should be float32"),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_inputs_that_do_not_fit_are_named(kind: str, graph_path: Path, inputs: Arrays) -> None:
    spoil, why = SPOILT[kind]
    given = dict(inputs)
    spoil(given)
    with pytest.raises(StillflowError, match=why):
        open_session(graph_path).run(given)


def test_a_size_the_graph_cannot_take(
    graph_path: Path, inputs: Arrays, capfd: pytest.CaptureFixture[str]
) -> None:
    odd = {name: np.ascontiguousarray(value[..., :30, :30]) for name, value in inputs.items()}
    with pytest.raises(StillflowError, match="multiples"):
        open_session(graph_path).run(odd)
    assert capfd.readouterr().err == "", "the engine says nothing of its own"


@pytest.mark.parametrize("data", [b"", b"\x00" * 64, b"not a graph"])
def test_bytes_that_are_no_graph(data: bytes) -> None:
    with pytest.raises(StillflowError, match="cannot load the graph thing") as caught:
        open_session(data, "onnxruntime", name="thing")
    assert "bundle verify" in caught.value.fix


def test_truncated_graph(graph_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StillflowError, match="cannot load"):
        open_session(graph_path.read_bytes()[:-500], "onnxruntime")
    assert capfd.readouterr().err == "", "the engine says nothing of its own"


def test_a_device_that_is_missing_is_an_error_not_the_cpu(
    graph_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter.ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(StillflowError, match=r"has no CUDAExecutionProvider\n.*pip install onnxruntime-gpu"):
        open_session(graph_path, "onnxruntime", device="cuda")


@pytest.mark.parametrize("arithmetic", ["bf16", "tf32"])
def test_other_arithmetic_is_refused(graph_path: Path, arithmetic: Any) -> None:
    with pytest.raises(StillflowError, match=f"cannot be asked for {arithmetic} on cpu"):
        open_session(graph_path, "onnxruntime", arithmetic=arithmetic)


def test_closed(graph_path: Path, inputs: Arrays) -> None:
    session = open_session(graph_path)
    session.close()
    session.close()
    with pytest.raises(StillflowError, match="its session is closed"):
        session.run(inputs)
