# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.sessions import open_session

# Not imported here: it would report that to its maker.
if importlib.util.find_spec("openvino") is None:
    pytest.skip("openvino is not installed: pip install 'stillflow[openvino]'", allow_module_level=True)

Arrays = dict[str, Any]


def test_gives_the_expected_values_in_f32(graph_path: Path, inputs: Arrays, vector: Arrays) -> None:
    session = open_session(graph_path, "openvino", threads=1)
    assert session.engine == "openvino"
    assert session.provider == "CPU f32"
    for name, value in session.run(inputs).items():
        np.testing.assert_allclose(value, vector[f"output.{name}"], atol=1e-5)


def test_verifies_the_shipped_bundle() -> None:
    assert [check for check in Bundle.open("edge").verify("openvino") if not check.ok] == []


def test_runs_from_several_threads(graph_path: Path, inputs: Arrays) -> None:
    session = open_session(graph_path, "openvino")
    first = session.run(inputs)
    with ThreadPoolExecutor(3) as pool:
        for out in pool.map(lambda _: session.run(inputs), range(6)):
            assert all(np.array_equal(out[name], first[name]) for name in first)


def test_bf16_where_the_cpu_has_it(graph_path: Path, inputs: Arrays, vector: Arrays) -> None:
    from stillflow.sessions.openvino import the_core

    if "BF16" not in the_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(StillflowError, match="no bfloat16"):
            open_session(graph_path, "openvino", arithmetic="bf16")
        return
    session = open_session(graph_path, "openvino", arithmetic="bf16")
    assert session.provider == "CPU bf16"
    np.testing.assert_allclose(session.run(inputs)["classes"], vector["output.classes"], atol=0.05)


def test_inputs_that_do_not_fit(graph_path: Path, inputs: Arrays) -> None:
    with pytest.raises(StillflowError, match="'hints' is missing"):
        open_session(graph_path, "openvino").run({"photo": inputs["photo"]})


def test_an_input_that_goes_straight_into_an_identity_keeps_its_name() -> None:
    helper = pytest.importorskip(
        "onnx.helper", reason="onnx is not installed: pip install 'stillflow[export]'"
    )
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Identity", ["b"], ["z"]),
        helper.make_node("Identity", ["b"], ["A"]),
    ]
    named = {n: helper.make_tensor_value_info(n, 1, [1, 2]) for n in "xabzA"}
    graph = helper.make_graph(nodes, "copies", [named["x"]], [named["z"], named["A"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    session = open_session(model.SerializeToString(), "openvino")
    assert [spec.name for spec in session.inputs] == ["x"]
    assert [spec.name for spec in session.outputs] == ["z", "A"]
    got = session.run({"x": np.array([[-1, 2]], np.float32)})
    assert {name: value.tolist() for name, value in got.items()} == {"z": [[0, 2]], "A": [[0, 2]]}


def test_closed(graph_path: Path, inputs: Arrays) -> None:
    session = open_session(graph_path, "openvino")
    session.close()
    with pytest.raises(StillflowError, match="its session is closed"):
        session.run(inputs)


@pytest.mark.parametrize("data", [b"", b"not a graph"])
def test_bytes_that_are_no_graph(data: bytes) -> None:
    with pytest.raises(StillflowError, match="cannot load the graph"):
        open_session(data, "openvino")


def test_cuda_is_refused(graph_path: Path) -> None:
    with pytest.raises(StillflowError, match="on the CPU only"):
        open_session(graph_path, "openvino", device="cuda")


SIGNALLED = """
import os, signal
from stillflow.engine_probes import TINY_NETWORK, try_openvino
from stillflow.sessions import open_session
held = [open_session(TINY_NETWORK, "openvino") for _ in range(3)]
assert try_openvino().state == "ok"
while held:
    held.pop(0).close()
try:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):
        pass
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_signal_finds_its_stack_after_networks_came_and_went() -> None:
    done = subprocess.run([sys.executable, "-c", SIGNALLED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
