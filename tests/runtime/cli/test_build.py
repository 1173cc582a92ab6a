# SPDX-License-Identifier: Apache-2.0
"""``stillflow build``: the shipped bundle's engines really built, and every way that cannot be."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stillflow.build.adapter import find_module
from stillflow.build.profile import profile_names
from stillflow.gpu.description import Gpu, find_gpu

needs_rtx = pytest.mark.skipif(
    find_module("tensorrt_rtx") is None, reason="TensorRT-RTX is not installed: pip install 'stillflow[rtx]'"
)
no_gpu = pytest.mark.skipif(find_gpu() is not None, reason="a CUDA device is here")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "cache"
    monkeypatch.setenv("STILLFLOW_CACHE", str(root))
    return root


@pytest.fixture
def golden(source_tree: Path) -> Path:
    return source_tree / "tests" / "data" / "bundles" / "golden-1.0"


@needs_rtx
@pytest.mark.usefixtures("default_bundle")
def test_the_shipped_bundle_within_a_minute(stillflow: Callable, own_cache: Path) -> None:
    begun = time.monotonic()
    ended = stillflow("build", "edge", "--for", "rtx-4090", "--json")
    assert time.monotonic() - begun < 60
    assert ended.code == 0, ended.err
    found = ended.summary
    assert found["ok"]
    assert [engine["graph"] for engine in found["engines"]] == ["flow", "generator"]
    for engine in found["engines"]:
        path = Path(engine["path"])
        assert path.is_relative_to(own_cache)
        assert path.stat().st_size == engine["bytes"]
        assert not engine["cached"]
        assert engine["layers"] > 100
        assert engine["library"] == "tensorrt_rtx"
    assert "flow" in ended.err and "built in" in ended.err


@needs_rtx
def test_lines_for_people_and_the_cache(stillflow: Callable, golden: Path) -> None:
    words = ("build", golden, "--for", "l4", "--library", "tensorrt_rtx")
    first = stillflow(*words)
    assert first.code == 0, first.err
    assert "ok    flow fp32: built in" in first.out
    assert "note: the profile wishes fp16" in first.out
    second = stillflow(*words)
    assert "ok    flow fp32: from the cache" in second.out
    assert second.err == ""
    assert "built in" in stillflow(*words, "--force").out


@needs_rtx
@no_gpu
def test_gate_c_without_a_gpu(stillflow: Callable, golden: Path) -> None:
    ended = stillflow("build", golden, "--for", "l4", "--library", "tensorrt_rtx", "--json")
    assert ended.summary["engines"][0]["gate_c"] == {"state": "not run", "why": "no CUDA device"}


@needs_rtx
@no_gpu
def test_an_engine_that_fails_gate_c(
    stillflow: Callable, golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate believes that the device is here, and the engine then does not run: that is a failure, and it stays."""
    gpu = Gpu("NVIDIA L4", "", "8.9", 58, 22563, 49152, 192, 101376, False, True, "580.65.06")
    monkeypatch.setattr("stillflow.build.builder.find_gpu", lambda index: gpu)
    words = ("build", golden, "--for", "l4", "--library", "tensorrt_rtx")
    for cached in (False, True):
        ended = stillflow(*words, "--json")
        assert ended.code == 2
        assert not ended.summary["ok"]
        (engine,) = ended.summary["engines"]
        assert engine["cached"] == cached
        assert engine["gate_c"]["state"] == "failed"
        assert "no CUDA device" in engine["gate_c"]["why"]
        assert engine["gate_c"]["receipt"]["passed"] is False
    ended = stillflow(*words)
    assert "FAIL  flow fp32" in ended.out
    assert "gate C: failed (" in ended.out


@needs_rtx
def test_another_gpu_of_the_machine(
    stillflow: Callable, golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = Gpu("NVIDIA L4", "", "8.9", 58, 22563, 49152, 192, 101376, False, True, "580.65.06")
    for module in ("stillflow.build.builder", "stillflow.gpu.description"):
        monkeypatch.setattr(f"{module}.find_gpu", lambda index=0: gpu if index == 2 else None)
    monkeypatch.setattr("stillflow.build.builder.run_gate", lambda *rest: {"state": "passed", "on": rest[-1]})
    words = ("build", golden, "--for", "auto", "--library", "tensorrt_rtx", "--json")
    assert "no CUDA device" in stillflow(*words).err
    ended = stillflow(*words, "--device", "cuda:2")
    assert ended.summary["profile"] == "l4"
    assert ended.summary["engines"][0]["gate_c"] == {"state": "passed", "on": 2}
    assert "there is no such device" in stillflow(*words, "--device", "second").err


@needs_rtx
def test_shipping(stillflow: Callable, golden: Path, tmp_path: Path) -> None:
    words = ("build", golden, "--for", "t4", "--library", "tensorrt_rtx", "--out", tmp_path / "out")
    assert stillflow(*words).code == 0
    assert (tmp_path / "out" / "golden-flow-fp32-t4.engine").stat().st_size > 100_000
    ended = stillflow(*words)
    assert ended.code == 2
    assert "--overwrite" in ended.err
    assert stillflow(*words, "--overwrite").code == 0


def test_cpu_needs_no_engines(stillflow: Callable, golden: Path, own_cache: Path) -> None:
    ended = stillflow("build", golden, "--for", "cpu")
    assert ended.code == 0
    assert "flow  fp32 loads on onnxruntime" in ended.out
    assert "nothing to build" in ended.out
    assert stillflow("build", golden, "--for", "cpu", "--json").summary["loaded"] == {"flow": "fp32"}
    assert not own_cache.exists()


def test_unknown_profile_lists_them(stillflow: Callable) -> None:
    stillflow("build", "--for", "jetson-nano").refused("no profile of that name", *profile_names())


def test_no_profile(stillflow: Callable) -> None:
    stillflow("build").refused("--for")
    stillflow("build", "--for", "l4", "--device", "cpu").refused("they run on GPUs")
    stillflow("build", "--for", "auto", "--device", "cpu").refused("name one with --for")


@pytest.mark.device
def test_auto_for_a_gpu_that_is_not_here(stillflow: Callable) -> None:
    stillflow("build", "--for", "auto", "--device", "cuda:99").refused("none of those here: cuda:0")


@no_gpu
def test_auto_without_a_gpu(stillflow: Callable) -> None:
    stillflow("build", "--for", "auto").refused("no CUDA device", "name one with --for")


@pytest.mark.skipif(find_module("tensorrt") is not None, reason="tensorrt is installed")
def test_tensorrt_absent(stillflow: Callable, golden: Path) -> None:
    stillflow("build", golden, "--for", "jetson-orin-nano").refused("not installed", "JetPack")


@needs_rtx
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--for", "jetson-thor", "--library", "tensorrt_rtx"), "is served by tensorrt"),
        (("--for", "h100-h200", "--library", "tensorrt_rtx"), "is served by tensorrt"),
        (("--for", "l4", "--library", "abacus"), "abacus"),
        (("--for", "rtx-4090", "--graph", "flaw"), "no graph 'flaw'"),
        (("--for", "rtx-4090", "--precision", "fp16"), "has it at fp32"),
        (("--for", "rtx-4090", "--precision", "fp8"), "has it at fp32"),
        (("--for", "rtx-4090", "--timeout", "0"), "timeout"),
        (("--for", "rtx-4090", "--timeout", "0.001"), "not done after 0.001 s"),
        (("--for", "rtx-4090", "--out", "/dev/null/x"), "cannot write engines"),
    ],
)
def test_what_cannot_be_built(stillflow: Callable, golden: Path, words: tuple[str, ...], says: str) -> None:
    ended = stillflow("build", golden, *words)
    assert ended.code == 2
    assert says in ended.err
    assert "\n  fix: " in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""


@needs_rtx
def test_a_profile_of_ones_own(stillflow: Callable, golden: Path, tmp_path: Path) -> None:
    from stillflow_engines import profile_path

    mine = json.loads(profile_path("rtx-4090").read_text()) | {"name": "mine", "compute_capability": "12.0"}
    (tmp_path / "mine.json").write_text(json.dumps(mine))
    found = stillflow("build", golden, "--for", tmp_path / "mine.json", "--json").summary
    assert found["profile"] == "mine"
    assert found["engines"][0]["target"] == "compute capability 12.0"
    (tmp_path / "mine.json").write_text("{")
    stillflow("build", golden, "--for", tmp_path / "mine.json").refused("not a valid profile")


def test_a_damaged_bundle_builds_nothing(stillflow: Callable, golden: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(golden, tmp_path / "copy"))
    data = bytearray((copy / "flow.onnx").read_bytes())
    data[500] ^= 1
    (copy / "flow.onnx").write_bytes(data)
    ended = stillflow("build", copy, "--for", "rtx-4090" if find_module("tensorrt_rtx") else "cpu")
    assert ended.code == 2
    assert "damaged or was changed" in ended.err
