# SPDX-License-Identifier: Apache-2.0
"""Photos with what the shipped flow network says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from stillflow.animator import Animator
from stillflow.flow import predict_motion
from stillflow.guidance import Hints
from stillflow.motion import Motion
from stillflow.photo import Photo, load_photo


@dataclass(frozen=True, eq=False)
class Seen:
    """One photo, what the network was asked, what it said, and Python's motion."""

    photo: Photo
    asked: Mapping[str, np.ndarray]
    answers: Mapping[str, np.ndarray]
    motion: Motion


@pytest.fixture(scope="session")
def seen(source_tree: Path) -> tuple[Seen, ...]:
    """A fall, smoke and fog, at sizes that are no multiples of anything."""
    found = []
    with Animator(device="cpu", engine="onnxruntime") as animator:
        manifest, run = animator.bundle.manifest, animator.session("flow").run
        for name, size in (("waterfall", 430), ("smoke", 333), ("fog", 350)):
            photo = load_photo(source_tree / "samples" / f"{name}.jpg").fitted(size)
            talk: dict[str, Mapping[str, np.ndarray]] = {}

            def listen(asked: Mapping[str, np.ndarray], talk: dict = talk) -> Mapping[str, np.ndarray]:
                talk["asked"], talk["answers"] = asked, run(asked)
                return talk["answers"]

            motion = predict_motion(photo, Hints(), listen, manifest.outputs, manifest.sizes.flow_long_side)
            found.append(Seen(photo, talk["asked"], talk["answers"], motion))
    return tuple(found)
