#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Unpacks a pack of stillflow on a GPU machine: no network, no pip, nothing but the standard library.

``python3 unpack.py --to FOLDER`` takes the slices that lie beside it. They may come in several turns: an archive is
unpacked once all of its slices were there. Then ``FOLDER/run COMMAND`` runs a command with everything on its path.
This file is copied into the pack and runs by itself.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOMS = ("runtime", "engines", "export", "training", "benchmarks")

CC = (
    'cd "$1/runtime/native/src" && F="-std=c11 -O3 -fPIC -fvisibility=hidden -ffp-contract=off -fno-math-errno '
    '-fno-trapping-math -DSF_AVX2 -I../include -I. $CFLAGS" && for path in *.c */*.c; do case "$path" in '
    "*avx512.c) continue;; *avx2.c) more=-mavx2;; *) more=;; esac; "
    'cc $F $more -c "$path" -o "$2/$(echo "$path" | tr / _).o" || exit; done && '
    'cc -shared -o "$3" "$2"/*.o -lm -ldl'
)
"""Builds the C library of a tree: sh -c CC - TREE FOLDER LIBRARY, flags as in CMakeLists.txt but -O3 for all."""

RUN = """#!/bin/sh
# Runs a command in the source tree, with what the pack brought on its path.
export PYTHONPATH="{path}${{PYTHONPATH:+:$PYTHONPATH}}"
export LD_LIBRARY_PATH="{libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"
export STILLFLOW_COMMIT="{commit}" STILLFLOW_GENERATOR="{generator}" PYTHONDONTWRITEBYTECODE=1
cd "{tree}" && exec "$@"
"""


class RefusedError(Exception):
    """What a person can put right."""


class Joined(io.RawIOBase):
    """The slices of an archive as one file."""

    def __init__(self, paths: list[Path]) -> None:
        super().__init__()
        self._waiting = list(paths)
        self._open: Any = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if self._open is None:
                if not self._waiting:
                    return 0
                self._open = self._waiting.pop(0).open("rb")
            size: int = self._open.readinto(buffer)
            if size:
                return size
            self._open.close()
            self._open = None


def main() -> int:
    """Unpack, and say how to go on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, required=True, help="folder to unpack into; is made when missing")
    parser.add_argument(
        "--tree", type=Path, help="a source tree that is here already, in place of the pack's"
    )
    arguments = parser.parse_args()
    try:
        unpack(Path(__file__).resolve().parent, arguments.to.resolve(), arguments.tree)
    except RefusedError as error:
        sys.stderr.write(f"unpack: {error}\n")
        return 2
    return 0


def unpack(pack: Path, to: Path, tree: Path | None = None) -> None:
    """Unpack what is complete.

    Args:
        pack: folder with pack.json and slices.
        to: folder that everything goes into; what an earlier turn left there is used.
        tree: a source tree in place of the pack's.

    Raises:
        RefusedError: another Python than the wheels', or a slice that is damaged.
    """
    told = json.loads((pack / "pack.json").read_text(encoding="utf-8"))
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if told["wheels"] and here != told["python"]:
        raise RefusedError(
            f"the wheels are for Python {told['python']}, this is {here}: run it with python{told['python']}"
        )
    to.mkdir(parents=True, exist_ok=True)
    take_slices(told, pack, to / "slices")
    skipped = {w["name"] for w in told["wheels"] if has(w["name"], w["at_least"]) and w["unless_there"]}
    waiting = []
    for archive in told["archives"]:
        paths = [to / "slices" / piece["file"] for piece in archive["slices"]]
        mark = to / "slices" / f"{archive['name']}.done"
        if mark.exists() or (tree is not None and archive["name"] == "tree"):
            continue
        if not all(path.is_file() for path in paths):
            waiting.append(archive["name"])
            continue
        extract(paths, to, skipped)
        mark.write_text("")
        for path in paths:
            path.unlink()
        say(f"unpacked {archive['name']}")
    if skipped:
        say(f"left to this machine's own: {', '.join(sorted(skipped))}")
    finish(told, to, (tree or to / "tree").resolve(), waiting)


def finish(told: dict[str, Any], to: Path, tree: Path, waiting: list[str]) -> None:
    """Put the C library in its place, write ``run``, and say what is missing."""
    if (tree / "runtime").is_dir():
        native_library(told, to, tree)
        write_run(told, to, tree)
        say(f"run: {to / 'run'} python3 -m stillflow_bench.gpu.check")
    else:
        say("the source tree is not here yet")
    if waiting:
        say(f"still to come: {', '.join(waiting)}; put their slices beside unpack.py and run it again")
    for name, floor in told["expects"].items():
        if not has(name, floor) and not has(name, floor, [str(to / "site")]):
            say(f"missing: {name} {floor}".rstrip() + ", which neither the pack nor this machine has")


def take_slices(told: dict[str, Any], pack: Path, to: Path) -> None:
    """Check the slices that lie in the pack and keep them until their archive is complete."""
    to.mkdir(exist_ok=True)
    for archive in told["archives"]:
        if (to / f"{archive['name']}.done").exists():
            continue
        for piece in archive["slices"]:
            path, target = pack / piece["file"], to / piece["file"]
            if not path.is_file() or target.is_file():
                continue
            if path.stat().st_size != piece["bytes"] or sha256_of(path) != piece["sha256"]:
                raise RefusedError(f"{piece['file']} is damaged: bring it again")
            part = target.with_suffix(".part")
            shutil.copyfile(path, part)
            part.replace(target)


def extract(paths: list[Path], to: Path, skipped: set[str]) -> None:
    """Unpack an archive; what belongs to a wheel (``wheels/NAME/...``) goes onto the path, ``site/``."""
    joined = io.BufferedReader(Joined(paths), 1 << 20)
    with tarfile.open(fileobj=joined, mode="r|xz") as tar:
        for entry in tar:
            where = entry.name.split("/")
            if not entry.isreg() or ".." in where or entry.name.startswith("/"):
                raise RefusedError(f"the pack holds a strange entry: {entry.name}")
            if where[0] == "wheels":
                if where[1] in skipped:
                    continue
                where = ["site", *where[2:]]
            target = to.joinpath(*where)
            target.parent.mkdir(parents=True, exist_ok=True)
            source = tar.extractfile(entry)
            assert source is not None
            with target.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
            target.chmod(entry.mode)


def native_library(told: dict[str, Any], to: Path, tree: Path) -> None:
    """Put libstillflow into the tree: the one of the pack if it loads here, else one built by cc."""
    place = tree / "runtime" / "stillflow" / "_native" / "libstillflow.so"
    if loads(place):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    brought = to / "native" / "libstillflow.so"
    if brought.is_file():
        shutil.copyfile(brought, place)
        if loads(place):
            return
    objects = to / "objects"
    objects.mkdir(exist_ok=True)
    done = subprocess.run(
        ["sh", "-c", CC, "-", str(tree), str(objects), str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not loads(place):
        say(f"the C library does not build, so nothing runs on the CPU: {done.stderr.strip()[-300:]}")


def loads(path: Path) -> bool:
    """Whether a file is a library that this machine can load."""
    try:
        return path.is_file() and ctypes.CDLL(str(path)).sf_abi_version() > 0
    except (OSError, AttributeError):
        return False


def write_run(told: dict[str, Any], to: Path, tree: Path) -> None:
    """Write the script that sets the path. Libraries of CUDA that Python packages bring are named too."""
    path = os.pathsep.join([*(str(tree / room) for room in ROOMS), str(to / "site")])
    libraries = os.pathsep.join(map(str, library_folders(to / "site")))
    script = to / "run"
    script.write_text(
        RUN.format(
            path=path,
            libraries=libraries,
            commit=told["commit"],
            generator=to / "generator" / "random.sfb",
            tree=tree,
        ),
        encoding="utf-8",
    )
    script.chmod(0o755)


def library_folders(site: Path) -> Iterator[Path]:
    """Folders of NVIDIA's Python packages with libraries: the pack's first, then this machine's own.

    Those that torch brings are found by torch alone; ONNX Runtime and NVRTC's loader look in fewer places.
    """
    for place in dict.fromkeys([site, *(Path(entry) for entry in sys.path if entry), *_purelib()]):
        yield from sorted((place / "nvidia").glob("*/lib"))
        for name in ("tensorrt_rtx_libs", "tensorrt_libs"):
            if (place / name).is_dir():
                yield place / name


def _purelib() -> Iterator[Path]:
    for name in ("purelib", "platlib"):
        yield Path(sysconfig.get_path(name))


def has(name: str, at_least: str, path: list[str] | None = None) -> bool:
    """Whether this machine's Python, or a path, has a distribution of that version or a later one."""
    found = importlib.metadata.distributions(name=name, path=sys.path if path is None else path)
    return any(_numbers(one.version) >= _numbers(at_least) for one in found)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdecimal()]


def sha256_of(path: Path) -> str:
    """Hash a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def say(line: str) -> None:
    """Tell the person at the terminal."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        sys.stderr.write("unpack: the pack is for Linux on x86-64\n")
        sys.exit(2)
    sys.exit(main())
