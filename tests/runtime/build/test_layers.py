# SPDX-License-Identifier: Apache-2.0
"""What engines are made of, read back from real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stillflow.build.builder import Engine, build_engines
from stillflow.build.cache import EngineCache
from stillflow.build.entry import LAYERS_FILE
from stillflow.build.layers import check_precision, named_nodes
from stillflow.build.profile import load_profile
from stillflow.bundle import Bundle
from stillflow.errors import StillflowError


@pytest.fixture(scope="module")
def shipped(rtx: str, tmp_path_factory: pytest.TempPathFactory) -> list[Engine]:
    """Engines of the shipped bundle at every precision that it has."""
    cache = EngineCache(tmp_path_factory.mktemp("cache"))
    edge, profile = Bundle.open("edge"), load_profile("rtx-4090")
    precisions = {v.precision for g in edge.manifest.graphs for v in g.all_variants} - {"int8"}
    return [
        engine
        for precision in sorted(precisions)
        for engine in build_engines(edge, profile, library=rtx, precision=precision, cache=cache)
    ]


def report(engine: Engine) -> dict[str, Any]:
    found = json.loads((engine.folder / LAYERS_FILE).read_text())
    assert isinstance(found, dict)
    return found


def test_the_shipped_bundle_is_built_at_its_precisions(shipped: list[Engine]) -> None:
    assert {engine.entry.graph for engine in shipped} == {"flow", "generator"}
    for engine in shipped:
        counts = report(engine)["counts"]
        half = counts.get("CONVOLUTION float16", 0)
        if engine.entry.precision == "fp32":
            assert counts["CONVOLUTION float32"] >= 30
            assert not half
        else:
            assert half >= 20


def test_the_engines_themselves_hold_every_convolution(shipped: list[Engine]) -> None:
    for engine in shipped:
        found = report(engine)
        convolutions = {
            layer["onnx"].removeprefix("[ONNX Layer: ").removesuffix("]")
            for layer in found["layers"]
            if layer["type"] == "CONVOLUTION"
        }
        assert len(convolutions) >= 30
        assert convolutions <= set(named_nodes(engine.path.read_bytes()))
        assert found["onnx_nodes_in_engine"] == named_nodes(engine.path.read_bytes())


def test_outputs_of_the_network_are_those_of_the_manifest(shipped: list[Engine]) -> None:
    edge = Bundle.open("edge")
    for engine in shipped:
        outputs = {o["name"]: o for layer in report(engine)["layers"] for o in layer["outputs"]}
        for tensor in edge.graph(engine.entry.graph).outputs:
            assert outputs[tensor.name]["dtype"] == tensor.dtype
            assert outputs[tensor.name]["shape"][1] == tensor.shape[1]


def layer(kind: str, dtype: str) -> dict[str, Any]:
    return {"type": kind, "outputs": [{"dtype": dtype}]}


@pytest.mark.parametrize(
    ("precision", "layers", "why"),
    [
        ("fp32", [layer("CONVOLUTION", "float32"), layer("CONVOLUTION", "float16")], "compute in float16"),
        ("fp32", [layer("MATRIX_MULTIPLY", "bfloat16")], "bfloat16"),
        ("fp16", [layer("CONVOLUTION", "float32"), layer("RESIZE", "float16")], "none of its convolutions"),
        ("int8", [layer("CONVOLUTION", "float32")], "nothing in it is quantised"),
    ],
)
def test_an_engine_of_another_precision_is_no_engine(precision: str, layers: list, why: str) -> None:
    with pytest.raises(StillflowError, match=why):
        check_precision("g", precision, layers)


@pytest.mark.parametrize(
    ("precision", "layers"),
    [
        ("fp32", [layer("CONVOLUTION", "float32"), layer("CAST", "float16")]),
        ("fp16", [layer("CONVOLUTION", "float16"), layer("CONVOLUTION", "float32")]),
        ("int8", [layer("QUANTIZE", "int8"), layer("CONVOLUTION", "float32")]),
        ("fp16", [layer("RESIZE", "float32")]),
    ],
)
def test_an_engine_of_its_precision(precision: str, layers: list) -> None:
    check_precision("g", precision, layers)


@pytest.mark.usefixtures("seeded")
def test_an_fp32_file_sold_as_fp16_is_not_built(
    golden: Bundle, tmp_path: Path, rtx: str, build: Callable[..., Engine]
) -> None:
    """The silent float32 engine that everybody fears: the file decides, and the child looks."""
    import subprocess
    import sys

    engine = build()
    request = {
        "builder": rtx, "graph": "flow", "precision": "fp16", "onnx": "graph.onnx", "timing": None,
        "settings": json.loads((engine.folder / "entry.json").read_text())["parts"]["settings"],
        "engine": "flow.engine", "layers": "layers.json",
    }  # fmt: skip
    (tmp_path / "graph.onnx").write_bytes(golden.graph_bytes("flow", "fp32"))
    (tmp_path / "request.json").write_text(json.dumps(request))
    command = [sys.executable, "-m", "stillflow.build.child", str(tmp_path / "request.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "none of its convolutions computes in float16" in json.loads(done.stdout)["error"]["why"]
    assert not (tmp_path / "flow.engine").exists()
