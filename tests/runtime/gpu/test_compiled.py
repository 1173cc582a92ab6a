# SPDX-License-Identifier: Apache-2.0
"""Every CUDA source compiles for every GPU of the device profiles, without a GPU, and is kept where it is safe."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stillflow import kernels
from stillflow.errors import StillflowError
from stillflow.gpu import compiled
from stillflow.gpu.compiled import compile_source, compiler_version, cubin_of, source_text, too_old

SOURCES = sorted((Path(kernels.__file__).parent / "cuda").glob("*.cu"))
TRIAL = Path(__file__).resolve().parents[2] / "native" / "stand_in" / "trial.cu"
ARCHITECTURES = ["sm_75", "sm_86", "sm_87", "sm_89", "sm_90", "sm_100", "sm_110", "sm_120"]

SMALL = 'extern "C" __global__ void sf_one(int *at) { at[0] = 1; }\n'


@pytest.fixture
def compiler():
    pytest.importorskip("cuda.core", reason="cuda-core is not installed (pip install 'stillflow[cuda]')")
    pytest.importorskip(
        "cuda.bindings.nvrtc", reason="NVRTC is not installed (pip install 'stillflow[cuda]')"
    )


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A source, and a cache of its own."""
    monkeypatch.setenv("STILLFLOW_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "small.cu"
    source.write_text(SMALL, encoding="utf-8")
    return source


def kept(tmp_path):
    return list((tmp_path / "cache" / "kernels").glob("*.cubin"))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_they_compile(compiler, source, architecture):
    cubin = compile_source(source, architecture)
    names = re.findall(r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)", source_text(source))
    assert cubin[:4] == b"\x7fELF" and names
    assert all(f".text.{name}\0".encode() in cubin for name in names)


@pytest.mark.parametrize("architecture", ["sm_12", "sm_999"])
def test_architectures_that_the_compiler_does_not_know_are_refused(compiler, small, architecture):
    with pytest.raises(StillflowError, match=architecture):
        compile_source(small, architecture)


@pytest.mark.parametrize("architecture", ["8.7", "sm_87 -lineinfo", "", "compute_x"])
def test_names_that_are_no_architecture_are_refused(small, architecture):
    with pytest.raises(StillflowError, match="no architecture"):
        compile_source(small, architecture)


@pytest.mark.parametrize(
    ("architecture", "known"),
    [("sm_87", "sm_87"), ("sm_87a", "sm_87a"), ("sm_999", "compute_[0-9]+"), ("sm_12", "sm_12"), ("x", "x")],
)
def test_a_gpu_that_is_newer_than_the_compiler_gets_ptx(compiler, architecture, known):
    assert re.fullmatch(known, compiled.known_architecture(architecture))


def test_a_gpu_that_is_older_than_the_compiler_is_told_by_its_age(compiler, small):
    oldest = too_old("sm_30")
    assert re.fullmatch(r".*\d compiles for compute capability [5-7]\.\d and newer", oldest)
    assert {too_old(known) for known in ARCHITECTURES} == {""}
    with pytest.raises(StillflowError) as refused:
        compile_source(small, "sm_30")
    assert refused.value.why == oldest


@pytest.mark.device
@pytest.mark.stand_in
def test_ptx_runs_on_a_gpu_that_is_newer_than_the_compiler():
    program = f"""
import ctypes, pathlib
import numpy as np
from stillflow.gpu.open import open_device
device = open_device()
assert device.architecture == "sm_990"
kernels = device.kernels(pathlib.Path({str(TRIAL)!r}))
stream, memory, out = device.stream(), device.allocate(40), np.zeros(10, np.int32)
kernels.launch("trial_fill", 10, stream, ctypes.c_void_p(memory.address), ctypes.c_int(10), ctypes.c_int(5))
device.download(memory.address, out, stream)
stream.synchronize()
assert (out == 5).all()
"""
    environment = {**os.environ, "STAND_IN_CAPABILITY": "99.0"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_source_that_is_not_valid_is_told_by_its_line(compiler, tmp_path):
    (tmp_path / "part.cuh").write_text("#define A 1\nint nonsense = ;\n", encoding="utf-8")
    source = tmp_path / "bad.cu"
    source.write_text('#include "part.cuh"\n' + SMALL, encoding="utf-8")
    with pytest.raises(StillflowError, match=r"part\.cuh\(2\)"):
        compile_source(source, "sm_87")


def test_what_a_source_includes_is_a_part_of_it(tmp_path):
    (tmp_path / "a.cuh").write_text('#include "b.cuh"\nint a;\n', encoding="utf-8")
    (tmp_path / "b.cuh").write_text("int b;\n", encoding="utf-8")
    source = tmp_path / "c.cu"
    source.write_text('#include "b.cuh"\n#include "a.cuh"\nint c;\n', encoding="utf-8")
    text = source_text(source)
    assert re.findall(r"int (\w);", text) == ["b", "a", "c"]
    assert text.splitlines()[text.splitlines().index("int c;") - 1] == '#line 3 "c.cu"'


def test_what_was_compiled_is_not_compiled_again(compiler, small, tmp_path, monkeypatch):
    made = cubin_of(small, "sm_87")
    assert len(kept(tmp_path)) == 1 and kept(tmp_path)[0].stat().st_mode & 0o077 == 0
    monkeypatch.setattr(compiled, "compile_source", lambda *_: pytest.fail("it was compiled again"))
    assert cubin_of(small, "sm_87") == made


def test_another_text_architecture_or_compiler_is_another_entry(compiler, small, tmp_path, monkeypatch):
    cubin_of(small, "sm_87")
    cubin_of(small, "sm_90")
    small.write_text(SMALL.replace("= 1", "= 2"), encoding="utf-8")
    cubin_of(small, "sm_87")
    monkeypatch.setattr(compiled, "compiler_version", lambda: "another")
    cubin_of(small, "sm_87")
    assert len(kept(tmp_path)) == 4


@pytest.mark.parametrize("how", ["cut", "changed", "empty", "writable", "link", "folder", "huge"])
def test_what_cannot_be_trusted_is_compiled_again(compiler, small, tmp_path, caplog, monkeypatch, how):
    made = cubin_of(small, "sm_87")
    (entry,) = kept(tmp_path)
    data = entry.read_bytes()
    if how == "cut":
        entry.write_bytes(data[:-1])
    elif how == "changed":
        entry.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    elif how == "empty":
        entry.write_bytes(b"")
    elif how == "writable":
        entry.chmod(0o666)
    elif how == "link":
        os.rename(entry, tmp_path / "elsewhere")
        entry.symlink_to(tmp_path / "elsewhere")
    elif how == "folder":
        entry.unlink()
        entry.mkdir()
    else:
        monkeypatch.setattr(compiled, "_LARGEST", len(data) - 1)
    again = []

    def compile_again(source, architecture):
        again.append(source)
        return compile_source(source, architecture)

    monkeypatch.setattr(compiled, "compile_source", compile_again)
    with caplog.at_level(logging.WARNING):
        assert cubin_of(small, "sm_87") == made
    assert again == [small] and caplog.records


def test_a_cache_that_others_may_write_to_is_not_used(compiler, small, tmp_path, caplog):
    folder = tmp_path / "cache" / "kernels"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with caplog.at_level(logging.WARNING):
        assert cubin_of(small, "sm_87")[:4] == b"\x7fELF"
    assert not kept(tmp_path) and "other users may write" in caplog.text


def test_a_disk_that_takes_nothing_is_told_and_no_more(compiler, small, tmp_path, caplog):
    (tmp_path / "cache").write_text("a file where the folder should be", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        assert cubin_of(small, "sm_87")[:4] == b"\x7fELF"
    assert "not kept" in caplog.text


def test_the_compiler_has_a_version(compiler):
    assert re.search(r"\d+\.\d+", compiler_version())
