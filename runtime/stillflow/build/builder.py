# SPDX-License-Identifier: Apache-2.0
"""Builds the engines of a bundle: looks each one up, builds what is missing in a child, and keeps it in the cache."""

from __future__ import annotations

import datetime
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

import stillflow
from stillflow.build.adapter import Library, Progress, find_module
from stillflow.build.cache import DamagedError, EngineCache
from stillflow.build.entry import LAYERS_FILE, MAX_ENGINE_BYTES, Entry, Parts, Target, differences
from stillflow.build.files import read_trusted, refusals, replace_private, write_private
from stillflow.build.plan import EnginePlan, choose_library, plan_engines
from stillflow.build.process import BuildError, run_child, shown
from stillflow.build.profile import Profile
from stillflow.build.request import Request
from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.gpu.description import Gpu, find_gpu
from stillflow.gpu.trouble import LostDeviceError, OutOfMemoryError

NOT_RUN = "no CUDA device"


@dataclass(frozen=True)
class Engine:
    """One engine of a bundle, in the cache.

    Attributes:
        plan: what was asked for.
        entry: the sidecar.
        folder: that holds engine, sidecar, layers and receipt.
        cached: it was there already.
        gate: what gate C said: at least {"state": "passed" | "failed" | "not run"}.
        notes: what is not as the profile wishes.
    """

    plan: EnginePlan
    entry: Entry
    folder: Path
    cached: bool
    gate: dict[str, object]
    notes: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The engine's file."""
        return self.folder / self.entry.engine


@dataclass(frozen=True)
class Orders:
    """How to build.

    Attributes:
        force: build even what is in the cache.
        timeout: seconds that one engine may take; None: as long as it takes.
        say: told in a line what happens.
        progress: called with (phase, done, of) while the builder works.
    """

    force: bool = False
    timeout: float | None = None
    say: Callable[[str], None] = lambda line: None
    progress: Progress = lambda phase, done, of: None


def build_engines(
    bundle: Bundle,
    profile: Profile,
    *,
    library: str | None = None,
    precision: str | None = None,
    graphs: Sequence[str] = (),
    cache: EngineCache | None = None,
    orders: Orders = Orders(),
    device: int = 0,
) -> list[Engine]:
    """Make sure that the cache holds the engines of a bundle for a device.

    Args:
        bundle: that holds the graphs.
        profile: of the device.
        library: that builds; None: the profile's usual one.
        precision: of the files to build from; None: the profile's where the bundle has it.
        graphs: names; none given: all.
        cache: None: the user's.
        orders: see there.
        device: index of the GPU to build on, as CUDA counts them.

    Returns:
        One Engine a graph, in the order of the bundle.

    Raises:
        StillflowError: the library is missing or cannot build for this device here, or a build failed; what was
            built before stays in the cache.
    """
    name = choose_library(profile, library)
    if name == "onnxruntime":
        raise StillflowError(
            f"cannot build engines for {profile.name}",
            "onnxruntime runs the ONNX files of a bundle as they are",
            "use the bundle as it is",
        )
    plans = plan_engines(bundle, profile, name, precision=precision, graphs=graphs)
    try:
        opened, gpu = Library.open(name), find_gpu(device)
    except StillflowError as error:
        others = [other for other in profile.libraries if other != name and find_module(other) is not None]
        if library is not None or not others:
            raise
        fix = f"{error.fix}; or build with what is here: --library {others[0]}"
        raise StillflowError(error.what, error.why, fix) from error
    target = target_for(profile, opened, gpu)
    cache = cache or EngineCache()
    place = _Place(opened, target, gpu, device)
    return [_built(bundle, profile, plan, place, cache, orders) for plan in plans]


def target_for(profile: Profile, library: Library, gpu: Gpu | None) -> Target:
    """What an engine that is built here, now, is tied to.

    Raises:
        StillflowError: the library builds on the device only, and the device is not here.
    """
    assert profile.compute_capability is not None
    if library.ahead_of_time:
        return Target(compute_capability=profile.compute_capability)
    what = f"cannot build for {profile.name} with {library.name}"
    if gpu is None:
        raise StillflowError(
            what,
            "it builds on the device itself, and there is no CUDA device here",
            "run this on the device" + _elsewhere(profile),
        )
    if (
        gpu.compute_capability != profile.compute_capability
        and profile.hardware_compatibility != "ampere_plus"
    ):
        raise StillflowError(
            what,
            f"the GPU here is {gpu.name} of compute capability {gpu.compute_capability}, "
            f"the profile is for {profile.compute_capability}",
            "use the profile of this GPU (--for auto), or run this on the device" + _elsewhere(profile),
        )
    return Target.of(gpu)


def _elsewhere(profile: Profile) -> str:
    return (
        "; or use --library tensorrt_rtx, which needs no GPU" if "tensorrt_rtx" in profile.libraries else ""
    )


@dataclass(frozen=True)
class _Place:
    """What builds, what for, and where: the GPU at hand, None where there is none, and its index."""

    opened: Library
    target: Target
    gpu: Gpu | None
    device: int


def _built(
    bundle: Bundle, profile: Profile, plan: EnginePlan, place: _Place, cache: EngineCache, orders: Orders
) -> Engine:
    gpu = place.gpu
    parts = Parts(
        onnx_sha256=plan.onnx_sha256,
        builder=cast("Literal['tensorrt', 'tensorrt_rtx']", place.opened.name),
        builder_version=place.opened.version,
        settings=plan.settings,
        target=place.target,
    )
    label = f"{plan.graph} {plan.precision} for {profile.name}"

    def waiting() -> None:
        orders.say(f"{label}: another process builds it; waiting")

    ready = None if orders.force else _ready(cache, parts, gpu)
    if ready is not None:
        return Engine(plan, ready[0], cache.engines / parts.key, True, ready[1], plan.notes)
    with cache.lock(parts.key, waiting):
        entry = None if orders.force else _found(cache, parts, label, orders)
        cached = entry is not None
        if entry is None:
            entry = _build(bundle, profile, plan, parts, cache, orders, label, place.device)
        gate = cache.gate(parts.key)
        if gate is None or _open(gate, gpu):
            gate = run_gate(bundle, plan, parts, gpu, place.device)
            cache.set_gate(parts.key, gate)
    return Engine(plan, entry, cache.engines / parts.key, cached, gate, plan.notes)


def _ready(cache: EngineCache, parts: Parts, gpu: Gpu | None) -> tuple[Entry, dict[str, object]] | None:
    """A sound entry and what gate C said of it, without a lock: a cache on a read-only disk is of use too."""
    try:
        entry = cache.read(parts.key)
    except (FileNotFoundError, DamagedError):
        return None
    gate = cache.gate(parts.key)
    return None if _open(gate, gpu) or gate is None else (entry, gate)


def _open(gate: dict[str, object] | None, gpu: Gpu | None) -> bool:
    """Whether gate C still has to run."""
    return gate is None or (gate.get("state") == "not run" and gpu is not None)


def _found(cache: EngineCache, parts: Parts, label: str, orders: Orders) -> Entry | None:
    """The entry if it is there and sound; says why one has to be built."""
    try:
        return cache.read(parts.key)
    except FileNotFoundError:
        orders.say(f"{label}: {_why_new(cache, parts)}")
    except DamagedError as error:
        cache.quarantine(parts.key)
        orders.say(
            f"{label}: the engine in the cache is damaged ({error}); moved to quarantine, building again"
        )
    return None


def _why_new(cache: EngineCache, parts: Parts) -> str:
    """Why an engine is built: there is none, or only one that does not fit."""
    known = [stored.entry.parts for stored in cache.stored(engines=False) if stored.entry is not None]
    near = [found for found in known if found.onnx_sha256 == parts.onnx_sha256]
    if not near:
        return "building"
    closest = min((differences(parts, found) for found in near), key=len)
    return f"the cache has one of {'; '.join(closest)}; building"


def _build(
    bundle: Bundle,
    profile: Profile,
    plan: EnginePlan,
    parts: Parts,
    cache: EngineCache,
    orders: Orders,
    label: str,
    device: int,
) -> Entry:
    name = f"{plan.graph}-{plan.precision}.engine"
    shared = cache.folder("timing") / f"{_timing_key(parts)}.cache"
    with cache.part(parts.key) as part:
        request = Request(
            builder=parts.builder,
            graph=plan.graph,
            precision=plan.precision,
            onnx="graph.onnx",
            settings=plan.settings,
            timing="timing.cache" if parts.builder == "tensorrt" else None,
            engine=name,
            layers=LAYERS_FILE,
            outputs={tensor.name: len(tensor.shape) for tensor in bundle.graph(plan.graph).outputs},
        )
        with refusals(f"cannot write the engine of {plan.graph} into the cache"):
            write_private(part / request.onnx, bundle.graph_bytes(plan.graph, plan.precision))
            write_private(
                part / "request.json", msgspec.json.format(msgspec.json.encode(request), indent=2) + b"\n"
            )
            if request.timing is not None and shared.exists():
                write_private(part / request.timing, shared.read_bytes())
        begun = time.monotonic()
        try:
            result = run_child(
                part / "request.json",
                plan.graph,
                timeout=orders.timeout,
                progress=orders.progress,
                device=device,
            )
        except BuildError as error:
            raise _with_command(error, cache, parts.key, part) from error
        with refusals(f"cannot write the engine of {plan.graph} into the cache"):
            if request.timing is not None and (part / request.timing).exists():
                replace_private(shared, (part / request.timing).read_bytes())
                (part / request.timing).unlink()
            (part / request.onnx).unlink()
            (part / "request.json").unlink()
        data = read_trusted(str(part / name), None, MAX_ENGINE_BYTES)
        entry = Entry(
            parts=parts,
            engine=name,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            bundle=bundle.manifest.name,
            graph=plan.graph,
            precision=plan.precision,
            profile=profile.name,
            seconds=result.seconds,
            layers=result.layers,
            inspected=result.inspected,
            created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            stillflow=stillflow.__version__,
        )
        cache.commit(part, entry)
    for note in result.notes:
        orders.say(f"{label}: {note}")
    size = f"{entry.bytes / 1e6:.1f} MB"
    orders.say(f"{label}: built in {time.monotonic() - begun:.1f} s, {entry.layers} layers, {size}")
    return entry


def _timing_key(parts: Parts) -> str:
    """Timings hold for a library, its version and a device, whatever the graph."""
    same = [parts.builder, parts.builder_version, parts.target]
    return hashlib.sha256(msgspec.json.encode(same, order="sorted")).hexdigest()[:32]


def _with_command(error: BuildError, cache: EngineCache, key: str, part: Path) -> StillflowError:
    """The error with the command that shows it again, whose request is kept."""
    fix = error.fix
    if error.kept:
        place = cache.keep_failed(key, part, error.log)
        if place is not None:
            fix = f"{fix}; to see it again: {shown(place / 'request.json')}"
    return StillflowError(error.what, error.why, fix)


def run_gate(
    bundle: Bundle, plan: EnginePlan, parts: Parts, gpu: Gpu | None, device: int = 0
) -> dict[str, object]:
    """Run gate C, engine against ONNX by the bundle's test vectors, where the engine's device is at hand.

    Returns:
        {"state": "passed" | "failed" | "not run"} with "why", and the receipt where it ran.
    """
    if gpu is None or not parts.target.runs_on(gpu):
        why = NOT_RUN if gpu is None else f"the engine is for {parts.target}, the GPU here is {gpu.name}"
        return {"state": "not run", "why": why}
    from stillflow.bundle.gate_c import gate_c

    place, tf32 = f"cuda:{device}", plan.settings.tf32
    try:
        receipt = gate_c(bundle, plan.graph, parts.builder, plan.precision, device=place, tf32=tf32)
    except (OutOfMemoryError, LostDeviceError) as error:
        return {"state": "not run", "why": f"{error.what}: {error.why}"}
    return gate_of(receipt)


def gate_of(receipt: dict[str, Any]) -> dict[str, object]:
    """What is kept beside an engine of gate C's receipt."""
    return {"state": "passed" if receipt["passed"] else "failed", "why": receipt["why"], "receipt": receipt}


def load_on_cpu(
    bundle: Bundle,
    profile: Profile,
    *,
    library: str | None = None,
    precision: str | None = None,
    graphs: Sequence[str] = (),
) -> dict[str, str]:
    """For a device that needs no engines: see that its files load on ONNX Runtime.

    Returns:
        Graph -> precision of the file that loads.

    Raises:
        StillflowError: unknown graph or precision, another library asked for, or a file that does not load.
    """
    choose_library(profile, library)
    names = list(dict.fromkeys(graphs)) or [graph.name for graph in bundle.manifest.graphs]
    loaded = {}
    for name in names:
        bundle.session(name, "onnxruntime", precision=precision)
        loaded[name] = precision or bundle.manifest.default_precision
    return loaded
