# SPDX-License-Identifier: Apache-2.0
"""The wheel as users get it: built once, put into an empty environment, and looked at from outside."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]

TOP_LEVEL = {
    "stillflow",
    "stillflow_engines",
    "stillflow_export",
    "stillflow_training",
    "stillflow_bench",
    "stillflow-0.1.0.dist-info",
}
"""Everything the wheel puts into site-packages, and nothing else."""

LARGEST_WHEEL = 40_000_000
"""Bytes. The networks are the bulk of it; tests, runs and all photos but the 32 that are measured on stay outside."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the tracked and new files, as from a fresh clone."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("this is no git checkout, so what belongs to the source is not known")
    source = folder / "source"
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*command, "--wheel-dir", str(folder), str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(python, site-packages) of an environment that holds the wheel; its dependencies are this one's."""
    home = tmp_path_factory.mktemp("installed") / "env"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), "install"]
    subprocess.run([*command, "--quiet", "--no-deps", str(wheel)], check=True)
    (site,) = (home / "lib").glob("python*/site-packages")
    # A .pth line puts this environment's libraries behind the wheel; the source tree is not among them.
    (site / "dependencies.pth").write_text(sysconfig.get_path("platlib") + "\n", encoding="utf-8")
    return python, site


def names(wheel: Path) -> list[PurePosixPath]:
    with zipfile.ZipFile(wheel) as archive:
        return [PurePosixPath(name) for name in archive.namelist() if not name.endswith("/")]


def test_wheel_holds_exactly_the_rooms(wheel: Path) -> None:
    assert {name.parts[0] for name in names(wheel)} == TOP_LEVEL


def test_wheel_is_for_every_python_3_and_small(wheel: Path) -> None:
    assert wheel.name.startswith("stillflow-0.1.0-py3-none-")
    assert wheel.stat().st_size < LARGEST_WHEEL


def test_wheel_holds_library_types_and_bundle_but_no_leftovers(wheel: Path) -> None:
    held = {name.as_posix() for name in names(wheel)}
    assert [name for name in held if name.startswith("stillflow/_native/libstillflow")]
    assert "stillflow/py.typed" in held
    modules = {f"stillflow/_browser/{path.name}" for path in (ROOT / "runtime" / "browser").glob("*.js")}
    assert modules and modules <= held
    assert "stillflow_engines/edge/manifest.json" in held
    assert "stillflow_engines/profiles/jetson-orin-nano.json" in held
    assert [name for name in held if name.startswith("stillflow_engines/edge/") and name.endswith(".onnx")]
    assert "stillflow-0.1.0.dist-info/licenses/LICENSE" in held
    photos = {name for name in held if name.startswith("stillflow_bench/latency/photos/")}
    assert len([name for name in photos if name.endswith(".webp")]) == 32
    assert "stillflow_bench/latency/photos/CREDITS.md" in photos
    assert not [name for name in held if name.endswith((".pyc", ".c", ".pt")) or "test" in name.split("/")[0]]


def test_wheel_holds_every_file_the_bundle_lists(wheel: Path) -> None:
    root = "stillflow_engines/edge/"
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        text = archive.read(root + "manifest.json").decode("utf-8")
    files = {entry for entry in _strings(json.loads(text)) if (ROOT / "engines" / root / entry).is_file()}
    assert files
    assert {root + name for name in files} <= held


def test_installed_wheel_animates_with_its_own_bundle(
    installed: tuple[Path, Path], tmp_path: Path, sample_photo: Path
) -> None:
    python, site = installed
    out = tmp_path / "loop.mp4"
    command = [str(python.parent / "stillflow"), "animate", str(sample_photo), "-o", str(out), "--json"]
    done = subprocess.run(
        [*command, "--size", "320", "--seconds", "1", "--fps", "8"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), dict)
    assert out.stat().st_size > 1000
    where = subprocess.run(
        [str(python), "-c", "import stillflow.kernels.native as n; print(n.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert Path(where.stdout.strip()).is_relative_to(site.resolve()) or str(site) in where.stdout


def test_every_command_is_installed(installed: tuple[Path, Path], tmp_path: Path) -> None:
    python, _ = installed
    for program in ("stillflow", "stillflow-export", "stillflow-bench"):
        done = subprocess.run(
            [str(python.parent / program), "--help"],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        assert "Usage" in done.stdout


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return []
