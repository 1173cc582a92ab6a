# SPDX-License-Identifier: Apache-2.0
"""What a network needs to become a graph of a bundle, whichever family it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from stillflow.bundle.manifest import Tensor
from stillflow_export.samples import Sample

Samples = Callable[[Sequence[Path]], Iterator[Sample]]
"""Photos in, inputs of the graph out: procedural ones first, then some for each photo. The first two become
test vectors, so they are small."""


@dataclass(frozen=True)
class GraphPlan:
    """One network and the graph it becomes.

    Attributes:
        name: of the graph in the bundle, such as "flow" or "decoder".
        what: one phrase for the manifest.
        network: in eval mode; takes ``inputs`` in order and returns ``outputs`` in order, as a tuple or one tensor.
        inputs: as the manifest describes them.
        outputs: likewise.
        multiple: height and width must divide by it.
        samples: inputs to judge the graph with.
        long_side: longest side in pixels that it is meant to be run at; None: the photo's own.
        halo: pixels around a tile that its output depends on; None: the graph cannot be tiled.
        half_weights: the weights are stored as float16, see ``stored_weights``; for networks whose trained weights
            are float16 anyway.
    """

    name: str
    what: str
    network: nn.Module
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    multiple: int
    samples: Samples
    long_side: int | None = None
    halo: int | None = None
    half_weights: bool = False


@dataclass(frozen=True)
class Trained:
    """Trained weights, and the graphs they become.

    Attributes:
        plans: one for each graph.
        source: where the weights came from, in one sentence without paths of this machine.
        licence: SPDX expression of the weights' licence.
        weights: the safetensors file, None for networks made in memory.
        receipt: what the training measured or the import found; None when there is no receipt.
        licence_note: what a user has to know about the licence.
        loop: fields of the manifest's ``loop`` that these weights ask for, such as the rule.
    """

    plans: tuple[GraphPlan, ...]
    source: str
    licence: str
    weights: Path | None = None
    receipt: Mapping[str, Any] | None = None
    licence_note: str = ""
    loop: Mapping[str, Any] = field(default_factory=dict)
