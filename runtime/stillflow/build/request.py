# SPDX-License-Identifier: Apache-2.0
"""What is asked of the process that builds an engine, and what it answers: plain JSON both ways."""

from __future__ import annotations

from typing import Literal

import msgspec

Shape = tuple[int, ...]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything besides the graph that decides what the engine will be; part of the cache key.

    Attributes:
        shapes: input -> (smallest, tuned for, largest) shape.
        workspace_mib: most memory for intermediate results; None: no limit.
        builder_level: 0 to 5.
        aux_streams: None lets the library decide.
        version_compatible: runs on later versions of the library too.
        hardware_compatibility: "none", "ampere_plus", "same_compute_capability".
        tf32: float32 convolutions may round their inputs to 10 bits.
        compute_capability: built for, where the library builds ahead of time; None: the GPU at hand.
    """

    shapes: dict[str, tuple[Shape, Shape, Shape]]
    workspace_mib: int | None
    builder_level: int
    aux_streams: int | None
    version_compatible: bool
    hardware_compatibility: str
    tf32: bool
    compute_capability: str | None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One engine to be built. File names are relative to the folder of the request.

    Attributes:
        builder: the library that builds, "tensorrt" or "tensorrt_rtx".
        graph: name, for messages.
        precision: that the layers must have: "fp16" without one float16 layer is a failure, not a surprise.
        onnx: file to read.
        settings: see there.
        timing: timing cache to read and to write anew; None: none.
        engine: file to write.
        layers: file to write: what the engine holds.
        outputs: number of dimensions of each output, as the manifest has them; None: not asked.
    """

    builder: Literal["tensorrt", "tensorrt_rtx"]
    graph: str
    precision: str
    onnx: str
    settings: Settings
    timing: str | None
    engine: str
    layers: str
    outputs: dict[str, int] | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A StillflowError on its way between processes.

    ``here`` is true where this machine's disk or memory is to blame: running the request again shows nothing.
    """

    what: str
    why: str
    fix: str
    here: bool = False


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of the child's standard output.

    Attributes:
        seconds: that parsing and building took.
        layers: number of them in the engine, or in the network where the engine cannot be asked.
        inspected: "engine": the engine was loaded and asked; "network": it could not be loaded here.
        notes: what the library did not take.
        error: why there is no engine.
    """

    seconds: float = 0.0
    layers: int = 0
    inspected: str = ""
    notes: tuple[str, ...] = ()
    error: Failure | None = None
