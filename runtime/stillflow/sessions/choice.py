# SPDX-License-Identifier: Apache-2.0
"""Which device, engine and precision a bundle is run with, and why: rules over facts that somebody else gathered.

Nothing here looks at the machine: `stillflow.sessions.machine` does. So every rule can be tried without a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stillflow.errors import StillflowError
from stillflow.sessions.facts import Built, Facts, Trouble
from stillflow.sessions.wish import TENSORRT, Wish

if TYPE_CHECKING:
    from stillflow.bundle.bundle import Bundle


@dataclass(frozen=True)
class Choice:
    """What a bundle is run with.

    Attributes:
        engine: that runs the networks, its name in the registry.
        device: where they run, "cpu" or "cuda:N".
        precisions: graph -> precision of the file that is run.
        frames: where frames are made, "cpu" or "cuda:N".
        gpu: name of the GPU, "" where none is used.
        why: the reasons, in plain words.
        warnings: what is not as asked, or not as fast as it could be, with the line that changes it.
        build: graphs whose engines have to be built first.
        allow_fallback: single nodes, or a whole network, may go to the CPU.
        open: nothing but "auto" was said of the engine's place, so that a network that does not load there may run
            on the CPU, with a warning.
    """

    engine: str
    device: str
    precisions: Mapping[str, str]
    frames: str = "cpu"
    gpu: str = ""
    why: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    allow_fallback: bool = False
    open: bool = False

    @property
    def precision(self) -> str:
        """The one of all networks, or each one's."""
        kinds = set(self.precisions.values())
        if len(kinds) == 1:
            return next(iter(kinds))
        return ", ".join(f"{graph} {precision}" for graph, precision in self.precisions.items())

    @property
    def place(self) -> str:
        """Where the networks run, in words."""
        return "cpu" if self.device == "cpu" else f"{self.device} ({self.gpu})"

    @property
    def painter(self) -> str:
        """What makes frames, in words."""
        return "cpu kernels" if self.frames == "cpu" else f"cuda kernels on {self.gpu}"

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "engine": self.engine,
            "device": self.device,
            "precision": self.precision,
            "frames": self.painter,
            "why": list(self.why),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class _Networks:
    """Where the networks run."""

    engine: str
    device: str
    precisions: Mapping[str, str]
    why: tuple[str, ...] = ()
    build: tuple[str, ...] = ()


def choose(
    bundle: Bundle,
    device: str = "auto",
    engine: str = "auto",
    precision: str | None = None,
    allow_fallback: bool = False,
    *,
    graphs: Sequence[str] | None = None,
) -> Choice:
    """Choose for the machine at hand.

    Args:
        bundle: that is to be run.
        device: "auto", "cpu", "cuda" or "cuda:N".
        engine: "auto", "tensorrt", "rtx", "onnxruntime" or "openvino".
        precision: "auto" (or None), "fp32", "fp16" or "int8".
        allow_fallback: single nodes, or a whole network, may go to the CPU.
        graphs: that will be run; None: those that make loops.

    Raises:
        StillflowError: what was asked for is not here, with the exact reason and the line that changes it.
    """
    wish = Wish.of(device, engine, precision, allow_fallback)
    from stillflow.sessions.machine import Machine

    return decide(wish, Machine(bundle, graphs))


def decide(wish: Wish, facts: Facts) -> Choice:
    """Choose by the rules.

    Args:
        wish: what was asked for.
        facts: what is here.

    Raises:
        StillflowError: what was asked for is not here.
    """
    index, why, warnings = _gpu(wish, facts)
    found = _on_cpu(wish, facts) if index is None else _on_gpu(wish, facts, index)
    if isinstance(found, Trouble):
        if wish.strict:
            fix = f"{found.fix}; or let the networks run on the CPU: --allow-fallback"
            raise StillflowError(f"cannot run the networks on cuda:{index}", found.why, fix)
        told = f"the networks run on the CPU: {found.why}"
        warnings = (*warnings, f"{told}; to change it: {found.fix}") if found.notable else warnings
        found = _on_cpu(wish, facts)
        found = replace(found, why=(told, *found.why))
    frames = found.device if index is None or facts.decodes else f"cuda:{index}"
    return Choice(
        found.engine,
        found.device,
        found.precisions,
        frames=frames,
        gpu="" if index is None or found.device == frames == "cpu" else facts.gpus[index].name,
        why=(*why, *found.why),
        warnings=warnings,
        build=found.build,
        allow_fallback=wish.allow_fallback,
        open=not wish.strict,
    )


def _gpu(wish: Wish, facts: Facts) -> tuple[int | None, tuple[str, ...], tuple[str, ...]]:
    """The GPU to use, if any, why, and what should be told of those that are not."""
    if wish.device == "cpu":
        return None, ("the device cpu was asked for",), ()
    needed = wish.index is not None or wish.engine in TENSORRT
    if needed:
        index = wish.index or 0
        trouble = _trouble(facts, index)
        if trouble is not None:
            asked = f"on {wish.device}" if wish.index is not None else f"the engine {wish.engine}"
            # On the CPU these engines are refused.
            also = (
                " --engine auto" if wish.engine in TENSORRT and trouble.fix.endswith("--device cpu") else ""
            )
            raise StillflowError(f"cannot run {asked}", trouble.why, trouble.fix + also)
        return index, (f"{wish.device if wish.index is not None else wish.engine} was asked for",), ()
    if not facts.gpus:
        told = (f"a GPU is not used: {facts.no_gpu.why}; to change it: {facts.no_gpu.fix}",)
        return None, (facts.no_gpu.why,), told if facts.no_gpu.notable else ()
    troubles: list[str] = []
    for index, gpu in enumerate(facts.gpus):
        trouble = _trouble(facts, index)
        if trouble is None:
            return index, (f"{gpu.name} is here",), tuple(troubles)
        troubles.append(
            f"{gpu.name} is not used: {trouble.why}; to change it: {trouble.fix}; or say --device cpu"
        )
    return None, (f"no GPU here can be used: {_first(troubles)}",), tuple(dict.fromkeys(troubles))


def _first(troubles: Sequence[str]) -> str:
    return troubles[0].split("; to change it: ")[0]


def _trouble(facts: Facts, index: int) -> Trouble | None:
    """Why a GPU cannot be used."""
    count = len(facts.gpus)
    if count == 0:
        return facts.no_gpu
    if index >= count:
        named = ", ".join(f"cuda:{i} ({gpu.name})" for i, gpu in enumerate(facts.gpus))
        fix = f"use {' or '.join(f'cuda:{i}' for i in range(count))}; CUDA_VISIBLE_DEVICES may hide others"
        return Trouble(f"the driver counts {count}: {named}", fix)
    return facts.kernels(index)


def _on_cpu(wish: Wish, facts: Facts) -> _Networks:
    """Networks on the CPU. fp16 files run there at half the speed of fp32 ones: nothing computes in it."""
    engine = wish.engine if wish.engine in ("onnxruntime", "openvino") else facts.cpu_engine
    if wish.precision != "auto":
        return _Networks(engine, "cpu", dict.fromkeys(facts.held, wish.precision))
    usual = facts.default_precision
    precisions = {
        g: "fp32" if usual == "fp16" and "fp32" in held else usual for g, held in facts.held.items()
    }
    why = ("fp16 would be slower on a CPU",) if usual not in precisions.values() else ()
    return _Networks(engine, "cpu", precisions, why)


def _on_gpu(wish: Wish, facts: Facts, index: int) -> _Networks | Trouble:
    """Networks on a GPU, or why not."""
    if wish.engine == "openvino":
        fix = "leave --engine out, or --device"
        return Trouble("stillflow uses openvino on the CPU only", fix, notable=wish.index is not None)
    if wish.engine in TENSORRT:
        return _engines_asked(wish, facts, index)
    notes: list[str] = []
    for library in TENSORRT if wish.engine == "auto" else ():
        found = _engines_there(wish, facts, index, library, notes)
        if found is not None:
            return found
    if wish.engine == "auto" and not notes:
        notes.append("there are no TensorRT engines of this bundle in the cache")
    best = {graph: _preferred(wish, facts, graph)[0] for graph in facts.held}
    able = [library for library in TENSORRT if facts.builder(library, index) is None]
    trouble = facts.onnxruntime_cuda()
    if trouble is None:
        if wish.engine == "auto" and able:
            notes.append(f"TensorRT may be faster: {_build_line(facts, index, able[0], best)}")
        why = ("onnxruntime runs on CUDA", *notes, *_doubts(wish, facts))
        return _Networks("onnxruntime", f"cuda:{index}", best, why)
    if wish.engine == "onnxruntime":
        return trouble
    fix = _build_line(facts, index, able[0], best) if able else trouble.fix
    return Trouble(f"{'; '.join(notes)}, and {trouble.why}", fix)


def _cached(wish: Wish, facts: Facts, index: int, library: str) -> dict[str, dict[str, Built]]:
    """Graph -> precision, the best first -> what the cache has of one library."""
    return {
        graph: {p: facts.engine(library, graph, p, index) for p in _preferred(wish, facts, graph)}
        for graph in facts.held
    }


def _first_of(found: Mapping[str, Built], *states: str) -> str | None:
    """The best precision whose engine is in one of these states."""
    return next((precision for precision, built in found.items() if built.state in states), None)


def _engines_there(wish: Wish, facts: Facts, index: int, library: str, notes: list[str]) -> _Networks | None:
    """The engines of one library, if the cache has one of every graph; what was there and is not used is noted."""
    precisions: dict[str, str] = {}
    used, unused = [], []
    for graph, found in _cached(wish, facts, index, library).items():
        fits, other = _first_of(found, "fits"), _first_of(found, "failed", "foreign")
        if fits is not None:
            precisions[graph] = fits
            used.append(f"{graph} {fits} ({found[fits].why})")
        else:
            unused.append(f"{graph} {other}: {found[other].why}" if other else f"{graph}: {Built().why}")
    if not unused and (trouble := facts.package(library)) is not None:
        unused.append(f"{trouble.why} ({trouble.fix})")
    if unused:
        if unused != [f"{graph}: {Built().why}" for graph in facts.held]:
            notes.append(f"{library} is not used: {'; '.join(unused)}")
        return None
    best = {graph: _preferred(wish, facts, graph)[0] for graph in facts.held}
    slower = {graph: best[graph] for graph, precision in precisions.items() if precision != best[graph]}
    more = (
        [f"an engine at a faster precision: {_build_line(facts, index, library, slower)}"] if slower else []
    )
    why = f"{library} engines that fit are in the cache: {', '.join(used)}"
    return _Networks(library, f"cuda:{index}", precisions, (why, *more, *_doubts(wish, facts)))


def _engines_asked(wish: Wish, facts: Facts, index: int) -> _Networks | Trouble:
    """The engines of the library that was asked for: those in the cache, and the others to be built."""
    library = wish.engine
    trouble = facts.package(library)
    if trouble is not None:
        return trouble
    precisions: dict[str, str] = {}
    missing: dict[str, str] = {}
    for graph, found in _cached(wish, facts, index, library).items():
        precision = _first_of(found, "fits") or _first_of(found, "none", "foreign")
        if precision is None:  # building it again would give the same
            failed = next(iter(found))
            fix = f"use the engine onnxruntime; or {_build_line(facts, index, library, {graph: failed})} --force"
            return Trouble(f"the {library} engine of {graph} {failed} is not used: {found[failed].why}", fix)
        precisions[graph] = precision
        if found[precision].state != "fits":
            missing[graph] = f"{graph} {precision}: {found[precision].why}"
    if missing and (trouble := facts.builder(library, index)) is not None:
        return Trouble(f"{'; '.join(missing.values())}; and {trouble.why}", trouble.fix)
    why = (f"engines are built first: {'; '.join(missing.values())}",) if missing else ()
    return _Networks(library, f"cuda:{index}", precisions, (*why, *_doubts(wish, facts)), tuple(missing))


def _preferred(wish: Wish, facts: Facts, graph: str) -> tuple[str, ...]:
    """Precisions to try for a graph on a GPU, the best first."""
    if wish.precision != "auto":
        return (wish.precision,)
    held = facts.held[graph]
    half = ("fp16",) if "fp16" in held and facts.judged(graph, "fp16") else ()
    rest = [p for p in (facts.default_precision, "fp32") if p in held and (p != "fp16" or half)]
    return tuple(dict.fromkeys((*half, *rest))) or (facts.default_precision,)


def _doubts(wish: Wish, facts: Facts) -> list[str]:
    """Graphs whose fp16 file is left alone."""
    if wish.precision != "auto":
        return []
    found = [g for g, held in facts.held.items() if "fp16" in held and not facts.judged(g, "fp16")]
    return [f"no receipt says that fp16 of {' and '.join(found)} passed"] if found else []


def _build_line(facts: Facts, index: int, library: str, precisions: Mapping[str, str]) -> str:
    """The command that builds engines."""
    kinds = sorted(set(precisions.values()))
    graphs = "" if set(precisions) == set(facts.held) else "".join(f" --graph {g}" for g in precisions)
    precision = f" --precision {kinds[0]}" if len(kinds) == 1 else ""
    device = f" --device cuda:{index}" if index else ""
    return f"stillflow build {facts.bundle} --for auto{device} --library {library}{precision}{graphs}"
