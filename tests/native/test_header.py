# SPDX-License-Identifier: Apache-2.0
"""The header is plain C11 and C++17, the library exports what it says and survives the sanitizers."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from stillflow.kernels.native import library_candidates

NATIVE = Path(__file__).resolve().parents[2] / "runtime" / "native"

STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only")


@pytest.mark.parametrize(
    ("compiler", "flags"), [("gcc", ("-std=c11", "-xc")), ("g++", ("-std=c++17", "-xc++"))]
)
def test_the_header_compiles_alone(compiler, flags, tmp_path):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    source = tmp_path / "alone.c"
    source.write_text('#include "stillflow.h"\nint main(void) { return sf_abi_version() == 0; }\n')
    command = [compiler, *flags, *STRICT, f"-I{NATIVE / 'include'}", str(source)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_only_the_headers_functions_are_exported():
    if shutil.which("nm") is None:
        pytest.skip("nm is not installed")
    library = next(path for path in library_candidates() if path.is_file())
    listing = subprocess.run(
        ["nm", "-D", "--defined-only", str(library)], capture_output=True, text=True, check=True
    )
    exported = {line.split()[-1] for line in listing.stdout.splitlines() if " T " in line} - {
        "_init",
        "_fini",
    }
    declared = set(re.findall(r"\b(sf_\w+)\s*\(", (NATIVE / "include" / "stillflow.h").read_text()))
    assert exported
    assert exported <= declared


def test_random_scenes_under_address_and_undefined_sanitizers(tmp_path):
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    options = ["-DSTILLFLOW_TESTS=ON", "-DSTILLFLOW_SANITIZE=ON", "-DCMAKE_BUILD_TYPE=Debug"]
    for command in (["cmake", "-S", str(NATIVE.parents[1]), "-B", str(tmp_path), *options],
                    ["cmake", "--build", str(tmp_path), "--target", "stillflow_soak"]):  # fmt: skip
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stdout + built.stderr
    program = next(tmp_path.rglob("stillflow_soak"))
    ran = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
