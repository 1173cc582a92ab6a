# SPDX-License-Identifier: Apache-2.0
"""The CUDA kernels compile for every GPU of the device profiles, without a GPU; the arithmetic is what it says."""

from __future__ import annotations

import re

import pytest

from stillflow.errors import StillflowError
from stillflow.kernels.cuda_source import BLOCK, SOURCE, compile_kernels
from stillflow.kernels.cuda_splat import _Picture, _Values
from stillflow.kernels.splat_source import DENOMINATORS_MOST, LEAST_WEIGHT

KERNELS = set(re.findall(r"__global__ void (\w+)", SOURCE.read_text(encoding="utf-8")))


def needs_compiler():
    pytest.importorskip("cuda.core", reason="cuda-core is not installed (pip install 'stillflow[cuda]')")
    pytest.importorskip(
        "cuda.bindings.nvrtc", reason="NVRTC is not installed (pip install 'stillflow[cuda]')"
    )


@pytest.mark.parametrize("architecture", ["sm_75", "sm_86", "sm_87", "sm_89", "sm_90", "sm_110", "sm_120"])
def test_they_compile(architecture):
    needs_compiler()
    cubin = compile_kernels(architecture)
    assert cubin[:4] == b"\x7fELF"
    assert all(name.encode() in cubin for name in KERNELS)


@pytest.mark.parametrize("architecture", ["sm_12", "sm_999"])
def test_architectures_that_the_compiler_does_not_know_are_refused(architecture):
    needs_compiler()
    with pytest.raises(StillflowError, match=architecture):
        compile_kernels(architecture)


@pytest.mark.parametrize("architecture", ["8.7", "sm_87 -lineinfo", "", "compute_87"])
def test_names_that_are_no_architecture_are_refused(architecture):
    with pytest.raises(StillflowError, match="no architecture"):
        compile_kernels(architecture)


def test_constants_and_shapes_are_those_of_the_source():
    text = SOURCE.read_text(encoding="utf-8")
    assert f"#define BLOCK {BLOCK}\n" in text
    assert f"#define DENOMINATORS_MOST {DENOMINATORS_MOST}\n" in text
    assert f"> {LEAST_WEIGHT:.0e}f".replace("e-08", "e-8") in text
    for structure, name in ((_Picture, "Picture"), (_Values, "Values")):
        body = re.search(rf"struct {name} {{(.*?)}};", text, re.DOTALL)
        assert body is not None
        members = re.findall(r"\w+(?=[,;\[])", re.sub(r"//.*|\[\w+\]", "", body[1]))
        assert members == [field for field, _ in structure._fields_]


def test_no_float_is_added_atomically_and_no_thread_waits():
    text = SOURCE.read_text(encoding="utf-8")
    assert "__syncthreads" not in text and "__shared__" not in text
    assert set(re.findall(r"atomic\w+\(([^)]*)\)", text)) == {"count + cell, 1u"}
