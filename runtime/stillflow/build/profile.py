# SPDX-License-Identifier: Apache-2.0
"""Device profiles: what engines are built for. Data files of the package stillflow_engines, or the user's own."""

from __future__ import annotations

import importlib
import os
import stat
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from stillflow.bundle.manifest import END, Name, Precision, Side, Text
from stillflow.errors import StillflowError
from stillflow.gpu.description import Gpu, gpu_count

MAX_PROFILE_BYTES = 64 << 10
"""The shipped ones take about 2 kB."""

LibraryName = Literal["tensorrt", "tensorrt_rtx", "onnxruntime"]
HardwareCompatibility = Literal["none", "ampere_plus", "same_compute_capability"]
ComputeCapability = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,2}\.[0-9]" + END)]


class Range(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sides in pixels that an engine must take, and the one it is tuned for."""

    min: Side
    opt: Side
    max: Side

    def __post_init__(self) -> None:
        if not self.min <= self.opt <= self.max:
            raise ValueError(f"min {self.min}, opt {self.opt}, max {self.max} do not rise")


class ProfileSizes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sizes where the bundle leaves them open.

    Attributes:
        whole: long side of graphs that see the whole photo and for which the manifest names no long side.
        tile: side of a tile, halo included, of graphs that run in tiles.
    """

    whole: Range
    tile: Range


class Note(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fact behind the figures of a profile, and who says so."""

    text: Text
    source: Text


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of device.

    Attributes:
        name: of the profile.
        what: the device, in a line.
        compute_capability: of its GPU, such as "8.7"; None: it has none that we build for.
        gpu_names: parts of the names by which the driver or the board calls it, for ``--for auto``.
        libraries: that can build for it, the usual one first.
        precision: of the bundle's files to build from, where the bundle has them.
        workspace_mib: most memory for intermediate results, MiB; None: all that the GPU has.
        builder_level: 0 to 5: how long to search for fast kernels (3 is the libraries' own default).
        aux_streams: parallel streams inside one engine; None: the library decides; 0 saves memory.
        version_compatible: may run on later versions of the library, at some cost of speed.
        hardware_compatibility: may run on other GPUs, at some cost of speed.
        tf32: let float32 convolutions round their inputs to 10 bits. Off: "fp32" then means what it says.
        sizes: where the bundle leaves them open.
        notes: sources.
    """

    name: Name
    what: Text
    compute_capability: ComputeCapability | None
    gpu_names: Annotated[tuple[Annotated[str, msgspec.Meta(min_length=1)], ...], msgspec.Meta(max_length=64)]
    libraries: Annotated[tuple[LibraryName, ...], msgspec.Meta(min_length=1, max_length=3)]
    precision: Precision
    workspace_mib: Annotated[int, msgspec.Meta(ge=16, le=1 << 20)] | None
    builder_level: Annotated[int, msgspec.Meta(ge=0, le=5)] = 3
    aux_streams: Annotated[int, msgspec.Meta(ge=0, le=16)] | None = None
    version_compatible: bool = False
    hardware_compatibility: HardwareCompatibility = "none"
    tf32: bool = False
    sizes: ProfileSizes
    notes: Annotated[tuple[Note, ...], msgspec.Meta(max_length=64)] = ()

    def __post_init__(self) -> None:
        if (self.compute_capability is None) != (self.libraries == ("onnxruntime",)):
            raise ValueError("onnxruntime alone goes without compute_capability, the other libraries need it")
        if "onnxruntime" in self.libraries and len(self.libraries) > 1:
            raise ValueError("onnxruntime builds nothing, so it stands alone among the libraries")


def profile_names() -> tuple[str, ...]:
    """Names of the shipped profiles; empty when the data package is not installed."""
    try:
        engines = importlib.import_module("stillflow_engines")
    except ModuleNotFoundError:
        return ()
    names: tuple[str, ...] = engines.profile_names()
    return names


def load_profile(name: str) -> Profile:
    """Read a shipped profile by its name, or a file by its path ("./mine.json").

    Raises:
        StillflowError: unknown, not readable, or not a profile.
    """
    what = f"cannot use the device profile {name}"
    names = profile_names()
    if name in names:
        path = Path(importlib.import_module("stillflow_engines").profile_path(name))
    elif os.sep in name or name.endswith(".json"):
        path = Path(name)
    else:
        raise StillflowError(
            what,
            "there is no profile of that name",
            f"use {', '.join(names)}, or the path of a profile of your own, such as ./{name}.json",
        )
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would keep us waiting
            raise StillflowError(what, "it is not a plain file", "give the path of a profile (JSON)")
        with path.open("rb") as file:
            data = file.read(MAX_PROFILE_BYTES + 1)
    except OSError as error:
        why = f"it cannot be read ({error.strerror})"
        raise StillflowError(what, why, f"check the path, or use {', '.join(names)}") from error
    return parse_profile(data, name)


def parse_profile(data: bytes, where: str) -> Profile:
    """Read and judge the bytes of a profile.

    Args:
        data: JSON, not trusted.
        where: its name, for messages.

    Raises:
        StillflowError: not JSON, too large, unknown fields, or values out of their range.
    """
    what = f"cannot use the device profile {where}"
    fix = "start from a shipped one: stillflow_engines.profile_path() gives the place"
    if len(data) > MAX_PROFILE_BYTES:
        raise StillflowError(what, f"it is larger than {MAX_PROFILE_BYTES} bytes", fix)
    try:
        return msgspec.json.decode(data, type=Profile)
    # msgspec raises RecursionError on brackets nested deeper than the interpreter's stack allows.
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StillflowError(what, f"it is not a valid profile: {str(error)[:300]}", fix) from error


def profile_for(gpu: Gpu | None) -> Profile:
    """The shipped profile that fits the GPU at hand, or one made for it where none does.

    Raises:
        StillflowError: there is no GPU.
    """
    names = profile_names()
    if gpu is None:
        fix = f"name one with --for: {', '.join(names)}"
        others = ", ".join(f"cuda:{index}" for index in range(gpu_count()))
        why = f"the device that was named is none of those here: {others}"
        raise StillflowError(
            "cannot choose a device profile", why if others else "no CUDA device is found here", fix
        )
    called = f"{gpu.name} {gpu.board}".casefold()
    for profile in map(load_profile, names):
        fits = profile.compute_capability == gpu.compute_capability
        if fits and any(name.casefold() in called for name in profile.gpu_names):
            return profile
    return general_profile(gpu)


def general_profile(gpu: Gpu) -> Profile:
    """A profile for a GPU that nobody wrote one for: its own compute capability, the libraries' usual settings."""
    return Profile(
        name=f"sm{gpu.compute_capability.replace('.', '')}",
        what=f"{gpu.name}, which has no profile of its own",
        compute_capability=gpu.compute_capability,
        gpu_names=(gpu.name,),
        libraries=("tensorrt", "tensorrt_rtx"),
        precision="fp16",
        # What the shipped profiles give, but never more than a quarter of a small GPU's memory.
        workspace_mib=max(16, min(4096, gpu.memory_mib // 4)),
        sizes=ProfileSizes(whole=Range(min=32, opt=1280, max=1920), tile=Range(min=32, opt=512, max=640)),
    )
