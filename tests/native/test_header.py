# SPDX-License-Identifier: Apache-2.0
"""The header is plain C11 and C++17, the library exports what it says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from stillflow.kernels.native import ABI_VERSION, library_candidates

NATIVE = Path(__file__).resolve().parents[2] / "runtime" / "native"

STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only")


MOST_FUNCTIONS = 20
"""What one person can learn."""


def declared() -> set[str]:
    """Functions of the header."""
    return set(
        re.findall(
            r"^SF_API [^;(]*?\b(sf_\w+)\(", (NATIVE / "include" / "stillflow.h").read_text(), re.MULTILINE
        )
    )


@pytest.mark.parametrize("language", ["c11", "c++17"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_header_compiles_alone(compiler, language, tmp_path):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    source = tmp_path / "alone.c"
    source.write_text('#include "stillflow.h"\nint main(void) { return sf_abi_version() == 0; }\n')
    flags = (f"-std={language}", "-xc" if language == "c11" else "-xc++")
    command = [compiler, *flags, *STRICT, f"-I{NATIVE / 'include'}", str(source)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_what_is_exported_is_listed_and_declared_and_little():
    if shutil.which("nm") is None:
        pytest.skip("nm is not installed")
    library = next(path for path in library_candidates() if path.is_file())
    listing = subprocess.run(
        ["nm", "-D", "--defined-only", str(library)], capture_output=True, text=True, check=True
    )
    exported = {line.split()[-1].split("@")[0] for line in listing.stdout.splitlines() if " T " in line}
    listed = set(re.findall(r"^    (\w+);$", (NATIVE / "stillflow.map").read_text(), re.MULTILINE))
    assert exported == listed == declared()
    assert len(exported) <= MOST_FUNCTIONS


def test_every_struct_of_callers_begins_with_its_size():
    text = (NATIVE / "include" / "stillflow.h").read_text()
    structs = re.findall(r"typedef struct sf_\w+ \{\n\s*(\w+ \w+);", text)
    assert len(structs) >= 10
    assert set(structs) == {"uint32_t struct_size"}


def test_the_soname_is_the_abi_version():
    version = re.search(r"#define SF_ABI_VERSION (\d+)", (NATIVE / "include" / "stillflow.h").read_text())
    assert version is not None
    assert f"STILLFLOW_{version[1]} {{" in (NATIVE / "stillflow.map").read_text()
    assert int(version[1]) == ABI_VERSION
