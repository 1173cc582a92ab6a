# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import io
import weakref
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillflow.bundle import Bundle
from stillflow.bundle.manifest import Tolerance
from stillflow.bundle.verify import compare, read_vector
from stillflow.errors import StillflowError
from stillflow.sessions import Session

TIGHT = Tolerance(absolute=1e-3, relative=1e-2)


def test_compare_names_place_and_allowance() -> None:
    expected = np.array([[0.0, 10.0, -10.0]], np.float32)
    got = expected + np.array([[0.0005, 0.05, 0.3]], np.float32)
    check = compare("x", got, expected, TIGHT)
    assert not check.ok
    assert check.error == pytest.approx(0.3, rel=1e-4)
    assert check.tolerance == pytest.approx(0.101)
    assert "(0, 2)" in check.detail


def test_compare_accepts_what_is_allowed() -> None:
    expected = np.array([0.0, 10.0], np.float32)
    assert compare("x", expected + np.float32(0.0009), expected, TIGHT).ok


def test_compare_without_allowance_wants_equality() -> None:
    values = np.arange(4, dtype=np.float32)
    exact = Tolerance(absolute=0)
    assert compare("x", values, values, exact).ok
    assert not compare("x", np.nextafter(values, np.float32(9)), values, exact).ok


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_compare_never_accepts_what_is_not_finite(bad: float) -> None:
    values = np.array([bad], np.float32)
    assert not compare("x", values, values, Tolerance(absolute=1e30)).ok


def test_compare_wants_shape_and_type() -> None:
    values = np.zeros((2, 2), np.float32)
    assert not compare("x", values[None], values, TIGHT).ok
    assert not compare("x", values.astype(np.float64), values, TIGHT).ok


def replace(copy: Path, edited: Callable[..., Path], path: str, data: bytes) -> Bundle:
    """Put other bytes in a bundle and let the manifest say they are right."""
    (copy / path).write_bytes(data)

    def accept(content: dict[str, Any]) -> None:
        for entry in (*content["graphs"], *content["vectors"], *content["files"]):
            if entry.get("file", entry.get("path")) == path:
                entry["sha256"] = hashlib.sha256(data).hexdigest()
                if "bytes" in entry:
                    entry["bytes"] = len(data)

    return Bundle.open(edited(accept))


def test_vector_with_one_wrong_value_fails(copy: Path, edited: Callable[..., Path]) -> None:
    path = "vectors/flow-0.npz"
    arrays = read_vector((copy / path).read_bytes(), path)
    arrays["output.velocity"][0, 1, 2, 3] += 0.01
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    failed = [c for c in replace(copy, edited, path, buffer.getvalue()).verify() if not c.ok]
    assert [check.name for check in failed] == [f"vector {path} velocity"]
    assert "(0, 1, 2, 3)" in failed[0].detail


def test_vector_without_an_output_fails(copy: Path, edited: Callable[..., Path]) -> None:
    path = "vectors/flow-0.npz"
    arrays = read_vector((copy / path).read_bytes(), path)
    del arrays["output.moves"]
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    failed = [c for c in replace(copy, edited, path, buffer.getvalue()).verify() if not c.ok]
    assert [check.detail for check in failed] == ["the vector gives no expected values for this output"]


def test_graph_of_garbage_fails_without_raising(copy: Path, edited: Callable[..., Path]) -> None:
    failed = [c.name for c in replace(copy, edited, "flow.onnx", b"garbage").verify() if not c.ok]
    assert failed == ["graph flow"]


def test_graph_without_vectors_fails(edited: Callable[..., Path]) -> None:
    failed = [c.name for c in Bundle.open(edited(lambda m: m.update(vectors=[]))).verify() if not c.ok]
    assert failed == ["vectors of flow"]


def test_absent_engine_is_reported(golden: Path) -> None:
    failed = [c for c in Bundle.open(golden).verify(engine="abacus") if not c.ok]
    assert [c.name for c in failed] == ["graph flow"]


def npz(name: str, data: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def npy(header: bytes, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.array([{"a": 1}], object))
    return buffer.getvalue()


BAD_VECTORS = {
    "not a zip": b"hello",
    "empty": b"",
    "pickle": pickled(),
    "bomb": npz("x.npy", b"\0" * (300 << 20), zipfile.ZIP_DEFLATED),
    "nonsense header": npz("x.npy", npy(b"import os\n")),
    "deep header": npz("x.npy", npy(b"(" * 5000 + b"\n")),
    "huge shape": npz("x.npy", npy(b"{'descr':'<f4','fortran_order':False,'shape':(99999999999999,)}\n")),
    "negative shape": npz("x.npy", npy(b"{'descr':'<f4','fortran_order':False,'shape':(-4,)}\n")),
    "truncated array": npz("x.npy", npy(b"{'descr':'<f4','fortran_order':False,'shape':(100,)}\n", b"12")),
}


@pytest.mark.parametrize("kind", BAD_VECTORS)
def test_bad_vectors_are_refused(kind: str) -> None:
    with pytest.raises(StillflowError, match="cannot read the test vector"):
        read_vector(BAD_VECTORS[kind], "vectors/x.npz")


def with_fp16(copy: Path, edited: Callable[..., Path], tolerance: bool) -> Bundle:
    """A bundle with a second file of its graph, here of the same bytes, at another precision."""
    (copy / "flow.fp16.onnx").write_bytes((copy / "flow.onnx").read_bytes())

    def add(content: dict[str, Any]) -> None:
        graph = content["graphs"][0]
        entry = next(file for file in content["files"] if file["path"] == "flow.onnx")
        graph["variants"] = [{"precision": "fp16", "file": "flow.fp16.onnx", "sha256": graph["sha256"]}]
        content["files"].append({**entry, "path": "flow.fp16.onnx"})
        for vector in content["vectors"] if tolerance else ():
            vector["tolerance"]["fp16"] = vector["tolerance"]["fp32"]

    return Bundle.open(edited(add))


def test_all_precisions_are_run(copy: Path, edited: Callable[..., Path]) -> None:
    checks = with_fp16(copy, edited, tolerance=True).verify(precision="all")
    assert all(check.ok for check in checks)
    ran = [check.ran for check in checks if check.name.startswith("graph ")]
    assert [(r.graph, r.precision, r.engine, r.provider) for r in ran if r] == [
        ("flow", "fp32", "onnxruntime", "CPUExecutionProvider"),
        ("flow", "fp16", "onnxruntime", "CPUExecutionProvider"),
    ]
    assert sum(check.name.endswith(" fp16") for check in checks) == 1 + 4


def test_a_precision_without_tolerance_fails_and_says_so(copy: Path, edited: Callable[..., Path]) -> None:
    checks = with_fp16(copy, edited, tolerance=False).verify(precision="fp16")
    failed = [check for check in checks if not check.ok]
    assert [check.name for check in failed] == [
        f"vector vectors/flow-0.npz {output} fp16" for output in ("classes", "moves", "velocity", "spread")
    ]
    assert failed[0].detail.endswith("no tolerance for this output at fp16 (it gives: fp32)")


def test_a_precision_that_is_not_there_fails(golden: Path) -> None:
    failed = [check for check in Bundle.open(golden).verify(precision="int8") if not check.ok]
    assert [(check.name, check.detail) for check in failed] == [
        ("graph flow int8", "the bundle has no int8 file of it, only fp32")
    ]


def test_a_precision_that_does_not_exist_is_refused(golden: Path) -> None:
    with pytest.raises(StillflowError, match="no such precision"):
        Bundle.open(golden).verify(precision="fp12")


def test_one_session_is_alive_at_a_time(default_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[Session]] = []
    bundle = Bundle.open(default_bundle)
    real = bundle.session

    def counted(*words: Any, **options: Any) -> Session:
        assert not any(ref() is not None for ref in alive)
        session = real(*words, **options)
        alive.append(weakref.ref(session))
        return session

    monkeypatch.setattr(bundle, "session", counted)
    assert all(check.ok for check in bundle.verify(threads=1))
    assert len(alive) == 2
