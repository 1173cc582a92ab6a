# SPDX-License-Identifier: Apache-2.0
"""The CUDA kernels built for the CPU, behind the driver's own functions."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from stillflow.kernels.cuda_source import SOURCE

NATIVE_TESTS = Path(__file__).resolve().parents[2] / "native"


@pytest.fixture(scope="session")
def host_driver(tmp_path_factory):
    """A library that stands where libcuda stands and runs the very source of the kernels, thread by thread."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    made = tmp_path_factory.mktemp("cuda") / "libcuda_on_host.so"
    flags = ["-std=c++17", "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    folders = [f"-I{NATIVE_TESTS}", f"-I{SOURCE.parent}"]
    command = ["g++", *flags, *folders, str(NATIVE_TESTS / "splat_on_host.cpp"), "-o", str(made)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return str(made)
