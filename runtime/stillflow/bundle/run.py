# SPDX-License-Identifier: Apache-2.0
"""One graph of a bundle run on arrays that somebody else made, after they were compared with the manifest."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stillflow.bundle.manifest import PRECISIONS, Graph, Manifest, Tensor
from stillflow.bundle.npz import read_npz
from stillflow.errors import StillflowError
from stillflow.output import check_file
from stillflow.sessions import Device
from stillflow.sessions.session import Array

if TYPE_CHECKING:
    from stillflow.bundle.bundle import Bundle

MAX_INPUT_BYTES = 1 << 32
"""Unpacked size of the inputs of one run; the 65 channels of a decoder at 3840x2160 take 2.2 GB."""

MAX_PROBLEMS = 4
"""So many things that do not fit are named at once; the rest is counted."""


@dataclass(frozen=True)
class GraphRun:
    """What came out of one run.

    Attributes:
        outputs: array by name, as the manifest names them.
        notes: what a careful reader should know: casts, values beyond the stated range, NaN.
        precision: of the file that was run.
        engine: name in the registry.
        provider: what the engine says that it computes on.
        seconds: that the run took, without loading.
    """

    outputs: dict[str, Array]
    notes: tuple[str, ...]
    precision: str
    engine: str
    provider: str
    seconds: float

    def figures(self) -> dict[str, dict[str, Any]]:
        """For each output its dtype, shape, smallest, largest and mean value (of the finite ones, None without)."""
        found: dict[str, dict[str, Any]] = {}
        for name, array in self.outputs.items():
            finite = array[np.isfinite(array)].astype(np.float64)
            low, high, mean = (finite.min(), finite.max(), finite.mean()) if finite.size else (np.nan,) * 3
            spans = {"min": low, "max": high, "mean": mean}
            found[name] = {"dtype": array.dtype.name, "shape": list(array.shape)}
            found[name] |= {key: float(value) if finite.size else None for key, value in spans.items()}
        return found


def check_result_file(out: Path, inputs: Path, *, overwrite: bool) -> None:
    """Refuse an output that cannot be written, before anything is read or run.

    Raises:
        StillflowError: not named .npz, one of the reasons of `stillflow.output.check_file`, or the inputs themselves.
    """
    what = f"cannot write {out}"
    if out.suffix != ".npz":
        raise StillflowError(what, "its name does not end in .npz", "name it something.npz")
    check_file(out, overwrite=overwrite)
    if out.exists() and inputs.exists() and out.samefile(inputs):
        raise StillflowError(what, "it is the file of the inputs", "choose another name")


def read_inputs(path: Path) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Read the arrays to run a graph on; the file is not trusted.

    A test vector of a bundle is such a file too: its "input.NAME" arrays are taken, and its "output.NAME"
    arrays are left.

    Args:
        path: an .npz file, compressed or not.

    Returns:
        Arrays by the name of the input, and notes on what was left.

    Raises:
        StillflowError: not an .npz of plain arrays, damaged, or more than 4 GiB of them.
    """
    fix = "write it with numpy.savez(path, NAME=array, ...); `stillflow bundle show` lists the names"
    arrays = read_npz(path, f"cannot read the inputs {path}", fix, MAX_INPUT_BYTES)
    if not any(name.startswith("input.") for name in arrays):
        return arrays, ()
    left = [name for name in arrays if name.startswith("output.")]
    kept = {name.removeprefix("input."): array for name, array in arrays.items() if name not in left}
    notes = (f"{len(left)} expected outputs of the test vector were not used",) if left else ()
    return kept, notes


def run_graph(
    bundle: Bundle,
    graph_name: str,
    arrays: Mapping[str, Array],
    *,
    engine: str = "onnxruntime",
    precision: str | None = None,
    threads: int | None = None,
    device: Device = "auto",
    allow_fallback: bool = False,
) -> GraphRun:
    """Run a graph once.

    Args:
        bundle: that holds it.
        graph_name: which of its graphs.
        arrays: one for each input, as `fitted` wants them.
        engine: see `stillflow.sessions.open_session`.
        precision: which of the graph's files; None: the manifest's default.
        threads: that the run uses; None: all cores.
        device: where it runs.
        allow_fallback: what the GPU cannot do may run on the CPU; a note then says what did.

    Raises:
        StillflowError: no such graph or precision, arrays that do not fit, or the engine failed.
    """
    graph = named_graph(bundle.manifest, graph_name, bundle.where)
    if precision is not None and precision not in PRECISIONS:
        what = f"cannot run the graph {graph_name} at the precision '{precision}'"
        raise StillflowError(what, "there is no such precision", f"use {', '.join(PRECISIONS)}")
    ready, notes = fitted(bundle.manifest, graph, arrays)
    session = bundle.session(
        graph_name,
        engine,
        precision=precision,
        threads=threads,
        device=device,
        allow_fallback=allow_fallback,
    )
    if session.fallback:
        notes.append(session.fallback)
    start = time.perf_counter()
    try:
        got = session.run(ready)
    except MemoryError as error:
        why, fix = "there is not enough memory", "give smaller arrays, or free some memory"
        raise StillflowError(f"the graph {graph_name} failed", why, fix) from error
    seconds = time.perf_counter() - start
    outputs = {tensor.name: got[tensor.name] for tensor in graph.outputs}
    for name, array in outputs.items():
        bad = int(array.size - np.isfinite(array).sum())
        if bad:
            notes.append(f"the output '{name}' holds {bad} NaN or infinite values")
    made_at = precision or bundle.manifest.default_precision
    return GraphRun(outputs, tuple(notes), made_at, session.engine, session.provider, seconds)


def named_graph(manifest: Manifest, name: str, where: str) -> Graph:
    """Return a graph's description.

    Raises:
        StillflowError: there is none of that name; the message lists all graphs with their inputs.
    """
    graph = manifest.graph(name)
    if graph is None:
        lists = [f"{g.name}({', '.join(_signature(t) for t in g.inputs)})" for g in manifest.graphs]
        raise StillflowError(
            f"the bundle {where} has no graph '{name}'",
            f"it has {'; '.join(lists)}",
            "name one of those, or use another bundle",
        )
    return graph


def fitted(
    manifest: Manifest, graph: Graph, arrays: Mapping[str, Array]
) -> tuple[dict[str, Array], list[str]]:
    """Compare arrays with what a graph takes, and cast other floats to its dtype.

    Args:
        manifest: of the bundle.
        graph: one of its graphs.
        arrays: exactly one for each input. Floats of another width are cast, with a note; integers
            are not, since whether 255 means 255 or 1 is for the caller to say.

    Returns:
        The arrays, C-contiguous and of the manifest's dtype, and notes.

    Raises:
        StillflowError: names missing or unknown, another kind of dtype, another shape, or a size that
            the graph's multiple does not divide; it names the dimension, what was found, and the next sizes
            that fit.
    """
    what = f"cannot run the graph {graph.name}"
    wanted = [tensor.name for tensor in graph.inputs]
    missing = [f"'{name}'" for name in wanted if name not in arrays]
    unknown = [f"'{name[:80]}'" for name in arrays if name not in wanted]
    if missing or unknown:
        parts = [f"the input {_listed(missing)} is missing"] if missing else []
        parts += [f"it has no input {_listed(unknown)}"] if unknown else []
        takes = ", ".join(_signature(tensor) for tensor in graph.inputs)
        raise StillflowError(what, "; ".join(parts), f"give exactly the arrays {takes}")
    notes: list[str] = []
    problems = [p for t in graph.inputs if (p := _dtype_problem(t, arrays[t.name])) is not None]
    if not problems:
        problems = _shape_problems(manifest, graph, arrays)
    if problems:
        rest = len(problems) - MAX_PROBLEMS
        more = f"; and {rest} more" if rest > 0 else ""
        raise StillflowError(what, "; ".join(problems[:MAX_PROBLEMS]) + more, _shape_fix(manifest, graph))
    ready = {tensor.name: _cast(what, tensor, arrays[tensor.name], notes) for tensor in graph.inputs}
    return ready, notes


def _signature(tensor: Tensor) -> str:
    return f"{tensor.name} {tensor.dtype} ({', '.join(map(str, tensor.shape))})"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_PROBLEMS} more" if len(names) > MAX_PROBLEMS else ""
    return ", ".join(names[:MAX_PROBLEMS]) + more


def _dtype_problem(tensor: Tensor, array: Array) -> str | None:
    want = np.dtype(tensor.dtype)
    if array.dtype.newbyteorder("=") == want or (array.dtype.kind == "f" and want.kind == "f"):
        return None
    problem = f"'{tensor.name}' is {array.dtype} and the graph takes {tensor.dtype}"
    if array.dtype.kind in "iu" and want.kind == "f" and tensor.range is not None:
        low, high = tensor.range
        return f"{problem} in {low:g} to {high:g}: scale it to that range and cast it"
    return f"{problem}: cast it"


def _shape_problems(manifest: Manifest, graph: Graph, arrays: Mapping[str, Array]) -> list[str]:
    """Say what does not fit, a phrase for each; sizes of named dimensions are counted in whole pixels."""
    problems: list[str] = []
    sizes: dict[str, tuple[int, str]] = {}  # name of a dimension -> its size, and which array set it
    for tensor in graph.inputs:
        shape = arrays[tensor.name].shape
        if len(shape) != len(tensor.shape):
            words = f"({', '.join(map(str, tensor.shape))})"
            problems.append(f"'{tensor.name}' has the shape {shape} and should have {words}")
            continue
        for axis, (dimension, found) in enumerate(zip(tensor.shape, shape, strict=True)):
            place = f"'{tensor.name}' has {found} in dimension {axis}"
            if isinstance(dimension, int):
                if found != dimension:
                    problems.append(f"{place} ({_axis_name(tensor, axis)}) and should have {dimension}")
                continue
            name, _, share = dimension.partition("/")
            whole = found * int(share or 1)
            if found == 0:
                problems.append(f"{place} ({dimension}), and nothing can be empty")
                continue
            before, by = sizes.setdefault(name, (whole, tensor.name))
            if whole != before:
                says = f"{place} ({dimension}), so the {name} is {whole}; "
                problems.append(f"{says}'{by}' says {before}")
    multiple = manifest.multiple(graph)
    for name, (size, by) in sizes.items():
        if name in ("height", "width") and size % multiple:
            below, above = size // multiple * multiple, -(-size // multiple) * multiple
            nearest = f"{below} or {above}" if below else f"{above}"
            problems.append(
                f"the {name} of '{by}' is {size}, which {multiple} does not divide (next that fit: {nearest})"
            )
    return problems


def _axis_name(tensor: Tensor, axis: int) -> str:
    letters = {"N": "batch", "C": "channels", "H": "height", "W": "width"}
    return letters.get(tensor.layout[axis : axis + 1], tensor.layout[axis : axis + 1] or f"axis {axis}")


def _shape_fix(manifest: Manifest, graph: Graph) -> str:
    takes = ", ".join(_signature(tensor) for tensor in graph.inputs)
    names = [d for t in graph.inputs for d in t.shape if isinstance(d, str)]
    if not names:
        return f"give {takes}"
    return f"give {takes}; height and width divide by {manifest.multiple(graph)}"


def _cast(what: str, tensor: Tensor, array: Array, notes: list[str]) -> Array:
    """Return the array in the tensor's dtype and in C order, and note what happened to it."""
    want = np.dtype(tensor.dtype)
    if array.dtype.newbyteorder("=") != want:
        with np.errstate(over="ignore"):
            ready = np.ascontiguousarray(array, dtype=want)
        if want.kind == "f" and bool((np.isinf(ready) & np.isfinite(array)).any()):
            largest = float(np.finfo(want).max)
            raise StillflowError(
                what,
                f"'{tensor.name}' is {array.dtype} and holds values beyond {largest:.3g}, the largest {want}",
                f"give it as {want}",
            )
        notes.append(f"'{tensor.name}' was {array.dtype} and was cast to {want}")
    else:
        ready = np.ascontiguousarray(array, dtype=want)
    if want.kind != "f":
        return ready
    bad = int(ready.size - np.isfinite(ready).sum())
    if bad:
        notes.append(f"'{tensor.name}' holds {bad} NaN or infinite values")
    elif tensor.range is not None:
        low, high = float(ready.min()), float(ready.max())
        slack = 1e-3 * (tensor.range[1] - tensor.range[0])
        if low < tensor.range[0] - slack or high > tensor.range[1] + slack:
            notes.append(
                f"'{tensor.name}' goes from {low:.4g} to {high:.4g}; the manifest says "
                f"{tensor.range[0]:g} to {tensor.range[1]:g}"
            )
    return ready
