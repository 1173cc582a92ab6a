# SPDX-License-Identifier: Apache-2.0
"""Sound engines pass; graphs that compute something else, and engines that cannot run, do not."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillflow.build.builder import run_gate
from stillflow.build.entry import Parts, Target
from stillflow.build.plan import plan_engines
from stillflow.build.profile import load_profile
from stillflow.bundle import Bundle
from stillflow.bundle.gate_c import gate_c
from stillflow.bundle.verify import read_vector
from stillflow.errors import StillflowError
from stillflow.gpu.description import Gpu
from stillflow.gpu.trouble import LostDeviceError, OutOfMemoryError

onnx = pytest.importorskip("onnx", reason="graphs are broken with it: pip install 'stillflow[export]'")

VECTOR = "vectors/flow-0.npz"
REPEATED = f"{VECTOR} repeated 10 x 10"
ALLOWED = {"absolute": 0.02, "relative": 0.0}

Edit = Callable[[Any], None]


@pytest.fixture
def with_half(copy: Path, edited: Callable[..., Path]) -> Callable[..., Bundle]:
    """The golden bundle with a second file of its graph, called fp16, that is a changed copy of the first."""

    def make(edit: Edit = lambda _: None, tolerance: dict[str, float] | None = ALLOWED) -> Bundle:
        model = onnx.load(str(copy / "flow.onnx"))
        edit(model)
        data = model.SerializeToString()
        (copy / "flow.fp16.onnx").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()

        def describe(content: dict[str, Any]) -> None:
            (graph,) = content["graphs"]
            graph["variants"] = [{"precision": "fp16", "file": "flow.fp16.onnx", "sha256": digest}]
            content["files"].append({"path": "flow.fp16.onnx", "bytes": len(data), "sha256": digest})
            for vector in content["vectors"] if tolerance is not None else ():
                vector["tolerance"]["fp16"] = {t["name"]: tolerance for t in graph["outputs"]}

        return Bundle.open(edited(describe))

    return make


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_sound_engine_passes(engine: str, golden: Path) -> None:
    pytest.importorskip(engine)
    receipt = gate_c(Bundle.open(golden), "flow", engine)
    assert receipt["passed"] and receipt["why"] == ""
    assert receipt["cases"] == [VECTOR, REPEATED]
    assert receipt["engine"] == engine and receipt["engine_version"]
    assert all(0 <= output["share_of_allowance"] < 0.1 for output in receipt["outputs"].values())


def test_the_receipt_is_plain_json_and_names_what_computed(with_half: Callable[..., Bundle]) -> None:
    receipt = json.loads(json.dumps(gate_c(with_half(), "flow", "onnxruntime", "fp16"), allow_nan=False))
    assert receipt["gate"] == "C" and receipt["precision"] == "fp16"
    assert receipt["provider"] == "CPUExecutionProvider"
    assert receipt["machine"]["processor"]
    assert receipt["tolerance"]["velocity"] == ALLOWED
    assert len(receipt["onnx_sha256"]) == len(receipt["reference_sha256"]) == 64
    assert set(receipt["outputs"]) == {"classes", "moves", "velocity", "spread"}


def weight(model: Any, name: str, change: Callable[[np.ndarray], None]) -> None:
    tensor = next(t for t in model.graph.initializer if t.name == name)
    values = onnx.numpy_helper.to_array(tensor).copy()
    change(values)
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, name))


def one_weight(model: Any) -> None:
    weight(model, "heads.weight", lambda w: w.__setitem__((11, 2, 1, 1), 9.0))


def one_nan(model: Any) -> None:
    weight(model, "heads.bias", lambda b: b.__setitem__(11, np.nan))


def overflow(model: Any) -> None:
    weight(model, "heads.bias", lambda b: b.__setitem__(11, 7e4))
    to = {"output": onnx.TensorProto.FLOAT16, "back": onnx.TensorProto.FLOAT}
    node = next(n for n in model.graph.node if "velocity" in n.output)
    node.output[:] = ["wide"]
    model.graph.node.append(onnx.helper.make_node("Cast", ["wide"], ["narrow"], to=to["output"]))
    model.graph.node.append(onnx.helper.make_node("Cast", ["narrow"], ["velocity"], to=to["back"]))


def swapped(model: Any) -> None:
    other = {"moves": "spread", "spread": "moves"}
    for node in model.graph.node:
        node.output[:] = [other.get(name, name) for name in node.output]


def black(model: Any) -> None:
    weight(model, "heads.weight", lambda w: w.fill(0))
    weight(model, "heads.bias", lambda b: b.fill(0))


BROKEN: dict[str, tuple[Edit, set[str]]] = {
    "one weight changed": (one_weight, {"velocity"}),
    "one bias NaN": (one_nan, {"velocity"}),
    "beyond float16": (overflow, {"velocity"}),
    "outputs swapped": (swapped, {"moves", "spread"}),
    "nothing but zeros": (black, {"classes", "moves", "velocity", "spread"}),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_computes_something_else_fails_where_it_does(
    kind: str, with_half: Callable[..., Bundle]
) -> None:
    edit, where = BROKEN[kind]
    receipt = gate_c(with_half(edit), "flow", "onnxruntime", "fp16")
    assert not receipt["passed"]
    assert {name for name, output in receipt["outputs"].items() if not output["passed"]} == where
    assert VECTOR in receipt["why"] and len(receipt["failures"]) == len(where)
    json.dumps(receipt, allow_nan=False)


def test_what_is_wrong_only_at_other_sizes_fails(with_half: Callable[..., Bundle]) -> None:
    def only_small(model: Any) -> None:
        """Cut the picture to 32 x 32, then repeat the border: right for the test vector alone."""
        node = next(n for n in model.graph.node if "sub" in n.output)
        node.output[:] = ["whole"]
        model.graph.initializer.extend(
            onnx.numpy_helper.from_array(np.array(values, np.int64), name)
            for name, values in {"from": [0, 0], "to": [64, 64], "axes": [2, 3]}.items()
        )
        at = list(model.graph.node).index(node) + 1
        model.graph.node.insert(at, onnx.helper.make_node("Slice", ["whole", "from", "to", "axes"], ["cut"]))
        model.graph.node.insert(at + 1, onnx.helper.make_node("Shape", ["whole"], ["size"]))
        resize = onnx.helper.make_node("Resize", ["cut", "", "", "size"], ["sub"], mode="nearest")
        model.graph.node.insert(at + 2, resize)

    receipt = gate_c(with_half(only_small), "flow", "onnxruntime", "fp16")
    assert not receipt["passed"]
    assert {o["worst_case"] for o in receipt["outputs"].values() if not o["passed"]} == {REPEATED}


def test_more_inputs_are_judged_too(with_half: Callable[..., Bundle]) -> None:
    rng = np.random.default_rng(1)
    given = {
        "photo": rng.random((1, 3, 32, 96)).astype(np.float32),
        "hints": rng.random((1, 6, 32, 96)).astype(np.float32),
    }
    bundle = with_half()
    receipt = gate_c(bundle, "flow", "onnxruntime", "fp16", inputs={"waterfall.jpg": given})
    assert receipt["passed"] and receipt["cases"][-1] == "waterfall.jpg"
    broken = {**given, "hints": given["hints"][:, :5]}
    receipt = gate_c(bundle, "flow", "onnxruntime", "fp16", inputs={"waterfall.jpg": broken})
    assert not receipt["passed"] and "hints" in receipt["why"]


def test_a_vector_that_says_something_else_fails(copy: Path, edited: Callable[..., Path]) -> None:
    arrays = read_vector((copy / VECTOR).read_bytes(), VECTOR)
    arrays["output.velocity"][0, 1, 2, 3] += 0.01
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    (copy / VECTOR).write_bytes(buffer.getvalue())

    def accept(content: dict[str, Any]) -> None:
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        for entry in (*content["vectors"], *content["files"]):
            if entry.get("file", entry.get("path")) == VECTOR:
                entry["sha256"] = digest
                entry |= {"bytes": len(buffer.getvalue())} if "bytes" in entry else {}

    receipt = gate_c(Bundle.open(edited(accept)), "flow", "onnxruntime")
    assert not receipt["passed"]
    assert receipt["outputs"]["velocity"]["worst_case"] == VECTOR


@pytest.mark.parametrize("precision", ["fp16", None])
def test_without_allowance_or_vectors_nothing_passes(
    precision: str | None, with_half: Callable[..., Bundle], edited: Callable[..., Path]
) -> None:
    bundle = with_half(tolerance=None)
    if precision is None:
        bundle = Bundle.open(edited(lambda content: content.update(vectors=[])))
    receipt = gate_c(bundle, "flow", "onnxruntime", precision)
    assert not receipt["passed"] and "no test vector" in receipt["why"]


def test_an_engine_that_cannot_run_is_a_receipt(golden: Path) -> None:
    receipt = gate_c(Bundle.open(golden), "flow", "abacus")
    assert not receipt["passed"] and "abacus" in receipt["why"]


def test_rounded_arithmetic_is_judged_as_float16(with_half: Callable[..., Bundle]) -> None:
    bundle = with_half()
    receipt = gate_c(bundle, "flow", "onnxruntime", "fp32", tf32=True)
    assert receipt["passed"] and receipt["arithmetic"] == "tf32"
    assert receipt["tolerance"]["velocity"] == ALLOWED
    assert gate_c(bundle, "flow", "onnxruntime", "fp32")["tolerance"]["velocity"] != ALLOWED


def test_tf32_is_judged_as_float16_and_refused_on_a_cpu(with_half: Callable[..., Bundle]) -> None:
    receipt = gate_c(with_half(), "flow", "onnxruntime", "fp32", arithmetic="tf32")
    assert receipt["tolerance"]["velocity"] == ALLOWED
    assert "cannot be asked for tf32 on cpu" in receipt["why"]


@pytest.mark.parametrize("kind", [OutOfMemoryError, LostDeviceError])
def test_a_gpu_that_cannot_be_used_now_is_no_judgement(
    golden: Path, kind: type[StillflowError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or an engine would never be used again because another program had the memory."""
    bundle = Bundle.open(golden)

    def busy(*_: object, **__: object) -> None:
        raise kind("the GPU has no memory left", "another program has it", "let it go")

    monkeypatch.setattr(Bundle, "session", busy)
    with pytest.raises(kind):
        gate_c(bundle, "flow", "tensorrt", device="cuda:1")
    gpu = Gpu("NVIDIA L4", "", "8.9", 58, 22563, 49152, 192, 101376, False, True, "580.65.06")
    (plan,) = plan_engines(bundle, load_profile("l4"), "tensorrt")
    parts = Parts(
        onnx_sha256="0" * 64,
        builder="tensorrt",
        builder_version="10.9",
        settings=plan.settings,
        target=Target.of(gpu),
    )
    why = "the GPU has no memory left: another program has it"
    assert run_gate(bundle, plan, parts, gpu, 1) == {"state": "not run", "why": why}


def test_the_machine_is_the_gpu_that_it_ran_on(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("stillflow.gpu.description.find_gpu", lambda index=0: asked.append(index))
    bundle = Bundle.open(golden)
    gate_c(bundle, "flow", "onnxruntime", device="cpu")
    assert asked == []
    monkeypatch.setattr("stillflow.sessions.onnxruntime.cuda_index", lambda device: None)
    gate_c(bundle, "flow", "onnxruntime", device="cuda:2")
    assert asked == [2]


def test_unknown_graphs_and_precisions_are_errors(golden: Path) -> None:
    with pytest.raises(StillflowError, match="no graph 'sky'"):
        gate_c(Bundle.open(golden), "sky", "onnxruntime")
    with pytest.raises(StillflowError, match="no int8 file"):
        gate_c(Bundle.open(golden), "flow", "onnxruntime", "int8")
