# SPDX-License-Identifier: Apache-2.0
"""Random checkpoints of published size, imported once a test run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from stillflow_export.checkpoints.importer import import_checkpoint
from stillflow_export.load import load_trained
from stillflow_export.plan import GraphPlan

from ...published_checkpoints import random_checkpoint


@dataclass(frozen=True)
class Pair:
    """Published tensors, and the graphs they became."""

    tensors: dict[str, Tensor]
    plans: dict[str, GraphPlan]

    def network(self, name: str) -> nn.Module:
        return self.plans[name].network


def imported(family: str, folder: Path, width: int | None = None, source: str = "slr") -> Pair:
    path, tensors = random_checkpoint(family, folder, width, source=source)
    (made,) = import_checkpoint(path, folder / "weights")
    return Pair(tensors, {plan.name: plan for plan in load_trained(made.weights).plans})


@pytest.fixture(scope="session")
def layered(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Generator and layers of SLR-SFS version 1, at the published size."""
    return imported("layered", tmp_path_factory.mktemp("layered"))


@pytest.fixture(scope="session")
def hinted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """The flow network with hints by source: one at the published size, one a quarter as wide."""
    return {
        source: imported("hinted_flow", tmp_path_factory.mktemp(source), width, source)
        for source, width in (("slr", 32), ("t2c", 8))
    }


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The flow network that reads a text, a tenth as wide as published."""
    return imported("text_flow", tmp_path_factory.mktemp("text"), 32, "t2c")


@pytest.fixture(autouse=True)
def _no_gradients() -> object:
    with torch.no_grad():
        yield
