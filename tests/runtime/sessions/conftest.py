# SPDX-License-Identifier: Apache-2.0
"""A graph to load: the golden bundle's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from stillflow.bundle import Bundle
from stillflow.bundle.verify import read_vector


@pytest.fixture(scope="session")
def graph_path(source_tree: Path) -> Path:
    return source_tree / "tests" / "data" / "bundles" / "golden-1.0" / "flow.onnx"


@pytest.fixture(scope="session")
def vector(source_tree: Path) -> dict[str, npt.NDArray[np.float32]]:
    bundle = Bundle.open(source_tree / "tests" / "data" / "bundles" / "golden-1.0")
    return read_vector(bundle.read("vectors/flow-0.npz"), "vectors/flow-0.npz")


@pytest.fixture(scope="session")
def inputs(vector: dict[str, npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[np.float32]]:
    return {"photo": vector["input.photo"], "hints": vector["input.hints"]}
