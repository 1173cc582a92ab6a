# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stillflow.sessions import open_session
from stillflow_export.compare.marking import MarkedGraph, Match, in_chunks, match_tensors

from .graphs import chain, halved, renamed

SHAPES = {"photo": (1, 3, 16, 24)}


def graph(model: onnx.ModelProto) -> MarkedGraph:
    return MarkedGraph(model.SerializeToString(), SHAPES, "chain")


def test_tensors_are_listed_in_order_with_their_bytes() -> None:
    made = graph(chain(2))
    assert list(made.tensors()) == ["c0", "r0", "c1", "velocity", "suited"]
    assert made.bytes["c0"] == 4 * 4 * 16 * 24


def test_marked_tensors_come_out_and_change_nothing_else() -> None:
    made, photo = graph(chain(3)), np.random.default_rng(0).random((1, 3, 16, 24), np.float32)
    plain = open_session(made.data, "onnxruntime", threads=1).run({"photo": photo})
    more = open_session(made.marked(["c1", "velocity"]), "onnxruntime", threads=1).run({"photo": photo})
    assert list(more) == ["velocity", "suited", "c1"]
    assert more["c1"].shape == (1, 4, 16, 24)
    np.testing.assert_allclose(more["velocity"], plain["velocity"], atol=1e-5)


def test_weights_and_sizes_are_no_tensors() -> None:
    nodes = [
        helper.make_node("Cast", ["w16"], ["w"], to=TensorProto.FLOAT),
        helper.make_node("Shape", ["photo"], ["shape"]),
        helper.make_node("Conv", ["photo", "w"], ["c"]),
        helper.make_node("Reshape", ["c", "shape2"], ["velocity"]),
    ]
    weights = [
        numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float16), "w16"),
        numpy_helper.from_array(np.array([1, -1], np.int64), "shape2"),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("photo", TensorProto.FLOAT, [1, 3, "h", "w"])],
            [helper.make_tensor_value_info("velocity", TensorProto.FLOAT, None)],
            weights,
        )
    )
    assert list(graph(model).tensors()) == ["c", "velocity"]


@pytest.mark.parametrize("change", [renamed, halved, lambda model: model])
def test_forms_of_one_graph_match_in_all_tensors(change: object) -> None:
    a, b = graph(chain()), graph(change(chain()))  # type: ignore[operator]
    matches, of_a, _ = match_tensors(a, b)
    assert len(matches) == of_a == 13
    assert [m.node for m in matches[:3]] == ["conv0", "relu0", "conv1"]
    assert len({m.twin for m in matches}) == len(matches)
    assert {m.half for m in matches} == {change is halved}
    assert not any(m.quantised for m in matches)
    assert matches[1].inputs == ("c0",)


def test_half_of_the_names_match_where_half_of_the_graph_is_there() -> None:
    matches, of_a, of_b = match_tensors(graph(chain(4)), graph(chain(2)))
    assert (len(matches), of_a, of_b) == (5, 9, 5)


def test_dequantised_layers_are_known() -> None:
    scale = numpy_helper.from_array(np.array(0.1, np.float32), "s")
    zero = numpy_helper.from_array(np.array(0, np.int8), "z")
    model = chain(2)
    model.graph.initializer.extend([scale, zero])
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(
        [
            helper.make_node("QuantizeLinear", ["photo", "s", "z"], ["q"], name="quantise"),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], name="dequantise"),
            *nodes,
        ]
    )
    model.graph.node[2].input[0] = "d"
    matches, _, _ = match_tensors(graph(chain(2)), graph(model))
    assert [m.node for m in matches if m.quantised] == ["conv0"]


def test_chunks_keep_the_budget_and_the_order() -> None:
    def match(name: str, size: int) -> Match:
        return Match(name, name, name, "Conv", (), half=False, quantised=False, bytes=size)

    sizes = [30, 30, 30, 500, 0, 0, 90]
    matches = [match(str(i), size) for i, size in enumerate(sizes)]
    chunks = [[int(m.name) for m in chunk] for chunk in in_chunks(matches, 100)]
    assert chunks == [[0, 1, 2], [3], [4, 5], [6]]
    assert list(in_chunks([], 100)) == []
