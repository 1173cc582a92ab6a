# SPDX-License-Identifier: Apache-2.0
"""One adapter over three libraries: really built on TensorRT-RTX, and under the names of the two others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from stillflow.build.adapter import INSTALL, Library, find_module
from stillflow.build.plan import plan_engines
from stillflow.build.profile import Profile
from stillflow.build.request import Settings
from stillflow.bundle import Bundle
from stillflow.engine_probes import TINY_NETWORK
from stillflow.errors import StillflowError

TINY = Settings(
    shapes={"x": ((4,), (4,), (4,))},
    workspace_mib=64,
    builder_level=2,
    aux_streams=0,
    version_compatible=False,
    hardware_compatibility="none",
    tf32=False,
    compute_capability="8.9",
)

OPERATOR = b"\x22\x04Relu"
"""How the tiny network names its operator, and then one that no library has."""


@pytest.fixture(scope="module")
def library(rtx: str) -> Library:
    return Library.open(rtx)


def silent(phase: str, done: int, of: int) -> None:
    pass


def test_builds_and_says_how_far_it_is(library: Library) -> None:
    steps: list[tuple[str, int, int]] = []
    built = library.build("tiny", TINY_NETWORK, TINY, None, lambda *step: steps.append(step))
    assert built.engine.nbytes > 1000
    assert [layer["type"] for layer in built.layers] == ["ACTIVATION"]
    assert built.timing is None
    assert steps[0] == ("parsing", 0, 1)
    assert any(name == "Building engine" for name, _, _ in steps)
    assert all(0 <= done <= of for _, done, of in steps)


def test_the_library_knows_its_own_work_and_nothing_else(library: Library) -> None:
    built = library.build("tiny", TINY_NETWORK, TINY, None, silent)
    assert "malformed" not in (library.invalid(built.engine) or "")
    assert "malformed" in (library.invalid(b"\0" * 4096) or "")
    assert "malformed" in (library.invalid(b"") or "")


def test_targets_are_read_from_the_library(library: Library) -> None:
    assert {"7.5", "8.6", "8.9", "12.0"} <= set(library.targets())
    assert "9.0" not in library.targets(), "then the profile h100-h200 may offer RTX"
    with pytest.raises(StillflowError, match=r"compute capability 9\.0") as caught:
        library.build(
            "tiny", TINY_NETWORK, msgspec.structs.replace(TINY, compute_capability="9.0"), None, silent
        )
    assert "8.9" in caught.value.why


def test_an_operator_that_nobody_has_is_named(library: Library) -> None:
    with pytest.raises(StillflowError, match="Blah") as caught:
        library.build("tiny", TINY_NETWORK.replace(OPERATOR, b"\x22\x04Blah"), TINY, None, silent)
    assert "plain layers" in caught.value.fix


@pytest.mark.parametrize("data", [b"", b"not a graph", TINY_NETWORK[:-20]])
def test_bytes_that_are_no_graph(library: Library, data: bytes) -> None:
    with pytest.raises(StillflowError, match="cannot build the graph tiny"):
        library.build("tiny", data, TINY, None, silent)


@pytest.mark.parametrize(
    ("shapes", "why"),
    [
        ({}, "has the inputs x"),
        ({"x": ((4,),) * 3, "y": ((4,),) * 3}, "the manifest x, y"),
        ({"x": ((4, 4),) * 3}, "x"),
        ({"x": ((5,),) * 3}, "x"),
    ],
)
def test_shapes_that_are_not_the_graphs(library: Library, shapes: dict, why: str) -> None:
    with pytest.raises(StillflowError, match=why):
        library.build("tiny", TINY_NETWORK, msgspec.structs.replace(TINY, shapes=shapes), None, silent)


@pytest.mark.parametrize("outputs", [{}, {"y": 3}, {"z": 1}, {"y": 1, "z": 4}])
def test_outputs_that_are_not_the_manifests(library: Library, outputs: dict[str, int]) -> None:
    with pytest.raises(StillflowError, match="the file gives y of 1 dimensions, the manifest says") as caught:
        library.build("tiny", TINY_NETWORK, TINY, None, silent, outputs)
    assert "do not agree" in caught.value.fix
    library.build("tiny", TINY_NETWORK, TINY, None, silent, {"y": 1})


def test_a_setting_that_the_library_cannot_keep_is_an_error_with_its_words(library: Library) -> None:
    # RTX takes the flag and then finds no lean runtime: the plan never asks it to.
    with pytest.raises(StillflowError, match="lean"):
        library.build(
            "tiny", TINY_NETWORK, msgspec.structs.replace(TINY, version_compatible=True), None, silent
        )


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt_rtx"])
def test_absent_comes_with_the_install_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert find_module(name) is None
    with pytest.raises(StillflowError, match="not installed") as caught:
        Library.open(name)
    assert caught.value.fix == INSTALL[name]


def test_broken_comes_with_the_install_line_too(monkeypatch: pytest.MonkeyPatch, rtx: str) -> None:
    def broken(name: str) -> object:
        raise OSError("libtensorrt_rtx.so.1: cannot open shared object file")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(StillflowError, match=r"libtensorrt_rtx\.so\.1"):
        Library.open(rtx)


# What differs between the libraries, put onto the one that is here. Whatever is asked for wrongly ends the build.
TENSORRT_10 = """
__version__ = "10.9.0.34"
del ComputeCapability, EngineValidity, EngineInvalidityDiagnostics

class Builder(real.Builder):
    def create_network(self, flags=0):
        assert flags & 1 << int(NetworkDefinitionCreationFlag.STRONGLY_TYPED), "weakly typed"
        return super().create_network(flags)
"""
TENSORRT_11 = """
__version__ = "11.4.1.6"
del ComputeCapability, EngineValidity, EngineInvalidityDiagnostics
assert not hasattr(BuilderFlag, "FP16")

class Builder(real.Builder):
    def build_serialized_network(self, network, config):
        assert config.get_flag(BuilderFlag.REQUIRE_USER_ALLOCATION), "it may take memory while it runs"
        return super().build_serialized_network(network, config)
"""
LATER = """
__version__ = "12.0.0.1"
class NetworkDefinitionCreationFlag:
    __members__ = {}
del IProgressMonitor, ComputeCapability, EngineValidity
"""


@pytest.mark.parametrize("lines", [TENSORRT_10, TENSORRT_11, LATER], ids=["10", "11", "later"])
def test_the_same_code_serves_tensorrt(
    lines: str, in_place_of_tensorrt: Callable[[str], Path], tmp_path: Path, golden: Bundle, l4: Profile
) -> None:
    """Parses, sets every option, attaches a timing cache and builds, by the interface of each version."""
    in_place_of_tensorrt(lines)
    asked = msgspec.structs.replace(l4, hardware_compatibility="ampere_plus", tf32=True, aux_streams=2)
    (plan,) = plan_engines(golden, asked, "tensorrt")
    request = {
        "builder": "tensorrt",
        "graph": "flow",
        "precision": "fp32",
        "onnx": "graph.onnx",
        "settings": msgspec.to_builtins(plan.settings),
        "timing": "timing.cache",
        "engine": "flow.engine",
        "layers": "layers.json",
    }
    folder = tmp_path / "request"
    folder.mkdir()
    (folder / "graph.onnx").write_bytes(golden.graph_bytes("flow", "fp32"))
    (folder / "request.json").write_text(json.dumps(request))
    (folder / "timing.cache").write_bytes(b"of another device")
    command = [sys.executable, "-m", "stillflow.build.child", str(folder / "request.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stdout + done.stderr
    layers = json.loads((folder / "layers.json").read_text())
    assert layers["library_version"] in lines
    assert layers["counts"]["CONVOLUTION float32"] == 3
    assert (folder / "timing.cache").read_bytes() not in (b"", b"of another device")
    assert (folder / "flow.engine").stat().st_size > 100_000


def test_tensorrt_older_than_10_is_refused(
    in_place_of_tensorrt: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(in_place_of_tensorrt('__version__ = "8.6.1"\n'))
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    try:
        with pytest.raises(StillflowError, match=r"8\.6\.1 is older than 10"):
            Library.open("tensorrt")
    finally:
        sys.modules.pop("tensorrt", None)
