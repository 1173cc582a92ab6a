# SPDX-License-Identifier: Apache-2.0
"""Without cuda-core the CUDA sources are compiled by nvcc, to kernels of the same names."""

from __future__ import annotations

import os
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest

from stillflow import kernels
from stillflow.errors import StillflowError
from stillflow.gpu.compiled import compile_source, compiler_version, source_text
from stillflow.gpu.nvcc import compile_by_nvcc, find_nvcc, nvcc_version

SOURCES = sorted((Path(kernels.__file__).parent / "cuda").glob("*.cu"))


@pytest.fixture
def nvcc():
    found = find_nvcc()
    if found is None:
        pytest.skip("nvcc is not installed")
    return found


@pytest.fixture
def without_cuda_core(monkeypatch):
    real = metadata.version

    def version(name):
        if name == "cuda-core":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setitem(sys.modules, "cuda.core", None)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_all_sources_compile_where_there_is_no_cuda_core(nvcc, without_cuda_core, source):
    cubin = compile_source(source, "sm_87")
    names = re.findall(r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)", source_text(source))
    assert cubin[:4] == b"\x7fELF" and names
    assert all(f".text.{name}\0".encode() in cubin for name in names)
    assert "release" in compiler_version() or "cuda_" in compiler_version()


def test_what_nvcc_says_of_a_bad_source_or_an_unknown_gpu_comes_along(nvcc):
    with pytest.raises(StillflowError, match=r"cannot compile bad\.cu for sm_87.*identifier"):
        compile_by_nvcc(nvcc, "__global__ void f() { nothing; }", "bad.cu", "sm_87")
    with pytest.raises(StillflowError, match=r"sm_12"):
        compile_by_nvcc(nvcc, "", "empty.cu", "sm_12")


@pytest.fixture
def no_toolkit(tmp_path, monkeypatch):
    """No nvcc but one that a test makes in tmp_path/bin."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUDA_ROOT", str(tmp_path))
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin" / "nvcc"


def test_it_is_found_in_the_toolkit_that_the_environment_names(no_toolkit):
    no_toolkit.write_text("#!/bin/sh\necho Built in release 99.1\n")
    assert find_nvcc() != str(no_toolkit)  # it cannot be run yet
    no_toolkit.chmod(0o755)
    assert find_nvcc() == str(no_toolkit)
    assert nvcc_version(str(no_toolkit)) == "Built in release 99.1"


def test_one_that_fails_or_makes_nothing_is_told(no_toolkit):
    no_toolkit.write_text("#!/bin/sh\nexit 0\n")
    no_toolkit.chmod(0o755)
    with pytest.raises(StillflowError, match="nvcc ended with 0"):
        compile_by_nvcc(str(no_toolkit), "", "empty.cu", "sm_87")
    with pytest.raises(StillflowError, match=r"cannot compile empty\.cu"):
        compile_by_nvcc(os.fspath(no_toolkit.with_name("absent")), "", "empty.cu", "sm_87")
    assert nvcc_version(os.fspath(no_toolkit.with_name("absent"))) == "nvcc"
