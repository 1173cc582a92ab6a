# SPDX-License-Identifier: Apache-2.0
"""Small photos that targets of peers are opened with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stillflow_bench.latency.boundary import Boundary
from stillflow_bench.latency.subject import Subject
from stillflow_bench.latency.target import TargetSpec
from stillflow_bench.photos import scenery


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    """Peers set PyTorch's threads for their process; here other tests share it."""
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


SpecOf = Callable[..., TargetSpec]


@pytest.fixture(scope="session")
def two_photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with two photos of 96x64."""
    folder: Path = tmp_path_factory.mktemp("two_photos")
    pixels = scenery(96, 64).pixels
    Image.fromarray(pixels).save(folder / "a.png")
    Image.fromarray(np.ascontiguousarray(pixels[:, ::-1])).save(folder / "b.png")
    return str(folder)


@pytest.fixture(scope="session")
def spec_of(two_photos: str) -> SpecOf:
    """Makes specs for those photos, on one thread of the CPU, half of the picture moving, 12 frames."""

    def make(
        kind: str, boundary: Boundary = "B2.call", subject: dict[str, Any] | None = None, **options: Any
    ) -> TargetSpec:
        usual: dict[str, Any] = {
            "width": 96,
            "height": 64,
            "threads": 1,
            "moving": 0.5,
            "seconds": 1.0,
            "fps": 12.0,
        }
        return TargetSpec(kind, boundary, Subject(**{**usual, **(subject or {})}), two_photos, options)

    return make
