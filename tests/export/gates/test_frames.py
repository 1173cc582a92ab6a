# SPDX-License-Identifier: Apache-2.0
"""The shipped networks in float16 make the same frames; networks broken on purpose do not get past."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from stillflow.bundle import Bundle, encode_manifest
from stillflow.bundle.manifest import File, Variant
from stillflow.errors import StillflowError
from stillflow_export.gates import gate_b, require_passed
from stillflow_export.gates.frames import FramesReceipt, gate_b_frames, judge_frame
from stillflow_export.precision.half import to_half
from stillflow_export.samples import flow_samples, generator_samples

ROOT = Path(__file__).resolve().parents[3]
EDGE = ROOT / "engines" / "stillflow_engines" / "edge"
WATERFALL, COFFEE = ROOT / "samples" / "waterfall.jpg", ROOT / "samples" / "coffee.jpg"
SIZE = 192

Edit = Callable[[onnx.ModelProto], None]


def with_half(folder: Path, graphs: dict[str, bytes]) -> Bundle:
    """The shipped bundle with float16 files beside the float32 ones."""
    shutil.copytree(EDGE, folder)
    with Bundle.open(folder) as bundle:
        manifest = bundle.manifest
    described, files = [], list(manifest.files)
    for graph in manifest.graphs:
        data, path = graphs[graph.name], f"{graph.name}.fp16.onnx"
        (folder / path).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        files = [file for file in files if file.path != path]
        files.append(File(path=path, bytes=len(data), sha256=digest))
        variants = [v for v in graph.variants if v.precision != "fp16"]
        variants.append(Variant(precision="fp16", file=path, sha256=digest))
        described.append(msgspec.structs.replace(graph, variants=tuple(variants)))
    manifest = msgspec.structs.replace(manifest, graphs=tuple(described), files=tuple(files))
    (folder / "manifest.json").write_bytes(encode_manifest(manifest))
    return Bundle.open(folder)


@pytest.fixture(scope="session")
def halves() -> dict[str, bytes]:
    flow = to_half((EDGE / "flow.onnx").read_bytes(), flow_samples([WATERFALL], sizes=[(96, 160)]))
    plate = to_half((EDGE / "generator.onnx").read_bytes(), generator_samples(sizes=[(64, 96)]))
    return {"flow": flow.data, "generator": plate.data}


@pytest.fixture(scope="session")
def judge(halves: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., FramesReceipt]:
    def judged(**edits: Edit) -> FramesReceipt:
        graphs = dict(halves)
        for name, edit in edits.items():
            model = onnx.load_from_string(graphs[name])
            edit(model)
            graphs[name] = model.SerializeToString()
        with with_half(tmp_path_factory.mktemp("frames") / "edge", graphs) as bundle:
            return gate_b_frames(bundle, "fp16", [WATERFALL], size=SIZE, times=(0.2,))

    return judged


def test_the_shipped_flow_network_passes_output_by_output(halves: dict[str, bytes]) -> None:
    samples = list(flow_samples([WATERFALL, COFFEE], sizes=[(64, 64)]))
    receipt = gate_b(
        (EDGE / "flow.onnx").read_bytes(), halves["flow"], samples, name="flow", precision="fp16"
    )
    require_passed(receipt)
    assert all(report.max_abs < report.allowed / 3 for report in receipt.outputs.values())


def test_the_shipped_networks_pass(judge: Callable[..., FramesReceipt]) -> None:
    receipt = judge()
    require_passed(receipt)
    assert receipt.passed and receipt.worst is not None
    assert 45 < receipt.worst.psnr < 99, "and it is not the same file that was judged twice"
    (line,) = receipt.lines
    assert f"frame {receipt.worst.index} of '{receipt.worst.photo}'" in line
    content = json.loads(json.dumps(receipt.as_json(), allow_nan=False))
    assert content["worst"]["photo"] == "waterfall.jpg"
    assert content["tolerance"]["psnr"] == 45
    assert content["frames"][0]["psnr_moving"] > 45
    assert content["graphs"] == ["flow", "generator"]


def changed(part: str, how: Callable[[np.ndarray], np.ndarray]) -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        tensor = next(t for t in model.graph.initializer if part in t.name)
        values = how(numpy_helper.to_array(tensor).copy())
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    return edit


def swapped(model: onnx.ModelProto) -> None:
    other = {"moves": "either", "either": "moves"}
    for node in model.graph.node:
        node.output[:] = [other.get(name, name) for name in node.output]


BROKEN: dict[str, tuple[str, Edit, str]] = {
    "velocity turned": ("flow", changed("velocity.heads.weight", lambda w: -w), "dB"),
    "one bias NaN": ("flow", changed("velocity.heads.bias", lambda w: w * np.nan), "velocity holds NaN"),
    "outputs swapped": ("flow", swapped, "dB"),
    "the other graph's bias NaN": ("generator", changed("heads.bias", lambda w: w * np.nan), "holds NaN"),
    "trust turned": ("generator", changed("heads.weight", lambda w: -w), "dB"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_graph_fails(kind: str, judge: Callable[..., FramesReceipt]) -> None:
    graph, edit, said = BROKEN[kind]
    receipt = judge(**{graph: edit})
    assert not receipt.passed
    assert said in receipt.failures[0]
    with pytest.raises(StillflowError, match="fails gate B") as caught:
        require_passed(receipt)
    assert "waterfall.jpg" in caught.value.why


def test_graphs_that_are_not_judged_stay_in_float32(halves: dict[str, bytes], tmp_path: Path) -> None:
    model = onnx.load_from_string(halves["flow"])
    BROKEN["velocity turned"][1](model)
    graphs = {**halves, "flow": model.SerializeToString()}
    with with_half(tmp_path / "edge", graphs) as bundle:
        receipt = gate_b_frames(bundle, "fp16", [WATERFALL], graphs=["generator"], size=96, times=(0.2,))
    assert receipt.passed and receipt.graphs == ("generator",)


def test_photos_where_nothing_moves_judge_nothing(halves: dict[str, bytes], tmp_path: Path) -> None:
    with (
        with_half(tmp_path / "edge", halves) as bundle,
        pytest.raises(StillflowError, match="nothing moves"),
    ):
        gate_b_frames(bundle, "fp16", [COFFEE], size=64)


def test_one_grey_level_of_noise_passes_and_two_do_not() -> None:
    rng = np.random.default_rng(2)
    frame = rng.integers(30, 220, (40, 60, 3), dtype=np.uint8)
    moving = np.zeros((40, 60), bool)
    moving[:, :30] = True
    noise = rng.choice([-1, 1], frame.shape)
    assert judge_frame("a", 0, (frame + noise).astype(np.uint8), frame, moving).failure == ""
    assert "dB" in judge_frame("a", 0, (frame + 2 * noise).astype(np.uint8), frame, moving).failure


def test_what_fails_only_where_it_moves_fails() -> None:
    frame = np.full((40, 60, 3), 120, np.uint8)
    moving = np.zeros((40, 60), bool)
    moving[:4, :6] = True
    got = frame.copy()
    got[moving] += 4
    report = judge_frame("a", 0, got, frame, moving)
    assert report.psnr > 45 and report.psnr_moving is not None and report.psnr_moving < 45
    assert report.failure


def test_darker_and_black_frames_are_called_so() -> None:
    frame = np.full((40, 60, 3), 120, np.uint8)
    moving = np.ones((40, 60), bool)
    dark = frame - 1
    dark[:5] -= 1  # 1.1 grey levels in the mean, and 47 dB
    assert judge_frame("a", 0, dark, frame, moving).psnr > 45
    assert "darker by 1.1" in judge_frame("a", 0, dark, frame, moving).failure
    holed = frame.copy()
    holed[:2, :8] = 0
    assert "went black" in judge_frame("a", 0, holed, frame, moving).failure
    assert judge_frame("a", 0, frame, frame, moving).psnr == 99
