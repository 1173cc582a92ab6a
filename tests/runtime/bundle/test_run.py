# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from stillflow.bundle import Bundle
from stillflow.bundle.manifest import Tensor
from stillflow.bundle.run import check_result_file, fitted, read_inputs, run_graph
from stillflow.bundle.verify import read_vector
from stillflow.errors import StillflowError

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def bundle(golden: Path) -> Bundle:
    return Bundle.open(golden)


@pytest.fixture
def arrays() -> Arrays:
    rng = np.random.default_rng(1)
    photo = rng.random((1, 3, 32, 64), np.float32)
    return {"photo": photo, "hints": np.zeros((1, 6, 32, 64), np.float32)}


def refused(bundle: Bundle, arrays: Arrays, *says: str) -> None:
    with pytest.raises(StillflowError) as caught:
        run_graph(bundle, "flow", arrays)
    for words in says:
        assert words in str(caught.value), caught.value
    assert len(str(caught.value)) < 1200


def test_vector_gives_its_expected_outputs(bundle: Bundle, golden: Path) -> None:
    path = golden / "vectors" / "flow-0.npz"
    inputs, notes = read_inputs(path)
    assert set(inputs) == {"photo", "hints"}
    assert "expected outputs" in notes[0]
    expected = read_vector(path.read_bytes(), "flow-0.npz")
    done = run_graph(bundle, "flow", inputs, threads=1)
    assert list(done.outputs) == ["classes", "moves", "velocity", "spread"]
    for name, array in done.outputs.items():
        np.testing.assert_allclose(array, expected[f"output.{name}"], atol=1e-5)
    assert (done.precision, done.engine, done.provider) == ("fp32", "onnxruntime", "CPUExecutionProvider")
    assert done.figures()["velocity"]["shape"] == list(done.outputs["velocity"].shape)
    assert done.notes == ()


def test_wider_floats_are_cast_and_said_so(bundle: Bundle, arrays: Arrays) -> None:
    done = run_graph(bundle, "flow", arrays)
    for dtype in (np.float64, ">f4", np.float16):
        other = run_graph(bundle, "flow", {**arrays, "hints": arrays["hints"].astype(dtype)})
        assert (len(other.notes) == 1) == (np.dtype(dtype).itemsize != 4)
        np.testing.assert_array_equal(other.outputs["velocity"], done.outputs["velocity"])


def test_float64_beyond_float32_is_refused(bundle: Bundle, arrays: Arrays) -> None:
    refused(bundle, {**arrays, "hints": np.full((1, 6, 32, 64), 1e300)}, "'hints'", "beyond 3.4e+38")


def test_values_beyond_the_range_and_nan_are_noted(bundle: Bundle, arrays: Arrays) -> None:
    done = run_graph(bundle, "flow", {**arrays, "photo": arrays["photo"] * 255})
    assert re.search(r"'photo' goes from 0\.\d+ to 25\d.* says 0 to 1", done.notes[0])
    arrays["photo"][0, 0, 3, 4] = np.nan
    done = run_graph(bundle, "flow", arrays)
    assert done.notes[0] == "'photo' holds 1 NaN or infinite values"


def test_names_missing_and_unknown(bundle: Bundle, arrays: Arrays) -> None:
    refused(
        bundle,
        {"Photo": arrays["photo"]},
        "the input 'photo', 'hints' is missing",
        "no input 'Photo'",
        "photo float32 (1, 3, height, width)",
    )
    refused(bundle, {}, "'photo', 'hints' is missing")
    refused(bundle, {**arrays, "x" * 5000: arrays["photo"]}, "no input 'xxx")


def test_bytes_are_refused_with_the_range(bundle: Bundle, arrays: Arrays) -> None:
    photo = np.zeros((1, 3, 32, 64), np.uint8)
    refused(bundle, {**arrays, "photo": photo}, "'photo' is uint8", "float32 in 0 to 1: scale it")
    for dtype in ("U3", bool, np.complex64, "M8[s]", np.int32):
        refused(bundle, {**arrays, "hints": np.zeros((1, 6, 32, 64), dtype)}, "'hints' is", "cast it")


SHAPES: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[str, ...]]] = {
    "not batched": (
        (3, 32, 64),
        (1, 6, 32, 64),
        ("'photo' has the shape (3, 32, 64)", "(1, 3, height, width)"),
    ),
    "channels last": ((1, 32, 64, 3), (1, 6, 32, 64), ("32 in dimension 1 (channels) and should have 3",)),
    "batch of two": ((2, 3, 32, 64), (2, 6, 32, 64), ("2 in dimension 0 (batch) and should have 1",)),
    "odd height": (
        (1, 3, 100, 64),
        (1, 6, 100, 64),
        ("the height of 'photo' is 100", "next that fit: 96 or 128"),
    ),
    "narrow": ((1, 3, 32, 5), (1, 6, 32, 5), ("the width of 'photo' is 5", "next that fit: 32)")),
    "unlike": ((1, 3, 32, 64), (1, 6, 64, 64), ("'hints' has 64 in dimension 2 (height)", "'photo' says 32")),
    "empty": ((1, 3, 0, 64), (1, 6, 32, 64), ("nothing can be empty",)),
    "scalar": ((), (1, 6, 32, 64), ("'photo' has the shape ()",)),
    "all wrong": ((1, 4, 33, 65), (1, 7, 34, 66), ("; and 2 more",)),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_shapes_are_refused_with_dimension_found_and_next(kind: str, bundle: Bundle) -> None:
    photo, hints, says = SHAPES[kind]
    arrays = {"photo": np.zeros(photo, np.float32), "hints": np.zeros(hints, np.float32)}
    refused(bundle, arrays, *says, "fix: give photo float32")


def test_halved_dimensions_count_in_whole_pixels(bundle: Bundle) -> None:
    graph = bundle.graph("flow")
    half = Tensor(name="half", dtype="float32", shape=(1, 1, "height/2", "width/2"))
    import msgspec

    both = msgspec.structs.replace(graph, inputs=(graph.inputs[0], half), multiple=4)
    photo = np.zeros((1, 3, 8, 12), np.float32)
    ready, _ = fitted(bundle.manifest, both, {"photo": photo, "half": np.zeros((1, 1, 4, 6), np.float32)})
    assert set(ready) == {"photo", "half"}
    with pytest.raises(
        StillflowError, match=r"5 in dimension 3 \(width/2\), so the width is 10; 'photo' says 12"
    ):
        fitted(bundle.manifest, both, {"photo": photo, "half": np.zeros((1, 1, 4, 5), np.float32)})


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_the_arrays_are_they_run_or_are_refused(bundle: Bundle, data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(["photo", "hints", "x", ""]), unique=True, max_size=3))
    arrays = {}
    for name in names:
        usual = st.just((1, 3 if name == "photo" else 6, 32, 32))
        shape = data.draw(usual | arrays_of.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=33))
        dtype = data.draw(st.sampled_from(["f4", "f8", ">f4", "f2", "u1", "i8", "c8", "?", "U1"]))
        arrays[name] = np.zeros(shape, dtype)
    fits = set(names) == {"photo", "hints"} and all(
        a.shape == (1, 3 if n == "photo" else 6, 32, 32) and a.dtype.kind == "f" for n, a in arrays.items()
    )
    try:
        done = run_graph(bundle, "flow", arrays, threads=1)
    except StillflowError as error:
        assert not fits or "which 32 does not divide" in error.why
        assert error.fix
    else:
        assert done.outputs["velocity"].shape[1] == 2


def test_unknown_graph_lists_graphs_with_inputs(bundle: Bundle, arrays: Arrays) -> None:
    with pytest.raises(
        StillflowError, match=r"no graph 'flo': it has flow\(photo float32 \(1, 3, height, width\)"
    ):
        run_graph(bundle, "flo", arrays)


def test_unknown_precision_and_engine(bundle: Bundle, arrays: Arrays) -> None:
    with pytest.raises(StillflowError, match="no fp16 file of the graph flow: it has fp32"):
        run_graph(bundle, "flow", arrays, precision="fp16")
    with pytest.raises(StillflowError, match="no such precision"):
        run_graph(bundle, "flow", arrays, precision="all")
    with pytest.raises(StillflowError, match="abacus"):
        run_graph(bundle, "flow", arrays, engine="abacus")


def test_result_file_is_judged_before_anything_runs(tmp_path: Path) -> None:
    inputs = tmp_path / "in.npz"
    inputs.write_bytes(b"x")
    for out, overwrite, why in (
        ("out.txt", False, "does not end in .npz"),
        ("none/out.npz", False, "does not exist"),
        ("in.npz", False, "exists already"),
        ("in.npz", True, "the file of the inputs"),
    ):
        with pytest.raises(StillflowError, match=why):
            check_result_file(tmp_path / out, inputs, overwrite=overwrite)
    check_result_file(tmp_path / "out.npz", inputs, overwrite=False)


def test_figures_of_nothing_finite(bundle: Bundle, arrays: Arrays) -> None:
    done = run_graph(bundle, "flow", arrays)
    done.outputs["velocity"] = np.full((1, 2), np.nan, np.float32)
    assert done.figures()["velocity"] == {
        "dtype": "float32", "shape": [1, 2], "min": None, "max": None, "mean": None,
    }  # fmt: skip


def test_at_another_precision(edited: Callable[..., Path], copy: Path, arrays: Arrays) -> None:
    def add(content: dict[str, Any]) -> None:
        graph = content["graphs"][0]
        entry = next(file for file in content["files"] if file["path"] == "flow.onnx")
        graph["variants"] = [{"precision": "fp16", "file": "flow.fp16.onnx", "sha256": graph["sha256"]}]
        content["files"].append({**entry, "path": "flow.fp16.onnx"})

    (copy / "flow.fp16.onnx").write_bytes((copy / "flow.onnx").read_bytes())
    assert run_graph(Bundle.open(edited(add)), "flow", arrays, precision="fp16").precision == "fp16"
