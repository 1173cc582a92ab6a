# SPDX-License-Identifier: Apache-2.0
"""The examples under valgrind's memcheck: nothing is read that was not written, nothing is left over."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from .builds import ROOT, built

SCENE = ROOT / "tests" / "data" / "baked" / "falls-1.0.sflow"
BUNDLE = ROOT / "tests" / "native" / "fuzz" / "corpus" / "bundle" / "small.zip"
PICTURE = ROOT / "tests" / "data" / "baked" / "falls-frames.png"

FOUND = 9
"""Exit code of valgrind where it has something to say, whatever the program's own."""


@pytest.fixture(scope="module")
def build() -> Path:
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    # Counted: assembled so that valgrind knows every instruction of the AVX2 kernels (tests/native/for_valgrind.s).
    options = ("-DSTILLFLOW_COUNTED=ON", "-DSTILLFLOW_TESTS=ON", "-DSTILLFLOW_EXAMPLES=ON")
    return built("memchecked", ("play", "photo", "stillflow_fake_engine"), *options)


def checked(program: Path, *given: object, kinds: str = "all") -> subprocess.CompletedProcess[str]:
    flags = (f"--error-exitcode={FOUND}", f"--show-leak-kinds={kinds}", f"--errors-for-leak-kinds={kinds}")
    command = ["valgrind", "-q", "--leak-check=full", *flags, str(program), *map(str, given)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("form", "size", "threads"), [("rgb", "0x0", 1), ("nv12", "61x33", 2), ("bgra", "31x45", 1)]
)
def test_play(build, tmp_path, form, size, threads):
    done = checked(build / "examples" / "play", SCENE, tmp_path / "frames", form, size, threads)
    assert done.returncode == 0, done.stderr[-4000:]


def test_play_of_a_damaged_scene(build, tmp_path):
    (tmp_path / "cut.sflow").write_bytes(SCENE.read_bytes()[:-1])
    done = checked(build / "examples" / "play", tmp_path / "cut.sflow", tmp_path / "frames")
    assert done.returncode == 2, done.stderr[-4000:]


def test_photo_up_to_a_network_that_fails(build, tmp_path):
    """ONNX Runtime takes 20 s under valgrind; what stands in for it gives the vectors' shapes, not the photo's."""
    engine = next((build / "tests" / "native").glob("*stillflow_fake_engine*.*"))
    given = (PICTURE, BUNDLE, tmp_path / "frames", 0.2, 0, engine)
    # The engine's library stays loaded, and what the loader knows of it stays reachable.
    done = checked(build / "examples" / "photo", *given, kinds="definite,indirect,possible")
    assert done.returncode == 2, done.stderr[-4000:]
    assert "photo: " in done.stderr and "fix: " in done.stderr
