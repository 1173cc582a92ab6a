# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillflow.bundle import Bundle
from stillflow.errors import StillflowError


def test_golden_opens_and_verifies(golden: Path) -> None:
    bundle = Bundle.open(golden)
    assert bundle.manifest.schema_version in ("1.0", "1.1")
    assert bundle.manifest.name == "golden"
    checks = bundle.verify()
    assert [check for check in checks if not check.ok] == []
    assert {c.name for c in checks} >= {
        "sha256 flow.onnx",
        "graph flow",
        "vector vectors/flow-0.npz velocity",
    }


def test_golden_opens_as_text_path(golden: Path) -> None:
    assert Bundle.open(str(golden)).manifest.name == "golden"


@pytest.mark.parametrize("prefix", ["", "edge/"])
def test_zip_is_the_same_bundle(golden: Path, zipped: Callable[..., Path], prefix: str) -> None:
    with Bundle.open(zipped(prefix)) as bundle:
        assert bundle.manifest == Bundle.open(golden).manifest
        assert all(check.ok for check in bundle.verify())


def test_session_gives_named_arrays_of_half_size(golden: Path) -> None:
    session = Bundle.open(golden).session("flow", threads=1)
    out = session.run(
        {"photo": np.zeros((1, 3, 64, 96), np.float32), "hints": np.zeros((1, 6, 64, 96), np.float32)}
    )
    assert {name: a.shape for name, a in out.items()} == {
        "classes": (1, 10, 32, 48),
        "moves": (1, 1, 32, 48),
        "velocity": (1, 2, 32, 48),
        "spread": (1, 1, 32, 48),
    }


def test_one_flipped_byte_is_refused_before_use(copy: Path) -> None:
    path = copy / "flow.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    bundle = Bundle.open(copy)
    with pytest.raises(StillflowError, match="damaged or was changed"):
        bundle.session("flow")
    failed = {check.name for check in bundle.verify() if not check.ok}
    assert failed == {"sha256 flow.onnx", "graph flow"}


def test_longer_file_is_refused(copy: Path) -> None:
    with (copy / "flow.onnx").open("ab") as file:
        file.write(b"\0" * 1000)
    with pytest.raises(StillflowError, match="longer than"):
        Bundle.open(copy).session("flow")


def test_missing_file_is_named(copy: Path) -> None:
    (copy / "flow.onnx").unlink()
    with pytest.raises(StillflowError, match=r"flow\.onnx.*no such file"):
        Bundle.open(copy).session("flow")


def test_unlisted_file_is_not_read(copy: Path) -> None:
    (copy / "more.bin").write_bytes(b"x")
    with pytest.raises(StillflowError, match="does not list it"):
        Bundle.open(copy).read("more.bin")


def test_unknown_graph_names_those_there(golden: Path) -> None:
    with pytest.raises(StillflowError, match=r"no graph 'generator'.*it has flow"):
        Bundle.open(golden).session("generator")


def test_unknown_precision_names_those_there(golden: Path) -> None:
    with pytest.raises(StillflowError, match=r"no fp16 file.*it has fp32"):
        Bundle.open(golden).session("flow", precision="fp16")


def test_graph_that_is_not_as_the_manifest_says(edited: Callable[..., Path]) -> None:
    def rename(content: dict[str, Any]) -> None:
        content["graphs"][0]["inputs"][0]["name"] = "picture"

    with pytest.raises(StillflowError, match="manifest gives it the inputs"):
        Bundle.open(edited(rename)).session("flow")


def test_weights_in_another_file_are_refused(edited: Callable[..., Path], copy: Path) -> None:
    import hashlib

    data = (copy / "flow.onnx").read_bytes() + b"\x6a\x0a\x08location\x12"
    (copy / "flow.onnx").write_bytes(data)

    def accept(content: dict[str, Any]) -> None:
        for entry in (content["graphs"][0], *content["files"]):
            if entry.get("file", entry.get("path")) == "flow.onnx":
                entry["sha256"] = hashlib.sha256(data).hexdigest()
                entry["bytes"] = len(data)

    with pytest.raises(StillflowError, match="weights from another file"):
        Bundle.open(edited(accept)).session("flow")


@pytest.mark.parametrize("name", ["nosuch", "no-such-bundle"])
def test_unknown_name(name: str) -> None:
    with pytest.raises(StillflowError, match="no bundle of that name is shipped"):
        Bundle.open(name)


def test_shipped_name_and_default_are_edge() -> None:
    assert Bundle.open("edge").manifest == Bundle.open(None).manifest == Bundle.open().manifest


def test_name_without_the_data_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "stillflow_engines", None)
    with pytest.raises(StillflowError, match="install stillflow again"):
        Bundle.open(None)


def test_bare_name_falls_back_to_a_folder(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy.parent)
    assert Bundle.open("copy").manifest.name == "golden"
