# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from stillflow.errors import StillflowError
from stillflow_export.compare import Comparison, Side, compare
from stillflow_export.samples import Sample

from .graphs import DEPTH, chain, halved, renamed, with_weight

SAMPLES = [
    Sample(f"noise {seed}", {"photo": np.random.default_rng(seed).random((1, 3, 16, 24), np.float32)})
    for seed in range(2)
]


def side(model: onnx.ModelProto, engine: str = "onnxruntime", label: str = "") -> Side:
    return Side(label or f"chain on {engine}", model.SerializeToString(), engine)


def run(a: onnx.ModelProto, b: onnx.ModelProto, engine: str = "onnxruntime", **options: object) -> Comparison:
    return compare(side(a, label="A"), side(b, engine, label="B"), SAMPLES, threads=1, **options)  # type: ignore[arg-type]


@settings(max_examples=12, deadline=None)
@given(
    layer=st.integers(0, DEPTH - 1),
    factor=st.sampled_from([0.5, 0.99, 1.01, 3.0]),
    bisect=st.booleans(),
    budget=st.sampled_from([1, 20_000, 1 << 28]),
    rename=st.booleans(),
)
def test_a_broken_weight_is_found_in_its_layer(
    layer: int, factor: float, bisect: bool, budget: int, rename: bool
) -> None:
    broken = with_weight(chain(), f"w{layer}", factor)
    found = run(chain(), renamed(broken) if rename else broken, bisect=bisect, budget=budget)
    assert found.exceeds is not None
    assert (found.exceeds.node, found.exceeds.operator) == (f"conv{layer}", "Conv")
    assert found.exceeds.before == 0
    assert found.alone[found.exceeds.tensor] == pytest.approx(found.exceeds.relative, rel=1e-3)
    if not bisect:
        assert found.jumps == found.exceeds
        assert len(found.layers) == found.matched == 2 * DEPTH + 1


def test_a_weight_that_gives_nan_is_found() -> None:
    found = run(chain(), with_weight(chain(), "w2", np.nan))
    assert found.exceeds is not None
    assert found.exceeds.node == "conv2"
    assert found.parted
    json.dumps(found.as_json(), allow_nan=False)


def test_a_bias_that_is_off_by_rounding_is_not_called_a_jump() -> None:
    found = run(chain(), with_weight(chain(), "b2", 1 + 1e-6))
    assert (found.exceeds, found.jumps) == (None, None)
    assert not found.parted


def test_equal_graphs_do_not_part() -> None:
    for bisect in (False, True):
        found = run(chain(), renamed(chain()), bisect=bisect)
        assert (found.exceeds, found.jumps, found.parted) == (None, None, False)
        assert max(error.relative for error in found.outputs.values()) < 1e-6


def test_float16_rounds_and_does_not_jump() -> None:
    found = run(chain(), halved(chain()))
    assert found.threshold == 2e-2
    assert (found.exceeds, found.jumps) == (None, None)
    assert 1e-5 < found.outputs["velocity"].relative < 5e-3
    assert {layer.format for layer in found.layers} == {"fp16"}, "of what they are made from, too"


def test_float16_that_overflows_is_found_in_its_layer() -> None:
    # The sums of conv3 reach about 1e6 in float32; a later layer brings them back into range.
    wide = with_weight(with_weight(chain(), "w3", 1e6), "w4", 1e-6)
    found = run(wide, halved(wide))
    assert found.exceeds is not None
    assert found.exceeds.node == "conv3"


def test_engines_part_where_one_of_them_ignores_an_attribute() -> None:
    middle = helper.make_node("Resize", ["", "", "scales"], [""], name="shrink", mode="linear", antialias=1)
    model = chain(middle=middle)
    found = run(model, model, "openvino")
    if not found.parted:
        pytest.skip("this openvino heeds the antialias of Resize")
    assert found.exceeds is not None
    assert found.exceeds.node == "shrink"
    assert found.exceeds == found.jumps
    assert run(chain(), chain(), "openvino").exceeds is None


def test_a_relu_that_is_almost_dead_does_not_jump() -> None:
    model = chain()
    bias = next(t for t in model.graph.initializer if t.name == "b3")
    # conv3 goes just above zero in few places: what is left has no scale to speak of.
    bias.CopyFrom(onnx.numpy_helper.from_array(np.full(4, -1.0, np.float32), "b3"))
    found = run(model, halved(model))
    assert (found.exceeds, found.jumps) == (None, None)
    (relu,) = [layer for layer in found.layers if layer.node == "relu3"]
    assert relu.relative <= relu.error.relative


def test_bisecting_marks_few_of_many() -> None:
    broken = with_weight(chain(60), "w41", 1.1)
    found = run(chain(60), broken, bisect=True)
    assert found.exceeds is not None
    assert found.exceeds.node == "conv41"
    assert len(found.layers) < 40 < found.matched == 121


def test_the_late_branch_of_an_early_layer_is_not_blamed() -> None:
    # pool comes last in the file and reads relu0: what broke conv0 is found there by both searches.
    for bisect in (False, True):
        found = run(chain(), with_weight(chain(), "w0", 1.5), bisect=bisect)
        assert found.exceeds is not None
        assert found.exceeds.node == "conv0"


def test_marking_is_judged_and_a_table_can_be_made() -> None:
    found = run(chain(), with_weight(chain(), "w3", 1.5), threshold=1e-3)
    assert set(found.marking) == {"A", "B"}
    assert max(found.marking.values()) < 1e-5
    worst = found.worst(3)
    assert [w.relative for w in worst] == sorted((w.relative for w in found.layers), reverse=True)[:3]
    assert found.samples == ("noise 0", "noise 1")


def test_graphs_that_share_nothing_are_refused() -> None:
    other = renamed(chain())
    for node in other.graph.node:
        node.name = f"other_{node.name}"
        node.output[:] = [f"{n}_2" if n in ("velocity", "suited") else n for n in node.output]
    for value in other.graph.output:
        value.name += "_2"
    with pytest.raises(StillflowError, match="no tensor of one has the name"):
        run(chain(), other)
