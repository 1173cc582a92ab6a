# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from stillflow.build import builder
from stillflow.build.adapter import Library, find_module
from stillflow.build.builder import Engine, Orders, build_engines, load_on_cpu, target_for
from stillflow.build.cache import EngineCache
from stillflow.build.entry import Target
from stillflow.build.profile import Profile, load_profile
from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.gpu.description import Gpu, find_gpu


def test_says_what_it_builds_and_how_long_it_took(build: Callable[..., Engine], said: list[str]) -> None:
    engine = build(say=said.append)
    assert said[0] == "flow fp32 for l4: building"
    assert "built in" in said[1] and "layers" in said[1]
    assert engine.entry.parts.target == Target(compute_capability="8.9")
    assert engine.entry.seconds > 0
    assert any("wishes fp16" in note for note in engine.notes)


def test_progress_is_passed_on(build: Callable[..., Engine]) -> None:
    steps: list[tuple[str, int, int]] = []
    build(progress=lambda *step: steps.append(step))
    assert steps[0] == ("parsing", 0, 1)


@pytest.mark.skipif(find_gpu() is not None, reason="a CUDA device is here")
def test_gate_c_says_that_it_did_not_run(build: Callable[..., Engine]) -> None:
    assert build().gate == {"state": "not run", "why": "no CUDA device"}


@pytest.mark.usefixtures("seeded")
def test_another_version_or_target_is_built_anew_and_says_why(
    build: Callable[..., Engine], golden: Bundle, cache: EngineCache, said: list[str], rtx: str
) -> None:
    build()
    a10 = msgspec.structs.replace(load_profile("a10"), workspace_mib=load_profile("l4").workspace_mib)
    (other,) = build_engines(golden, a10, library=rtx, cache=cache, orders=Orders(say=said.append))
    assert not other.cached
    assert "the cache has one of compute capability 8.9 instead of 8.6" in said[0]
    assert len(cache.stored()) == 2


@pytest.mark.usefixtures("seeded")
def test_an_upgrade_of_the_library_is_told(
    build: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    first = build()
    real = Library.open

    def upgraded(name: str) -> Library:
        library = real(name)
        library.version = "9.9.9.9"
        return library

    monkeypatch.setattr(Library, "open", upgraded)
    assert not build(say=said.append).cached
    assert f"tensorrt_rtx {first.entry.parts.builder_version} instead of tensorrt_rtx 9.9.9.9" in said[0]


def test_tensorrt_is_tied_to_the_gpu_and_its_driver(
    in_place_of_tensorrt: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    golden: Bundle,
    l4: Profile,
    cache: EngineCache,
    other_gpu: Gpu,
    said: list[str],
) -> None:
    """On a device that is not here: everything but the engine's last step, loading it, which then is not done."""
    folder = in_place_of_tensorrt('__version__ = "10.9.0.34"\ndel ComputeCapability, EngineValidity\n')
    monkeypatch.syspath_prepend(folder)
    gpus = [other_gpu]
    monkeypatch.setattr(builder, "find_gpu", lambda index: gpus[-1])
    monkeypatch.setattr(builder, "run_gate", lambda *rest: {"state": "passed"})

    def build() -> Engine:
        (engine,) = build_engines(golden, l4, cache=cache, orders=Orders(say=said.append))
        return engine

    try:
        first = build()
        assert first.entry.parts.builder == "tensorrt"
        assert first.entry.parts.target == Target.of(other_gpu)
        assert first.entry.parts.settings.compute_capability is None
        (timing,) = (cache.root / "timing").iterdir()
        assert timing.stat().st_size > 100
        assert build().cached
        gpus.append(dataclasses.replace(other_gpu, driver="590.1"))
        second = build()
        assert not second.cached
        assert "driver 580.65.06 instead of 590.1" in said[-2]
        assert len(list((cache.root / "timing").iterdir())) == 2
    finally:
        sys.modules.pop("tensorrt", None)


def test_where_tensorrt_builds(other_gpu: Gpu, l4: Profile, rtx: str) -> None:
    library = Library.open(rtx)
    assert target_for(l4, library, None) == Target(compute_capability="8.9"), "ahead of time"
    library.ahead_of_time = False
    assert target_for(l4, library, other_gpu) == Target.of(other_gpu)
    with pytest.raises(StillflowError, match="no CUDA device here") as caught:
        target_for(l4, library, None)
    assert "--library tensorrt_rtx" in caught.value.fix
    thor = load_profile("jetson-thor")
    with pytest.raises(
        StillflowError, match=r"the GPU here is NVIDIA L4 of compute capability 8\.9"
    ) as caught:
        target_for(thor, library, other_gpu)
    assert "tensorrt_rtx" not in caught.value.fix


@pytest.mark.skipif(find_module("tensorrt") is not None, reason="tensorrt is installed")
def test_tensorrt_absent_names_what_is_here(
    golden: Bundle, l4: Profile, cache: EngineCache, rtx: str
) -> None:
    with pytest.raises(StillflowError, match="tensorrt: it is not installed") as caught:
        build_engines(golden, l4, cache=cache)
    assert "pip install tensorrt" in caught.value.fix
    assert "--library tensorrt_rtx" in caught.value.fix
    with pytest.raises(StillflowError) as caught:
        build_engines(golden, load_profile("jetson-orin-nano"), cache=cache)
    assert "JetPack" in caught.value.fix
    assert "--library" not in caught.value.fix
    assert not cache.root.exists(), "nothing was begun"


def test_cpu_has_nothing_to_build_and_its_files_load(golden: Bundle, cache: EngineCache) -> None:
    cpu = load_profile("cpu")
    assert load_on_cpu(golden, cpu) == {"flow": "fp32"}
    with pytest.raises(StillflowError, match="as they are"):
        build_engines(golden, cpu, cache=cache)
    with pytest.raises(StillflowError, match="no fp16 file"):
        load_on_cpu(golden, cpu, precision="fp16")


def test_a_graph_that_does_not_build_leaves_the_others(
    tmp_path: Path, cache: EngineCache, rtx: str, source_tree: Path
) -> None:
    """What was built before a failure stays; the failed one can be run again."""
    place = Path(shutil.copytree(source_tree / "tests" / "data" / "bundles" / "golden-1.0", tmp_path / "two"))
    manifest = json.loads((place / "manifest.json").read_text())
    bad = (place / "flow.onnx").read_bytes().replace(b"\x22\x04Conv", b"\x22\x04Cnov")
    (place / "bad.onnx").write_bytes(bad)
    digest = hashlib.sha256(bad).hexdigest()
    manifest["files"].append({"path": "bad.onnx", "bytes": len(bad), "sha256": digest})
    manifest["graphs"].append(manifest["graphs"][0] | {"name": "bad", "file": "bad.onnx", "sha256": digest})
    (place / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StillflowError, match=r"cannot build the graph bad.*Cnov") as caught:
        build_engines(Bundle.open(place), load_profile("l4"), library=rtx, cache=cache)
    assert "stillflow.build.child" in caught.value.fix
    assert [stored.entry.graph for stored in cache.stored() if stored.entry] == ["flow"]
