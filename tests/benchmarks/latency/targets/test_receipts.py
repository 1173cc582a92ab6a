# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from stillflow.bundle import Bundle
from stillflow_bench.latency.targets import receipts
from stillflow_bench.latency.targets.receipts import Receipt, hashes_of, receipts_of
from stillflow_engines import bundle_path


def receipt(bundle: Bundle, engine: str, precision: str) -> Receipt:
    session = bundle.session("generator", engine, precision=precision, threads=1)
    (found,) = receipts_of(bundle, {"generator": session}, {"generator": precision}, "cpu").values()
    return found


def test_hashes_are_of_what_is_loaded() -> None:
    found = hashes_of(Bundle.open(), {"flow": "fp32", "generator": "fp16"})
    files = {"bundle": "manifest.json", "flow": "flow.onnx", "generator": "generator.fp16.onnx"}
    folder = Path(bundle_path("edge"))
    assert found == {
        name: hashlib.sha256((folder / file).read_bytes()).hexdigest() for name, file in files.items()
    }


@pytest.mark.parametrize(("precision", "gate"), [("fp32", "A"), ("fp16", "B")])
def test_onnxruntime_runs_the_file_that_the_bundles_receipt_is_about(precision: str, gate: str) -> None:
    bundle = Bundle.open()
    found = receipt(bundle, "onnxruntime", precision)
    assert (found["gate"], found["graph"], found["passed"]) == (gate, "generator", True)
    assert found["onnx_sha256"] == hashes_of(bundle, {"generator": precision})["generator"]
    assert (found["engine"], found["precision"]) == ("onnxruntime", precision)
    kept = json.loads(bundle.read(found["file"]))
    assert kept.items() <= found.items()


def test_another_engine_is_judged_here_and_now() -> None:
    pytest.importorskip("openvino", reason="openvino is not installed: pip install 'stillflow[openvino]'")
    bundle = Bundle.open()
    found = receipt(bundle, "openvino", "fp32")
    assert (found["gate"], found["graph"], found["passed"], found["engine"]) == (
        "C",
        "generator",
        True,
        "openvino",
    )
    assert found["onnx_sha256"] == hashes_of(bundle, {"generator": "fp32"})["generator"]


class Engine:
    """What is asked of a session on TensorRT."""

    engine = "tensorrt"


def test_an_engine_that_was_built_has_its_receipt_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, key = Bundle.open(), "e" * 64
    digest = hashes_of(bundle, {"flow": "fp16"})["flow"]
    kept = {"gate": "C", "graph": "flow", "onnx_sha256": digest, "engine": "tensorrt", "passed": True}

    def find(data: bytes, *_: object) -> tuple[SimpleNamespace, bytes]:
        assert hashlib.sha256(data).hexdigest() == digest
        return SimpleNamespace(parts=SimpleNamespace(key=key), sha256="of the engine"), b""

    monkeypatch.setattr("stillflow.sessions.tensorrt.find_engine", find)
    monkeypatch.setattr("stillflow.build.adapter.Library.open", lambda name: name)
    monkeypatch.setattr(
        "stillflow.build.cache.EngineCache.gate", lambda _, asked: {"receipt": kept} if asked == key else None
    )
    monkeypatch.setattr(receipts, "find_gpu", lambda index: f"GPU {index}")
    (found,) = receipts_of(bundle, {"flow": Engine()}, {"flow": "fp16"}, "cuda:1").values()  # type: ignore[dict-item]
    assert found == {**kept, "engine_sha256": "of the engine", "file": f"engines/{key}/gate-c.json"}


@pytest.mark.parametrize("broken", [b"[1]", b"{", b'{"onnx_sha256": "0000", "passed": true}'])
def test_a_receipt_about_other_bytes_is_none(tmp_path: Path, broken: bytes) -> None:
    folder = Path(shutil.copytree(bundle_path("edge"), tmp_path / "copy"))
    manifest = json.loads((folder / "manifest.json").read_bytes())
    name = "receipts/generator-gate-a.json"
    digest = hashlib.sha256(broken).hexdigest()
    for entry in (*manifest["receipts"], *manifest["files"]):
        if name in (entry.get("file"), entry.get("path")):
            entry["sha256"] = digest
            if "bytes" in entry:
                entry["bytes"] = len(broken)
    (folder / name).write_bytes(broken)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    found = receipt(Bundle.open(folder), "onnxruntime", "fp32")
    assert (found["gate"], found["passed"]) == ("C", True)
