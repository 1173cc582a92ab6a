# SPDX-License-Identifier: Apache-2.0
"""A pack is made, unpacked into an empty folder by a Python without packages, and used from there."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from stillflow.errors import StillflowError
from stillflow.kernels.native import library_candidates
from stillflow_bench.gpu import pack as module
from stillflow_bench.gpu.pack import Packing, architecture, make, parser, tree_entries
from stillflow_bench.gpu.wheels import described

from .test_wheels import a_wheel

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
LIMIT = 1 << 18


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory, source_tree: Path) -> Path:
    """The rooms runtime and benchmarks, the C library, and two small wheels."""
    folder = tmp_path_factory.mktemp("packed")
    packing = Packing(folder / "pack", LIMIT, 0)
    rooms = ("tree/runtime/", "tree/benchmarks/stillflow_bench/", "tree/pyproject.toml")
    entries = [(name, path) for name, path in tree_entries(source_tree) if name.startswith(rooms)]
    library = next(path for path in library_candidates() if path.is_file())
    packing.add("tree", [*entries, ("native/libstillflow.so", library)])
    wheels = [a_wheel(folder, "brought", "2.0", brought="x = 1"), a_wheel(folder, "pytest", "999")]
    packing.add_wheels("wheels", described(wheels, {"pytest": "8"}), unless_there=True)
    packing.close("0123456789ab", {"nothing-of-this-name": "3"}, HERE)
    return folder / "pack"


def unpacked(pack: Path, to: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(pack / "unpack.py"), "--to", str(to), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def run(to: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with this environment's packages, but without what makes it find this source tree (-S)."""
    there = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}
    command = [to / "run", sys.executable, "-S", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=there)


def test_parts_are_small_and_listed(packed: Path) -> None:
    told = json.loads((packed / "pack.json").read_text())
    slices = [piece for archive in told["archives"] for piece in archive["slices"]]
    assert all(0 < piece["bytes"] <= LIMIT for piece in slices)
    listed = {piece["file"] for piece in slices} | {"pack.json", "unpack.py"}
    assert {path.name for path in packed.iterdir()} == listed
    assert [(wheel["name"], wheel["at_least"]) for wheel in told["wheels"]] == [
        ("brought", ""),
        ("pytest", "8"),
    ]


def test_a_pack_is_unpacked_in_turns_and_used(packed: Path, tmp_path: Path) -> None:
    first, to = tmp_path / "first", tmp_path / "to"
    told = json.loads((packed / "pack.json").read_text())
    pieces = [piece["file"] for archive in told["archives"] for piece in archive["slices"]]
    for turn in (pieces[:1], pieces[1:]):
        first.mkdir(exist_ok=True)
        for name in ("pack.json", "unpack.py", *turn):
            (first / name).write_bytes((packed / name).read_bytes())
        done = unpacked(first, to)
        assert done.returncode == 0, done.stderr
        for name in turn:
            (first / name).unlink()
        if turn == pieces[:1]:
            assert "still to come: tree, wheels" in done.stdout
    assert "left to this machine's own: pytest" in done.stdout
    assert "missing: nothing-of-this-name 3, which neither" in done.stdout
    assert f"run: {to / 'run'} python3 -m stillflow_bench.gpu.check" in done.stdout
    assert (to / "site" / "brought").read_text() == "x = 1"
    assert not list((to / "site").glob("pytest*"))
    assert not list((to / "slices").glob("*.tar.xz.*"))
    program = "import stillflow, sys; from stillflow_bench.machine import commit; print(stillflow.__file__, commit())"
    used = run(to, "-c", program)
    assert used.stdout.split() == [str(to / "tree" / "runtime" / "stillflow" / "__init__.py"), "0123456789ab"]
    helped = run(to, "-m", "stillflow", "--help")
    assert helped.returncode == 0 and "animate" in helped.stdout, helped.stderr
    loaded = run(to, "-c", "from stillflow.kernels.native import library; print(library()._name)")
    assert loaded.stdout.strip() == str(to / "tree" / "runtime" / "stillflow" / "_native" / "libstillflow.so")


def test_the_c_library_is_built_where_the_brought_one_does_not_load(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFLAGS", "-O0")  # three times as fast
    assert unpacked(packed, tmp_path).returncode == 0
    library = tmp_path / "tree" / "runtime" / "stillflow" / "_native" / "libstillflow.so"
    library.unlink()
    (tmp_path / "native" / "libstillflow.so").write_bytes(b"no library")
    done = unpacked(packed, tmp_path)
    assert done.returncode == 0, done.stderr
    assert library.stat().st_size > 10_000, done.stdout


def test_a_damaged_part_is_refused(packed: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in packed.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    part = copy / "tree.tar.xz.000"
    part.write_bytes(part.read_bytes()[:-1] + b"!")
    done = unpacked(copy, tmp_path / "to")
    assert done.returncode == 2
    assert "tree.tar.xz.000 is damaged" in done.stderr


def test_wheels_for_another_python_are_refused(packed: Path, tmp_path: Path) -> None:
    told = json.loads((packed / "pack.json").read_text())
    (tmp_path / "pack.json").write_text(json.dumps({**told, "python": "2.7"}))
    (tmp_path / "unpack.py").write_bytes((packed / "unpack.py").read_bytes())
    done = unpacked(tmp_path, tmp_path / "to")
    assert done.returncode == 2
    assert "run it with python2.7" in done.stderr


def test_the_command_brings_what_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[dict[str, str], bool]] = []

    def download(folder: Path, requirements: dict[str, str], *, alone: bool, python: str) -> None:
        assert python == "3.12"
        asked.append((requirements, alone))
        for name in requirements:
            a_wheel(folder, name.replace("-", "_"), "1.0")

    monkeypatch.setattr(module, "download", download)
    monkeypatch.setattr(module, "tree_entries", lambda _: [("tree/README.md", b"text")])
    out = tmp_path / "pack"
    arguments = [
        "--out",
        str(out),
        "--with",
        "rtx",
        "--without",
        "numpy,opencv-python-headless",
        "--effort",
        "0",
    ]
    assert make(parser().parse_args(arguments)) == 0
    told = json.loads((out / "pack.json").read_text())
    assert [archive["name"] for archive in told["archives"]] == ["tree", "wheels", "rtx"]
    assert set(told["expects"]) == {"numpy", "opencv-python-headless", "onnxruntime"}
    assert "numpy" not in asked[0][0] and "av" in asked[0][0] and not asked[0][1]
    assert asked[1] == ({"tensorrt_rtx_cu13_libs": "", "tensorrt_rtx_cu13_bindings": ""}, True)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"python3 {out}/unpack.py --to stillflow-gpu",
        "stillflow-gpu/run python3 -m stillflow_bench.gpu.check",
    ]


def test_what_no_pack_can_bring_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StillflowError, match="there is no such part"):
        make(parser().parse_args(["--out", str(tmp_path), "--with", "torch"]))
    monkeypatch.setattr(module, "source_tree", lambda: None)
    with pytest.raises(StillflowError, match="not a git checkout"):
        make(argparse.Namespace(out=tmp_path, bring=()))


def test_code_for_other_gpus_is_left_out_of_wheels(tmp_path: Path) -> None:
    from .test_fatbin import CUBIN, library

    (tmp_path / "lib.so").write_bytes(library([[(CUBIN, 80, 4000), (CUBIN, 90, 100)]]))
    module._slim(tmp_path, 90)
    assert (tmp_path / "lib.so").read_bytes().count(0xAA) == 100


@pytest.mark.parametrize(("text", "number"), [("9.0", 90), ("8.7", 87), ("12.0", 120), ("9", 90)])
def test_compute_capabilities_are_numbers(text: str, number: int) -> None:
    assert architecture(text) == number
