# SPDX-License-Identifier: Apache-2.0
"""Builds of the library that only tests want."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]


def built(name: str, targets: tuple[str, ...], *options: str) -> Path:
    """A build folder below build/, which is kept, so that a second run only builds what has changed."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    place = ROOT / "build" / name
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / ".lock"):
        for command in (
            ["cmake", "-S", str(ROOT), "-B", str(place), "-DCMAKE_BUILD_TYPE=Debug", *options],
            ["cmake", "--build", str(place), "--parallel", "2", "--target", *targets],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return place
