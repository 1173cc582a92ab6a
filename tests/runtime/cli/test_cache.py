# SPDX-License-Identifier: Apache-2.0
"""``stillflow cache``: what is in it, and clearing it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stillflow.build.adapter import find_module

pytestmark = pytest.mark.skipif(
    find_module("tensorrt_rtx") is None, reason="TensorRT-RTX is not installed: pip install 'stillflow[rtx]'"
)


@pytest.fixture(autouse=True)
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stillflow: Callable, source_tree: Path) -> Path:
    """A cache with one engine in it."""
    monkeypatch.setenv("STILLFLOW_CACHE", str(tmp_path / "cache"))
    golden = source_tree / "tests" / "data" / "bundles" / "golden-1.0"
    ended = stillflow("build", golden, "--for", "l4", "--library", "tensorrt_rtx", "--json")
    assert ended.code == 0, ended.err
    return Path(ended.summary["engines"][0]["path"])


def test_list(stillflow: Callable, filled: Path) -> None:
    ended = stillflow("cache", "list")
    assert ended.code == 0
    assert "golden flow fp32, tensorrt_rtx" in ended.out
    assert "1 engines" in ended.out
    (row,) = stillflow("cache", "list", "--json").summary["engines"]
    assert row["path"] == str(filled)
    assert row["why"] == ""
    filled.chmod(0o666)
    assert "damaged: flow-fp32.engine: other users may write" in stillflow("cache", "list").out


def test_prune(stillflow: Callable, filled: Path) -> None:
    assert stillflow("cache", "prune", "--json").summary["removed"] == []
    assert stillflow("cache", "prune", "--older-than", "1", "--json").summary["removed"] == []
    assert stillflow("cache", "prune", "--bundle", "other", "--json").summary["removed"] == []
    assert stillflow("cache", "prune", "--older-than", "nan").code == 2
    assert filled.exists()
    ended = stillflow("cache", "prune", "--all")
    assert ended.code == 0
    assert "removed 1 engines" in ended.out
    assert not filled.exists()
    assert "0 engines" in stillflow("cache", "list").out


def test_add(
    stillflow: Callable, filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source_tree: Path
) -> None:
    golden = source_tree / "tests" / "data" / "bundles" / "golden-1.0"
    words = ("build", golden, "--for", "l4", "--library", "tensorrt_rtx", "--out", tmp_path / "out", "--json")
    (shipped,) = stillflow(*words).summary["shipped"]
    assert "golden flow fp32" in stillflow("cache", "add", shipped, "--for-another-machine").out
    monkeypatch.setenv("STILLFLOW_CACHE", str(tmp_path / "other"))
    ended = stillflow("cache", "add", shipped)
    assert ended.code == 2
    assert "it is for compute capability 8.9, here is no CUDA device" in ended.err
    assert "--for-another-machine" in ended.err
    ended = stillflow("cache", "add", shipped, "--for-another-machine", "--json")
    assert [row["new"] for row in ended.summary["engines"]] == [True]
    assert "there already" in stillflow("cache", "add", shipped, "--for-another-machine").out
    (row,) = stillflow("cache", "list", "--json").summary["engines"]
    assert Path(row["path"]).read_bytes() == filled.read_bytes()
    assert row["gate_c"] == "not run"


def test_a_cache_that_is_not_there(
    stillflow: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLFLOW_CACHE", str(tmp_path / "none"))
    assert stillflow("cache", "list", "--json").summary["engines"] == []
    assert stillflow("cache", "prune", "--json").summary["removed"] == []
    assert not (tmp_path / "none").exists()


def test_doctor_knows_it(filled: Path) -> None:
    from stillflow.engine_probes import try_engine_cache

    finding = try_engine_cache()
    assert finding.state == "ok"
    assert str(filled.parents[2]) in finding.detail
    assert "1 engines" in finding.detail
    filled.unlink()
    finding = try_engine_cache()
    assert (finding.state, finding.fix) == ("broken", "stillflow cache prune")
    assert not finding.needed
