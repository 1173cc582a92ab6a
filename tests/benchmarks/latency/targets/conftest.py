# SPDX-License-Identifier: Apache-2.0
"""Three small photos, and specs of targets that are queried with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillflow.photo import Photo
from stillflow_bench.latency.boundary import Boundary
from stillflow_bench.latency.subject import Subject
from stillflow_bench.latency.target import TargetSpec
from stillflow_bench.photos import scenery, write_photo

Spec = Callable[..., TargetSpec]


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos of 160x96."""
    folder = tmp_path_factory.mktemp("photos")
    pixels = scenery(160, 96).pixels
    for name, changed in (("a", pixels), ("b", pixels[:, ::-1]), ("c", 255 - pixels)):
        write_photo(Photo.from_array(np.ascontiguousarray(changed)), folder / f"{name}.jpg")
    return folder


@pytest.fixture(scope="session")
def spec(photo_folder: Path) -> Spec:
    """Makes the spec of a target: 96x64 pixels, 8 frames, one thread."""

    def made(
        kind: str, boundary: Boundary, options: dict[str, str | int | float | bool] | None = None, **more: Any
    ) -> TargetSpec:
        subject = {"width": 96, "height": 64, "threads": 1, "seconds": 1.0, "fps": 8.0, **more}
        return TargetSpec(kind, boundary, Subject(**subject), str(photo_folder), options or {})

    return made
