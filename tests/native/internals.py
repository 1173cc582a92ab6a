# SPDX-License-Identifier: Apache-2.0
"""The parts of libstillflow that it does not export, built into a library of their own for tests."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
NATIVE = ROOT / "runtime" / "native"
SHIMS = ROOT / "tests" / "native" / "shims"

FLAGS = [
    "-std=c11",
    "-O2",
    "-g",
    "-fPIC",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-psabi",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
]
"""Of CMakeLists.txt, but for what hides symbols; and without the wide kernels (SF_AVX2), which give the same bytes."""

INCLUDES = (f"-I{NATIVE / 'include'}", f"-I{NATIVE / 'src'}")


class Error(ctypes.Structure):
    """sf_error."""

    _fields_ = (
        ("struct_size", ctypes.c_uint32),
        ("status", ctypes.c_int32),
        ("what", ctypes.c_char * 160),
        ("why", ctypes.c_char * 320),
        ("fix", ctypes.c_char * 240),
    )

    def __init__(self) -> None:
        super().__init__(struct_size=ctypes.sizeof(Error))


@lru_cache(maxsize=1)
def internals() -> ctypes.CDLL:
    """Every C file of the library but the AVX kernels' and the shims, with all their functions visible.

    Objects are kept in build/internals, by what they were made of.
    """
    if shutil.which("cc") is None:
        pytest.skip("no C compiler is installed")
    headers = sorted([*NATIVE.rglob("*.h")])
    sources = [p for p in sorted(NATIVE.rglob("src/**/*.c")) if "avx" not in p.name] + sorted(
        SHIMS.glob("*.c")
    )
    common = hashlib.sha256(" ".join(FLAGS).encode() + b"".join(p.read_bytes() for p in headers)).hexdigest()
    folder = ROOT / "build" / "internals"
    folder.mkdir(parents=True, exist_ok=True)
    objects, running = [], []
    for source in sources:
        digest = hashlib.sha256(common.encode() + source.read_bytes()).hexdigest()[:16]
        name = "_".join(source.relative_to(ROOT).with_suffix("").parts[2:])
        made = folder / f"{name}-{digest}.o"
        objects.append(made)
        if not made.is_file():
            command = ["cc", *FLAGS, *INCLUDES, "-c", str(source), "-o", f"{made}.{os.getpid()}"]
            running.append((made, source, subprocess.Popen(command, stderr=subprocess.PIPE, text=True)))
    for made, source, process in running:
        _, told = process.communicate()
        assert process.returncode == 0, f"{source.name}: {told}"
        Path(f"{made}.{os.getpid()}").replace(made)
    whole = hashlib.sha256("".join(p.name for p in objects).encode()).hexdigest()[:16]
    library = folder / f"internals-{whole}.so"
    if not library.is_file():
        part = library.with_suffix(f".{os.getpid()}")
        subprocess.run(["cc", "-shared", "-o", str(part), *map(str, objects), "-lm", "-ldl"], check=True)
        part.replace(library)
    loaded = ctypes.CDLL(str(library))
    loaded.test_room_open.restype = ctypes.c_void_p
    loaded.test_room_open.argtypes = (ctypes.c_uint64, ctypes.c_void_p)
    loaded.test_room_close.argtypes = (ctypes.c_void_p,)
    loaded.test_try.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    loaded.test_try.restype = ctypes.c_int32
    return loaded


class Room:
    """A room to call the library's parts in: ``with Room() as room: internals().sf_...(room.address, ...)``.

    What gives up must be called through a shim that uses ``test_try``.
    """

    def __init__(self, limit: int = 0) -> None:
        self.error = Error()
        self.address = ctypes.c_void_p(internals().test_room_open(limit, ctypes.addressof(self.error)))

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *_: object) -> None:
        internals().test_room_close(self.address)


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    """Address of a C-contiguous array."""
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)
