# SPDX-License-Identifier: Apache-2.0
"""The GPU as the driver describes it. Where there is none, a driver in C of our own is asked the same questions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stillflow.gpu.description import find_gpu

DRIVER = """
#include <stddef.h>
#include <string.h>
int cuInit(unsigned flags) { return flags == 0 ? INIT : 1; }
int cuDeviceGet(int *device, int index) { *device = index + 7; return index == 0 ? 0 : 101; }
int cuDeviceGetName(char *name, int length, int device)
{ strncpy(name, device == 7 ? "Test GPU" : "?", length); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = device == 7 ? 24ull << 30 : 0; return 0; }
int cuDriverGetVersion(int *version) { *version = 13010; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    static const int known[][2] = {{75, 8}, {76, 9}, {16, 58}, {18, 0}, {32, 1},
                                   {37, 192}, {38, 50331648}, {97, 101376}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i][0] == attribute && device == 7) { *value = known[i][1]; return 0; }
    return 1;
}
"""


def asked(tmp_path: Path, init: int) -> str:
    """What a process of its own finds with our driver in front of any other."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("there is no C compiler, or this is not Linux")
    (tmp_path / "driver.c").write_text(DRIVER)
    library = tmp_path / "libcuda.so.1"
    command = [compiler, "-shared", "-fPIC", f"-DINIT={init}", "-o", str(library), str(tmp_path / "driver.c")]
    subprocess.run(command, check=True)
    done = subprocess.run(
        [sys.executable, "-c", "from stillflow.gpu.description import find_gpu; print(find_gpu())"],
        env=os.environ | {"LD_LIBRARY_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_everything_an_engine_is_tied_to_is_asked_for(tmp_path: Path) -> None:
    found = asked(tmp_path, 0)
    for part in (
        "name='Test GPU'",
        "compute_capability='8.9'",
        "multiprocessors=58",
        "memory_mib=24576",
        "l2_kib=49152",
        "bus_bits=192",
        "shared_bytes=101376",
        "integrated=False",
        "ecc=True",
    ):
        assert part in found
    assert "driver=''" not in found


def test_a_driver_without_a_device_is_no_gpu(tmp_path: Path) -> None:
    assert asked(tmp_path, 100).strip() == "None"


def test_no_driver_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise OSError(name)

    monkeypatch.setattr("ctypes.CDLL", missing)
    assert find_gpu() is None
