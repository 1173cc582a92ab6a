# SPDX-License-Identifier: Apache-2.0
"""The program that times baked scenes builds, runs and says what it measured (benchmarks/native/player.c)."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from ..internals import INCLUDES, ROOT, internals
from .baked import baked, small_scene


@pytest.fixture(scope="module")
def player(tmp_path_factory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler is installed")
    shared, program = Path(internals()._name), tmp_path_factory.mktemp("player") / "player"
    source = ROOT / "benchmarks" / "native" / "player.c"
    flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic", *INCLUDES]
    link = [str(shared), f"-Wl,-rpath,{shared.parent}", "-lpthread"]
    built = subprocess.run(["cc", *flags, str(source), *link, "-o", program], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return program


def test_it_says_what_it_measured(player, tmp_path):
    scene = tmp_path / "scene.sflow"
    scene.write_bytes(baked(small_scene(6, 240, 1)))
    ran = subprocess.run([player, scene, "3", "0.001"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert (told["width"], told["height"]) == (240, 6)
    assert told["open_ms"]["whole"] >= told["open_ms"]["whole_best"] > 0
    assert [p["threads"] for p in told["play"]] == [1] * 6 + [2] * 6 + [3] * 6
    assert {(p["format"], p["width"], p["height"]) for p in told["play"]} == {
        *((kind, 240, 6) for kind in ("RGB", "BGRA", "RGBA", "NV12")),
        ("RGB", 3840, 96),
        ("NV12", 3840, 96),
    }
    assert all(p["ms"] >= p["ms_best"] > 0 and p["frames"] >= 5 and p["memcpy_ms"] >= 0 for p in told["play"])


def test_what_it_cannot_play_it_says(player, tmp_path):
    (tmp_path / "text.sflow").write_text("no scene")
    ran = subprocess.run([player, tmp_path / "text.sflow"], capture_output=True, text=True)
    assert ran.returncode == 2 and "not a baked scene" in ran.stderr and not ran.stdout
    assert subprocess.run([player], capture_output=True).returncode == 2
