# SPDX-License-Identifier: Apache-2.0
"""Bundles through ONNX Runtime: ours pass their test vectors, and what was changed is refused."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillflow.bundle.npz import write_npz

from ..internals import ROOT, Error, internals
from ..structs import ARGUMENT, DIFFERS, ENGINE, FILE, FORMAT, LIMIT, UNSUPPORTED, BundleSource
from .calls import Bundle, RefusedError, onnxruntime

EDGE = ROOT / "engines" / "stillflow_engines" / "edge"
GOLDEN = ROOT / "tests" / "data" / "bundles" / "golden-1.0"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "copy"))


def packed(folder: Path, target: Path, top: str = "") -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, top + path.relative_to(folder).as_posix())
    return target


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a manifest, and bring the sums of all files in it up to date."""
    path = folder / "manifest.json"
    content = json.loads(path.read_bytes())
    change(content)
    sums = {}
    for file in content["files"]:
        data = (folder / file["path"]).read_bytes()
        sums[file["path"]] = file["sha256"] = hashlib.sha256(data).hexdigest()
        file["bytes"] = len(data)
    for part in (*content["graphs"], *content["vectors"], *content["receipts"]):
        part["sha256"] = sums[part["file"]]
    path.write_text(json.dumps(content))


def refused(path: Path, status: int, why: str, **options: Any) -> RefusedError:
    """Opening, or at the latest testing, gives this."""
    with pytest.raises(RefusedError, match=why) as caught:
        open_and_test(path, **options)
    assert caught.value.status == status
    assert caught.value.what
    assert caught.value.fix
    return caught.value


def open_and_test(path: Path, **options: Any) -> None:
    with Bundle(path, threads=1, **options) as bundle:
        bundle.test()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_shipped_bundle_passes_its_test_vectors(
    precision: str, capfd: pytest.CaptureFixture[str]
) -> None:
    open_and_test(EDGE, precision=precision)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("top", ["", "golden/"])
def test_a_zip_is_the_same_bundle(tmp_path: Path, top: str) -> None:
    open_and_test(GOLDEN)
    open_and_test(packed(GOLDEN, tmp_path / "golden.sfb", top))


def test_two_at_once_and_many_in_turn() -> None:
    files = len(os.listdir("/proc/self/fd"))
    with Bundle(GOLDEN) as one:
        for _ in range(10):
            with Bundle(GOLDEN) as other:
                other.test()
        one.test()
    assert len(os.listdir("/proc/self/fd")) <= files


def test_feature_scenes_are_refused_with_a_way_out() -> None:
    error = refused(GOLDEN.parent / "golden-1.1", UNSUPPORTED, "symmetric_splat")
    assert "stillflow animate" in error.fix


@pytest.mark.parametrize("file", ["flow.onnx", "vectors/flow-0.npz", "LICENSES/Apache-2.0.txt"])
def test_one_flipped_bit_is_refused_by_its_sum(copy: Path, tmp_path: Path, file: str) -> None:
    data = bytearray((copy / file).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / file).write_bytes(data)
    refused(copy, FORMAT, f"bytes of {file} are not those")
    refused(packed(copy, tmp_path / "x.sfb"), FORMAT, f"bytes of {file} are not those")


def test_longer_shorter_and_missing_files_are_refused(copy: Path) -> None:
    path = copy / "flow.onnx"
    data = path.read_bytes()
    path.write_bytes(data + b"x")
    refused(copy, FORMAT, "longer than it may be")
    path.write_bytes(data[:-1])
    refused(copy, FORMAT, "not those")
    path.unlink()
    refused(copy, FILE, "no such file")
    (copy / "manifest.json").unlink()
    refused(copy, FILE, r"manifest\.json: there is no such file")


def test_a_huge_manifest_is_refused(copy: Path) -> None:
    with (copy / "manifest.json").open("ab") as file:
        file.write(b" " * (4 << 20))
    refused(copy, FORMAT, "longer than it may be")


def test_weights_in_another_file_are_refused(copy: Path) -> None:
    path = copy / "flow.onnx"
    path.write_bytes(path.read_bytes() + b"\x0a\x0a\x08location")
    edit(copy, lambda content: None)
    refused(copy, FORMAT, "weights from another file")


def test_a_graph_of_garbage_is_the_engines_error(copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (copy / "flow.onnx").write_bytes(b"garbage")
    edit(copy, lambda content: None)
    refused(copy, ENGINE, "ONNX Runtime .* says")
    assert capfd.readouterr() == ("", "")


def test_a_graph_that_is_not_as_the_manifest_says(copy: Path) -> None:
    def more(content: dict[str, Any]) -> None:
        content["graphs"][0]["inputs"].append({"name": "mood", "dtype": "float32", "shape": [1]})

    edit(copy, more)
    refused(copy, FORMAT, "the inputs of the graph flow are not those")


def change_vector(folder: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    path = folder / "vectors" / "flow-0.npz"
    arrays = dict(np.load(path))
    change(arrays)
    write_npz(path, arrays)
    edit(folder, lambda content: None)


def test_one_wrong_value_is_named_with_its_place(copy: Path) -> None:
    def spoil(arrays: dict[str, np.ndarray]) -> None:
        arrays["output.velocity"][0, 1, 3, 5] += 0.5

    change_vector(copy, spoil)
    refused(copy, DIFFERS, r"velocity is off by 0\.5 at \(0, 1, 3, 5\), allowed 0\.00")


def test_a_value_that_is_no_number_differs(copy: Path) -> None:
    def spoil(arrays: dict[str, np.ndarray]) -> None:
        arrays["output.moves"][0, 0, 0, 0] = np.nan

    change_vector(copy, spoil)
    refused(copy, DIFFERS, "moves holds values that are not finite")


@pytest.mark.parametrize("name", ["output.spread", "input.hints"])
def test_a_vector_that_lacks_an_array_differs(copy: Path, name: str) -> None:
    change_vector(copy, lambda arrays: arrays.pop(name))
    refused(copy, DIFFERS, f"holds no array {name}")


def test_inputs_of_another_size_are_the_engines_error(copy: Path) -> None:
    def shrink(arrays: dict[str, np.ndarray]) -> None:
        arrays["input.photo"] = arrays["input.photo"][:, :2]

    change_vector(copy, shrink)
    refused(copy, ENGINE, "a network|ONNX Runtime .* says")


def test_a_graph_without_vectors_or_tolerance_differs(copy: Path) -> None:
    edit(copy, lambda content: content["vectors"][0]["tolerance"]["fp32"].pop("moves"))
    refused(copy, DIFFERS, "no tolerance for moves at fp32")
    edit(copy, lambda content: content["vectors"].clear())
    refused(copy, DIFFERS, "no test vector")


def test_precisions_that_are_not_there(copy: Path) -> None:
    refused(copy, ARGUMENT, "no fp16 file of the graph flow", precision="fp16")
    refused(copy, ARGUMENT, "no precision 'fp64'", precision="fp64")


def test_a_provider_that_is_not_there_is_no_silent_fallback(capfd: pytest.CaptureFixture[str]) -> None:
    import onnxruntime as ort

    for provider, name in (("cuda", "CUDAExecutionProvider"), ("tensorrt", "TensorrtExecutionProvider")):
        if name not in ort.get_available_providers():
            refused(GOLDEN, ENGINE, "ONNX Runtime .* says", provider=provider)
    assert capfd.readouterr() == ("", "")


def test_memory_has_a_limit() -> None:
    open_and_test(GOLDEN, memory_limit=1 << 20)
    refused(GOLDEN, LIMIT, "more than the limit of 16384", memory_limit=1 << 14)
    refused(EDGE, LIMIT, "more than the limit of 4194304", memory_limit=4 << 20)


def test_an_instruction_set_that_is_not_there() -> None:
    refused(GOLDEN, UNSUPPORTED, "instruction set", isa=9)


def test_arguments_that_are_not_there() -> None:
    library = internals()
    library.sf_bundle_open.argtypes = (ctypes.c_void_p,) * 3
    library.sf_bundle_close.argtypes = (ctypes.c_void_p,)
    library.sf_bundle_test.argtypes = (ctypes.c_void_p,) * 2
    opened, error = ctypes.c_void_p(1), Error()
    source = BundleSource(path=os.fsencode(GOLDEN), onnxruntime=onnxruntime().encode())
    for bad in (None, BundleSource(), BundleSource(path=source.path)):
        if bad is not None and bad.path:
            bad.struct_size -= 1
        given = None if bad is None else ctypes.byref(bad)
        assert library.sf_bundle_open(given, ctypes.byref(opened), ctypes.byref(error)) == ARGUMENT
        assert (opened.value, error.status) == (None, ARGUMENT)
    assert library.sf_bundle_open(ctypes.byref(source), None, None) == ARGUMENT
    assert library.sf_bundle_test(None, None) == ARGUMENT
    library.sf_bundle_close(None)
    # Without a place for the error only the status comes back.
    source.path = b"/nowhere"
    assert library.sf_bundle_open(ctypes.byref(source), ctypes.byref(opened), None) == FILE
