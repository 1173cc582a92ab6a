# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stillflow.errors import StillflowError
from stillflow_bench.latency.peers.installed import installed
from stillflow_bench.latency.target import open_target

ABSENT = {
    "raw-openvino": "openvino",
    "torch": "torch",
    "published-torch": "torch",
    "published-onnxruntime": "torch",
}


def test_what_is_there_is_imported() -> None:
    assert installed("json", "a test") is sys.modules["json"]


@pytest.mark.parametrize(("kind", "package"), ABSENT.items())
def test_a_peer_without_its_library_names_the_line_that_brings_it(
    kind: str, package: str, spec_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(StillflowError, match=f"the package {package} is not installed") as caught:
        open_target(spec_of(kind))
    assert caught.value.fix == "pip install 'stillflow[peers]'"


def test_a_broken_library_is_not_called_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_peer.py").write_text("raise OSError('libx.so.1: no such file')")
    (tmp_path / "incomplete_peer.py").write_text("import nothing_of_that_name")
    with pytest.raises(StillflowError, match=r"does not import: libx\.so\.1"):
        installed("broken_peer", "a test")
    with pytest.raises(StillflowError, match="incomplete_peer does not import: No module named 'nothing_of"):
        installed("incomplete_peer", "a test")
