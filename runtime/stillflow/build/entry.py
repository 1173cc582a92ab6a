# SPDX-License-Identifier: Apache-2.0
"""What is known of an engine in the cache: what its key is made of, and the sidecar beside its plain file."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

import msgspec

from stillflow.build.request import Settings
from stillflow.bundle.manifest import END, Name, Sha256
from stillflow.gpu.description import Gpu

ENTRY_FILE = "entry.json"
LAYERS_FILE = "layers.json"
GATE_FILE = "gate-c.json"
MAX_ENTRY_BYTES = 1 << 20
MAX_ENGINE_BYTES = 8 << 30

EngineFile = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*\.engine" + END, max_length=210)
]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The device an engine is tied to. Built ahead of time, it is tied to a compute capability alone.

    The name of a GPU is not enough: the kernels were timed on so many multiprocessors, that memory, that driver.
    """

    compute_capability: str
    gpu: str | None = None
    multiprocessors: int | None = None
    memory_mib: int | None = None
    l2_kib: int | None = None
    bus_bits: int | None = None
    shared_bytes: int | None = None
    integrated: bool | None = None
    ecc: bool | None = None
    driver: str | None = None

    @classmethod
    def of(cls, gpu: Gpu) -> Target:
        """The GPU at hand as a target."""
        return cls(
            compute_capability=gpu.compute_capability,
            gpu=gpu.name,
            multiprocessors=gpu.multiprocessors,
            memory_mib=gpu.memory_mib,
            l2_kib=gpu.l2_kib,
            bus_bits=gpu.bus_bits,
            shared_bytes=gpu.shared_bytes,
            integrated=gpu.integrated,
            ecc=gpu.ecc,
            driver=gpu.driver,
        )

    def runs_on(self, gpu: Gpu) -> bool:
        """Whether an engine for this target may be loaded on a GPU."""
        if self.gpu is None:
            return self.compute_capability == gpu.compute_capability
        return self == Target.of(gpu)

    def __str__(self) -> str:
        where = f"compute capability {self.compute_capability}"
        return where if self.gpu is None else f"{self.gpu} ({where}, driver {self.driver})"


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides what an engine is. A change of any of it makes another engine."""

    onnx_sha256: Sha256
    builder: Literal["tensorrt", "tensorrt_rtx"]
    builder_version: str
    settings: Settings
    target: Target

    @property
    def key(self) -> str:
        """SHA-256 of the parts as JSON with its fields in order: their order here and in files does not matter."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    def loads_with(self, version: str) -> bool:
        """Whether a version of the library may load it: the same, or a later one of an engine that was built for those.

        Engines are compatible with later versions of the same major one alone.
        """
        if version == self.builder_version:
            return True
        built, here = _numbers(self.builder_version), _numbers(version)
        return self.settings.version_compatible and built[:1] == here[:1] and built <= here


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """The sidecar of an engine, entry.json.

    Attributes:
        schema_version: of this file.
        parts: what the key is made of.
        engine: name of the file beside it, which is the engine and nothing else.
        bytes: its length.
        sha256: of its bytes. Two builds of one key differ in it: builders are not deterministic.
        bundle: name of the bundle that the graph came from.
        graph: its name.
        precision: of the ONNX file.
        profile: name of the device profile.
        seconds: that parsing and building took.
        layers: number of them.
        inspected: "engine" or "network": what layers.json was read from.
        created: UTC, ISO 8601.
        stillflow: version that built it.
    """

    schema_version: Literal["1.0"] = "1.0"
    parts: Parts
    engine: EngineFile
    bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_ENGINE_BYTES)]
    sha256: Sha256
    bundle: Name
    graph: Name
    precision: Name
    profile: Name
    seconds: float
    layers: int
    inspected: str
    created: str
    stillflow: str


def differences(wanted: Parts, found: Parts) -> list[str]:
    """In which parts two engines differ, as phrases such as "tensorrt 10.9.0 instead of 11.4.0"."""
    said = []
    if wanted.builder != found.builder or wanted.builder_version != found.builder_version:
        said.append(
            f"{found.builder} {found.builder_version} instead of {wanted.builder} {wanted.builder_version}"
        )
    if wanted.target != found.target:
        ours: dict[str, Any] = msgspec.to_builtins(wanted.target)
        theirs: dict[str, Any] = msgspec.to_builtins(found.target)
        fields = [name for name in ours if ours[name] != theirs[name]]
        said += [f"{name.replace('_', ' ')} {theirs[name]} instead of {ours[name]}" for name in fields[:3]]
    if wanted.settings != found.settings:
        said.append("other build settings")
    if wanted.onnx_sha256 != found.onnx_sha256:
        said.append("another graph")
    return said
