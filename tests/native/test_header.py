# SPDX-License-Identifier: Apache-2.0
"""The header is plain C11 and C++17, the library exports what it says and survives the sanitizers."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from stillflow.kernels import native

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
    library = next(path for path in native.library_candidates() if path.is_file())
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


def test_a_random_scene_under_address_and_undefined_sanitizers(tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    sources = [str(path) for path in sorted((NATIVE / "src").glob("*.c"))]
    program = tmp_path / "soak"
    arch = {"kernels_avx2": "-mavx2", "kernels_avx512": "-mavx512f -mavx512bw -mavx512vl -mavx512dq"}
    objects = []
    base = ["gcc", "-std=c11", "-O1", "-g", "-ffp-contract=off", "-fsanitize=address,undefined",
            "-fno-sanitize-recover=all", "-Wno-psabi", f"-I{NATIVE / 'include'}", f"-I{NATIVE / 'src'}"]  # fmt: skip
    for source in [*sources, str(Path(__file__).with_name("soak.c"))]:
        target = tmp_path / (Path(source).stem + ".o")
        extra = arch.get(Path(source).stem, "").split()
        built = subprocess.run(
            [*base, *extra, "-c", source, "-o", str(target)], capture_output=True, text=True, check=False
        )
        assert built.returncode == 0, built.stderr
        objects.append(str(target))
    subprocess.run([*base, *objects, "-lm", "-o", str(program)], check=True)
    ran = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
