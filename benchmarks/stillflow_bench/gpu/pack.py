# SPDX-License-Identifier: Apache-2.0
"""The pack for a GPU machine without a network: ``python -m stillflow_bench.gpu.pack``, or ``make gpu-pack``.

Writes a folder: the tracked tree, the built C library and the wheels that the machine may lack as archives in slices,
``pack.json`` with the hash of each, and ``unpack.py``. Prints the two lines that unpack it and run the check.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stillflow.errors import StillflowError
from stillflow.kernels.native import library_candidates
from stillflow_bench import machine
from stillflow_bench.gpu import unpack
from stillflow_bench.gpu.check import named, source_tree
from stillflow_bench.gpu.fatbin import only_for
from stillflow_bench.gpu.random_generator import write_random_bundle
from stillflow_bench.gpu.slices import MIB, Slice, files_below, sha256_of, write_archive
from stillflow_bench.gpu.wheels import BIG, PYTHON, Wheel, described, download, normal, unpacked, wanted

PART_MIB = 36
"""Of a slice: it may travel beside a checkout of the tree where both together may take 64 MiB."""

GENERATOR = "generator"
"""The part that holds an imported generator's bundle, which a bare machine cannot export."""

Entries = list[tuple[str, "Path | bytes"]]


class Packing:
    """A pack in the making.

    Args:
        out: its folder; is emptied of what an earlier pack left.
        limit: bytes of a slice.
        effort: of the compressor, 0..9.
        architecture: of the GPU, such as 90: libraries lose the code for others. None: they keep all.
    """

    def __init__(self, out: Path, limit: int, effort: int, architecture: int | None = None) -> None:
        self._out, self._limit, self._effort = out, limit, effort
        self._architecture = architecture
        self.archives: list[dict[str, Any]] = []
        self.wheels: list[dict[str, Any]] = []
        out.mkdir(parents=True, exist_ok=True)
        for path in [*out.glob("*.tar.xz.*"), out / "pack.json", out / "unpack.py"]:
            path.unlink(missing_ok=True)

    def add(self, name: str, entries: Entries) -> list[Slice]:
        """Write an archive."""
        slices = write_archive(self._out, name, entries, self._limit, effort=self._effort)
        self.archives.append({"name": name, "slices": [asdict(piece) for piece in slices]})
        size = sum(piece.bytes for piece in slices)
        say(f"{name}: {size / MIB:.1f} MiB in {len(slices)} parts")
        return slices

    def add_wheels(self, name: str, wheels: Sequence[Wheel], *, unless_there: bool) -> None:
        """Write wheels as one archive, each in a folder of its own.

        Args:
            name: of the archive.
            wheels: to be unpacked into it.
            unless_there: whether a machine that has one already keeps its own.
        """
        with tempfile.TemporaryDirectory(prefix="stillflow-pack-") as folder:
            entries: Entries = []
            for wheel in wheels:
                place = unpacked(wheel, Path(folder))
                if self._architecture is not None:
                    _slim(place, self._architecture)
                entries += files_below(place, f"wheels/{wheel.name}")
                self.wheels.append(
                    {
                        "name": wheel.name,
                        "version": wheel.version,
                        "at_least": wheel.at_least,
                        "unless_there": unless_there,
                        "file": wheel.path.name,
                        "sha256": sha256_of(wheel.path),
                    }
                )
            self.add(name, entries)

    def close(self, commit: str, expects: dict[str, str], python: str) -> None:
        """Write what describes the pack, and what unpacks it.

        Args:
            commit: of the tree.
            expects: distributions that the machine must have itself -> least version.
            python: version of CPython that the wheels are for.
        """
        told = {
            "what": "stillflow for a GPU machine without a network",
            "commit": commit,
            "python": python,
            "archives": self.archives,
            "wheels": self.wheels,
            "expects": expects,
        }
        (self._out / "pack.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        shutil.copyfile(unpack.__file__, self._out / "unpack.py")


def _slim(folder: Path, architecture: int) -> None:
    """Take the code for other GPUs out of the libraries in a folder."""
    for path in folder.rglob("*.so*"):
        data = bytearray(path.read_bytes())
        saved = only_for(data, architecture)
        if saved:
            path.write_bytes(data)
            say(f"{path.name}: {saved / MIB:.0f} MiB of code for other GPUs left out")


def tree_entries(root: Path) -> Entries:
    """Every tracked file of a checkout, as it lies there."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    names = [name.decode() for name in done.stdout.split(b"\0") if name]
    return [(f"tree/{name}", root / name) for name in names if (root / name).is_file()]


def make(arguments: argparse.Namespace) -> int:
    """Make a pack.

    Returns:
        0.

    Raises:
        StillflowError: no source tree, an unknown part, or wheels that cannot be fetched.
    """
    root = source_tree()
    if root is None or not (root / ".git").exists():
        raise StillflowError(
            "cannot make a pack", "this is not a git checkout of stillflow", "clone it and run it there"
        )
    parts = (*BIG, GENERATOR)
    unknown = [name for name in arguments.bring if name not in parts]
    if unknown:
        raise StillflowError(
            f"cannot bring '{unknown[0]}'", "there is no such part", f"use some of: {', '.join(parts)}"
        )
    packing = Packing(arguments.out, arguments.part_mib * MIB, arguments.effort, arguments.gpu)
    entries = tree_entries(root)
    library = next((path for path in library_candidates() if path.is_file()), None)
    if library is not None:
        entries.append(("native/libstillflow.so", library))
    packing.add("tree", entries)
    floors = wanted()
    left = {name for name in floors if normal(name) in {normal(word) for word in arguments.without}}
    expects = {name: floors[name] for name in sorted(left)}
    if not {"ort", "cpu"} & set(arguments.bring):
        expects["onnxruntime"] = "1.18"
    with tempfile.TemporaryDirectory(prefix="stillflow-wheels-") as name:
        folder = Path(name)
        python = arguments.python
        fetch(folder / "base", {k: v for k, v in floors.items() if k not in left}, python, alone=False)
        absent = {normal(word) for word in arguments.without}
        base = [w for w in described([*(folder / "base").glob("*.whl")], floors) if w.name not in absent]
        packing.add_wheels("wheels", base, unless_there=True)
        for part in dict.fromkeys(name for name in arguments.bring if name in BIG):
            fetch(folder / part, dict.fromkeys(BIG[part], ""), python, alone=True)
            packing.add_wheels(part, described([*(folder / part).glob("*.whl")], {}), unless_there=False)
        if GENERATOR in arguments.bring:
            say("exporting a generator with random weights")
            write_random_bundle(folder / "random.sfb")
            packing.add(GENERATOR, [(f"{GENERATOR}/random.sfb", folder / "random.sfb")])
    packing.close(machine.commit(root), expects, arguments.python)
    largest = max(piece["bytes"] for archive in packing.archives for piece in archive["slices"])
    say(f"the largest part has {largest / MIB:.1f} MiB. Bring {arguments.out} to the machine, and there:")
    sys.stdout.write(f"python3 {arguments.out}/unpack.py --to stillflow-gpu\n")
    sys.stdout.write("stillflow-gpu/run python3 -m stillflow_bench.gpu.check\n")
    return 0


def fetch(folder: Path, requirements: dict[str, str], python: str, *, alone: bool) -> None:
    """Fetch wheels into a folder; none for no requirement."""
    folder.mkdir()
    if requirements:
        say(f"fetching {', '.join(requirements)}")
        download(folder, requirements, alone=alone, python=python)


def say(line: str) -> None:
    """Tell the person at the terminal, on stderr."""
    sys.stderr.write(f"gpu-pack: {line}\n")
    sys.stderr.flush()


def architecture(text: str) -> int:
    """Read a compute capability: "9.0" is 90."""
    major, _, minor = text.partition(".")
    return 10 * int(major) + int(minor or 0)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m stillflow_bench.gpu.pack", description=__doc__)
    made.add_argument("--out", type=Path, default=Path("build/gpu-pack"), help="folder of the pack")
    made.add_argument(
        "--with",
        dest="bring",
        type=named,
        default=(),
        help="bring these too: rtx (TensorRT-RTX), ort (ONNX Runtime for GPUs), cpu (the one for CPUs); without ort or "
        "cpu the machine needs an ONNX Runtime of its own",
    )
    made.add_argument("--without", type=named, default=(), help="leave out wheels that the machine has")
    made.add_argument(
        "--gpu", type=architecture, help="compute capability, such as 9.0: leave out code for others"
    )
    made.add_argument("--python", default=PYTHON, help=f"version of CPython there [{PYTHON}]")
    made.add_argument("--part-mib", type=int, default=PART_MIB, help=f"size of a part, MiB [{PART_MIB}]")
    made.add_argument("--effort", type=int, choices=range(10), default=6, help="of the compressor [6]")
    return made


def main() -> None:
    """Make a pack; exit code 2 for what a person can put right."""
    try:
        sys.exit(make(parser().parse_args()))
    except StillflowError as error:
        say(str(error))
        sys.exit(2)


if __name__ == "__main__":
    main()
