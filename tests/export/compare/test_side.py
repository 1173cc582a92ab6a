# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow_export.compare.side import (
    Spec,
    check_pair,
    given_samples,
    made_up_sample,
    open_sides,
    parse_spec,
    photo_samples,
    vector_samples,
)

from .graphs import chain


@pytest.fixture(scope="module")
def golden(source_tree: Path) -> str:
    return str(source_tree / "tests" / "data" / "bundles" / "golden-1.0")


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    path = tmp_path / "chain.onnx"
    path.write_bytes(chain().SerializeToString())
    return path


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("edge", Spec("edge", None, None)),
        ("edge:fp16", Spec("edge", "fp16", None)),
        ("edge@openvino", Spec("edge", None, "openvino")),
        ("a/b.onnx@openvino", Spec("a/b.onnx", None, "openvino")),
        ("dir@2/edge:int8@openvino", Spec("dir@2/edge", "int8", "openvino")),
        ("dir@2/flow.onnx", Spec("dir@2/flow.onnx", None, None)),
        (":fp16", Spec("", "fp16", None)),
        ("@openvino", Spec("", None, "openvino")),
        ("C:/networks/flow.onnx", Spec("C:/networks/flow.onnx", None, None)),
    ],
)
def test_words_for_sides(text: str, spec: Spec) -> None:
    assert parse_spec(text) == spec


def test_the_second_side_inherits(golden: str) -> None:
    a, b = open_sides(golden, "@openvino", None)
    assert a.data == b.data
    assert (a.engine, b.engine) == ("onnxruntime", "openvino")
    assert a.label == "flow of golden-1.0, fp32, on onnxruntime"


def test_words_that_name_nothing(golden: str, onnx_file: Path, tmp_path: Path, source_tree: Path) -> None:
    edge = str(source_tree / "engines" / "stillflow_engines" / "edge")
    (tmp_path / "bad.onnx").write_bytes(b"garbage")
    for a, b, graph, why in (
        (golden, golden, None, "both sides are the same"),
        (golden, "@onnxruntime", "flo", "no graph 'flo'"),
        (":fp16", golden, None, "names no place"),
        (golden, ":fp12", None, "no precision 'fp12'"),
        (golden, ":fp16", None, "no fp16 file"),
        (edge, "@openvino", None, "it holds the graphs flow, generator"),
        ("none.onnx", golden, None, "no such file"),
        (str(tmp_path / "bad.onnx"), golden, None, "not an ONNX file"),
        (f"{onnx_file}:fp16", golden, None, "the precision that is in it"),
        (golden, "@tensorrt", None, "do not give inner tensors"),
    ):
        with pytest.raises(StillflowError, match=why):
            open_sides(a, b, graph)


def test_graphs_of_other_interfaces_are_refused(golden: str, onnx_file: Path) -> None:
    with pytest.raises(StillflowError, match="take other inputs: hints, photo and photo"):
        check_pair(*open_sides(golden, str(onnx_file), None))
    other = chain()
    other.graph.output.pop()
    second = onnx_file.with_name("other.onnx")
    second.write_bytes(other.SerializeToString())
    with pytest.raises(StillflowError, match="give other outputs: suited, velocity and velocity"):
        check_pair(*open_sides(str(onnx_file), str(second), None))


def test_inputs_from_vectors_noise_files_and_photos(
    golden: str, onnx_file: Path, tmp_path: Path, sample_photo: Path
) -> None:
    side = open_sides(golden, "@openvino", None)[0]
    (vector,) = vector_samples(side)
    assert vector.name == "vectors/flow-0.npz"
    assert set(vector.inputs) == {"photo", "hints"}
    noise = made_up_sample(open_sides(str(onnx_file), "@openvino", None)[0])
    assert noise.inputs["photo"].shape == (1, 3, 256, 256)
    np.savez(tmp_path / "in.npz", photo=np.zeros((1, 3, 32, 32)), hints=np.zeros((1, 6, 32, 32)))
    (given,) = given_samples(side, tmp_path / "in.npz")
    assert given.inputs["photo"].dtype == np.float32
    photos = list(photo_samples(side, [sample_photo]))
    assert photos[0].inputs["photo"].shape == (1, 3, 192, 320)
    with pytest.raises(StillflowError, match="does not say what its inputs mean"):
        next(photo_samples(open_sides(str(onnx_file), "@openvino", None)[0], [sample_photo]))
