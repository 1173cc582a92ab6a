# SPDX-License-Identifier: Apache-2.0
"""libstillflow as products get it: installed, found by CMake and pkg-config, linked, and run on another processor."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SCENE = ROOT / "tests" / "data" / "baked" / "falls-1.0.sflow"

LARGEST = 300_000
"""Bytes of the stripped library."""


def run(*command: str | Path, **more: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command[:3]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done


@pytest.fixture(scope="module")
def examples() -> Path:
    """The examples, built against the installed library as README.md and docs/embedding.md say."""
    for tool in ("cmake", "make"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    run("make", "-C", ROOT, "examples")
    return ROOT / "build" / "examples"


@pytest.fixture(scope="module")
def installed(examples) -> Path:
    """Where the library was installed."""
    return ROOT / "build" / "install"


def library(prefix: Path) -> Path:
    return next(p for p in prefix.rglob("libstillflow.so.*") if not p.is_symlink())


def test_the_library_is_small(installed):
    assert library(installed).stat().st_size < LARGEST


def test_the_version_is_the_packages(installed):
    assert library(installed).name == f"libstillflow.so.{version('stillflow')}"


def test_it_needs_nothing_but_the_c_library(installed):
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not installed")
    told = run("readelf", "-d", library(installed)).stdout
    needed = {line.split("[")[1].split("]")[0] for line in told.splitlines() if "(NEEDED)" in line}
    assert needed <= {"libc.so.6", "libm.so.6", "libdl.so.2"}
    assert "soname: [libstillflow.so.4]" in told


def test_pkg_config_finds_it(installed, tmp_path):
    if shutil.which("pkg-config") is None:
        pytest.skip("pkg-config is not installed")
    where = next(installed.rglob("stillflow.pc")).parent
    environment = {**os.environ, "PKG_CONFIG_PATH": str(where)}
    flags = run("pkg-config", "--cflags", "--libs", "stillflow", env=environment).stdout.split()
    source = tmp_path / "asks.c"
    source.write_text(
        "#include <stillflow.h>\nint main(void) { return sf_abi_version() != SF_ABI_VERSION; }\n"
    )
    run("cc", "-std=c11", source, *flags, "-o", tmp_path / "asks")
    run(tmp_path / "asks", env={**os.environ, "LD_LIBRARY_PATH": str(library(installed).parent)})


def test_c_and_cpp_and_python_play_the_same_frames(examples, tmp_path):
    from stillflow.baked import read_baked

    scene = read_baked(SCENE).scene
    frames = b"".join(scene.frame(t).tobytes() for t in range(scene.frames))
    run(examples / "play", SCENE, tmp_path / "c.rgb", "rgb", "0x0", "3")
    run(examples / "play_cpp", SCENE, tmp_path / "cpp.rgb")
    assert (tmp_path / "c.rgb").read_bytes() == frames
    assert (tmp_path / "cpp.rgb").read_bytes() == frames


def test_examples_say_what_is_wrong(examples, tmp_path):
    (tmp_path / "broken.sflow").write_bytes(SCENE.read_bytes()[:-1])
    for program in ("play", "play_cpp"):
        done = subprocess.run(
            [examples / program, tmp_path / "broken.sflow", tmp_path / "out"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "fix:" in done.stderr


@pytest.mark.parametrize("how", ["piped", "shared", "cancelled"])
def test_the_worker_is_asked_in_c(examples, how, tmp_path):
    photo, program = ROOT / "samples" / "fog.jpg", Path(sys.executable).with_name("stillflow")
    done = run(examples / "worker", photo, tmp_path / "frames.rgb", "0.07", how, program)
    assert '"protocol":"1.0"' in done.stderr
    assert (tmp_path / "frames.rgb").stat().st_size == (0 if how == "cancelled" else 2 * 1280 * 854 * 3)


def test_the_window_shows_frames(examples):
    if not (examples / "window").is_file():
        pytest.skip("SDL2's development files are not installed")
    environment = {**os.environ, "SDL_VIDEODRIVER": "dummy", "SDL_RENDER_DRIVER": "software"}
    told = run(examples / "window", SCENE, "0.2", env=environment).stdout
    assert int(told.split()[1]) > 0


def test_on_aarch64_the_frames_are_the_same_bytes(examples, tmp_path):
    for tool in ("aarch64-linux-gnu-gcc", "qemu-aarch64"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    toolchain = ROOT / "runtime" / "native" / "cmake" / "aarch64-linux-gnu.cmake"
    options = (f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", "-DBUILD_SHARED_LIBS=OFF", "-DSTILLFLOW_EXAMPLES=ON")
    run("cmake", "-S", ROOT, "-B", tmp_path / "build", *options)
    run("cmake", "--build", tmp_path / "build", "--parallel", "2", "--target", "play")
    program = next(p for p in (tmp_path / "build").rglob("play") if p.is_file())
    run("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", program, SCENE, tmp_path / "there.rgb", "nv12")
    run(examples / "play", SCENE, tmp_path / "here.rgb", "nv12")
    there, here = (
        hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("there.rgb", "here.rgb")
    )
    assert there == here
