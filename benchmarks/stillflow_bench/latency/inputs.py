# SPDX-License-Identifier: Apache-2.0
"""What targets are queried with: photos at a subject's size, and the arrays that the networks take for them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.flow import predict_motion
from stillflow.generator import generator_from
from stillflow.guidance import Guidance
from stillflow.kernels.arrays import field_shape
from stillflow.photo import Photo
from stillflow.sessions.session import Array
from stillflow_bench.latency.subject import Subject
from stillflow_bench.photos import of_size

PHOTOS = Path(__file__).resolve().parent / "photos"
"""Those that come with the package: 32, with their licences."""

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")

Inputs = Mapping[str, Array]


class _SeenError(Exception):
    """The input of a network is known: it need not run."""


def photo_files(folder: str = "") -> tuple[Path, ...]:
    """Picture files of a folder, sorted by name.

    Args:
        folder: of photos; "": those that come with the package.

    Raises:
        StillflowError: there are none.
    """
    place = Path(folder) if folder else PHOTOS
    found = sorted(path for path in place.glob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    if not found:
        raise StillflowError(
            f"there are no photos in {place}",
            f"files that end in {', '.join(ENDINGS)} are looked for",
            "name a folder of photos: stillflow-bench run --photos FOLDER -o DIR",
        )
    return tuple(found)


def photo_of(path: Path, subject: Subject) -> Photo:
    """A photo at exactly the subject's size: scaled to cover it and cut in the middle."""
    return of_size(path, subject.width, subject.height)


def network_inputs(bundle: Bundle, photo: Photo, seed: int = 0) -> dict[str, Inputs]:
    """What flow and generator are given for a photo, by graph.

    The generator is given noise: it costs what a photo costs, and is there also where nothing was found to move.

    Args:
        bundle: whose networks are asked.
        photo: of any size.
        seed: of the noise, so that every photo has its own.
    """
    manifest = bundle.manifest
    seen: dict[str, Inputs] = {}

    def look(name: str) -> Callable[[Mapping[str, Any]], Any]:
        def run(given: Mapping[str, Any]) -> Any:
            seen[name] = dict(given)
            raise _SeenError

        return run

    hints = Guidance().resolve(photo.height, photo.width)
    with suppress(_SeenError):
        predict_motion(photo, hints, look("flow"), manifest.outputs, manifest.sizes.flow_long_side)
    field = bundle.graph("generator").inputs[0]
    shape = (int(field.shape[1]), *field_shape(photo.height, photo.width))
    with suppress(_SeenError):
        generator_from(look("generator"))(np.random.default_rng(seed).random(shape, dtype=np.float32))
    return seen


def flat(by_graph: Mapping[str, Mapping[str, Array]]) -> dict[str, Array]:
    """Arrays of all graphs, each named with its graph, as everybody names them who hashes both networks."""
    return {f"{graph}.{name}": array for graph, arrays in by_graph.items() for name, array in arrays.items()}


def shapes_of(by_graph: Mapping[str, Mapping[str, Array]]) -> dict[str, dict[str, list[int]]]:
    """Graph -> name of an array -> its shape, as a record keeps them."""
    return {
        graph: {name: list(array.shape) for name, array in arrays.items()}
        for graph, arrays in by_graph.items()
    }


def fingerprint(arrays: Mapping[str, Array]) -> str:
    """SHA-256 of arrays with their names, types and shapes: the same for the same values only."""
    told = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        told.update(f"{name} {array.dtype.str} {array.shape};".encode())
        told.update(array.data)
    return told.hexdigest()


def short_digest(arrays: Mapping[str, Array]) -> str:
    """The first 16 digits of ``fingerprint``: what a sample keeps of its outputs."""
    return fingerprint(arrays)[:16]
