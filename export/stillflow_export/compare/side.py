# SPDX-License-Identifier: Apache-2.0
"""What is compared: a graph at a precision on an engine, named in one word; and the inputs both sides get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stillflow.bundle import Bundle
from stillflow.bundle.manifest import MAX_FILE_BYTES, PRECISIONS, Graph, Manifest
from stillflow.bundle.run import fitted, named_graph, read_inputs
from stillflow.bundle.verify import read_vector
from stillflow.errors import StillflowError
from stillflow.sessions import Session, open_session
from stillflow_export.macs import read_model
from stillflow_export.samples import Sample, flow_samples, generator_samples, pictures

DEFAULT_ENGINE = "onnxruntime"

SIDE = 256
"""Height and width of inputs that are made up: all multiples in use divide it."""

SEED = 11
"""Of inputs that are made up; nothing hangs on its value."""

AHEAD_OF_TIME = ("tensorrt", "tensorrt_rtx")
"""Engines that run what was built before, and so cannot be asked for inner tensors of a graph that was just made."""


@dataclass(frozen=True)
class Spec:
    """A side as the user writes it: PLACE[:PRECISION][@ENGINE].

    Attributes:
        place: an .onnx file, or a bundle; "": the other side's.
        precision: of a bundle's graph; None: its default.
        engine: name in the registry; None: onnxruntime.
    """

    place: str
    precision: str | None
    engine: str | None


@dataclass(frozen=True)
class Side:
    """One of the two things compared.

    Attributes:
        label: for people, such as "flow of edge, fp16, on openvino".
        data: the ONNX file.
        engine: name in the registry.
        manifest: of the bundle it comes from; None for a file.
        graph: the bundle's entry of it; None for a file.
        bundle: it; None for a file.
    """

    label: str
    data: bytes
    engine: str
    manifest: Manifest | None = None
    graph: Graph | None = None
    bundle: Bundle | None = None

    def session(self, data: bytes, threads: int | None = None) -> Session:
        """Open a session on this side's engine."""
        return open_session(data, self.engine, threads=threads, name=self.label)


def parse_spec(text: str) -> Spec:
    """Read "edge", "edge:fp16", "edge@openvino", "edge:fp16@openvino", "flow.onnx@openvino", ":fp16" or "@openvino".

    Raises:
        StillflowError: an unknown precision.
    """
    place, at, engine = text.rpartition("@")
    if not at or "/" in engine or "." in engine:
        place, engine = text, ""
    front, colon, precision = place.rpartition(":")
    if colon and precision in PRECISIONS:
        place = front
    elif colon and precision.isalnum() and not Path(place).exists():
        raise StillflowError(
            f"cannot compare {text}",
            f"there is no precision '{precision}'",
            f"write PLACE[:PRECISION][@ENGINE], with {' or '.join(PRECISIONS)}, such as edge:fp16@openvino",
        )
    else:
        precision = ""
    return Spec(place, precision or None, engine or None)


def open_sides(a: str, b: str, graph: str | None) -> tuple[Side, Side]:
    """Open what two words name. What the second leaves out before its ':' or '@' is as in the first.

    Args:
        a: the reference.
        b: what is compared with it; ":fp16" and "@openvino" mean the first at another precision, on another engine.
        graph: of the bundles; None: their only one.

    Raises:
        StillflowError: nothing there, no such graph or precision, or twice the same.
    """
    first, second = parse_spec(a), parse_spec(b)
    if not first.place:
        raise StillflowError(
            f"cannot compare {a}", "the first side names no place", "begin it with a bundle or an .onnx file"
        )
    if not second.place:
        second = Spec(first.place, second.precision or first.precision, second.engine or first.engine)
    if first == second:
        fix = "let one side differ: another file, :PRECISION or @ENGINE, such as `compare edge @openvino`"
        raise StillflowError(f"cannot compare {a} with {b}", "both sides are the same", fix)
    sides = _opened(first, graph), _opened(second, graph)
    for side in sides:
        if side.engine in AHEAD_OF_TIME:
            raise StillflowError(
                f"cannot compare layers on {side.engine}",
                "it runs engines that were built before, and those do not give inner tensors",
                f"compare its outputs: stillflow bundle verify --engine {side.engine}; or use onnxruntime, openvino",
            )
    return sides


def _opened(spec: Spec, graph_name: str | None) -> Side:
    engine = spec.engine or DEFAULT_ENGINE
    if spec.place.endswith(".onnx"):
        path = Path(spec.place)
        what = f"cannot compare {path}"
        if spec.precision is not None:
            fix = "leave the precision out"
            raise StillflowError(what, "an .onnx file has the precision that is in it", fix)
        try:
            if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
                raise StillflowError(what, "there is no such file, or it is above 2 GiB", "check the path")
            data = path.read_bytes()
        except OSError as error:
            raise StillflowError(what, str(error.strerror), "check the path") from error
        read_model(data, path.name)
        return Side(f"{path.name} on {engine}", data, engine)
    bundle = Bundle.open(spec.place)
    names = [graph.name for graph in bundle.manifest.graphs]
    if graph_name is None and len(names) > 1:
        raise StillflowError(
            f"cannot compare {spec.place}",
            f"it holds the graphs {', '.join(names)}",
            "say which with --graph",
        )
    graph = named_graph(bundle.manifest, graph_name or names[0], bundle.where)
    precision = spec.precision or bundle.manifest.default_precision
    label = f"{graph.name} of {bundle.where}, {precision}, on {engine}"
    return Side(label, bundle.graph_bytes(graph.name, precision), engine, bundle.manifest, graph, bundle)


def given_samples(side: Side, path: Path) -> list[Sample]:
    """The arrays of a file as the one sample.

    Raises:
        StillflowError: not an .npz of plain arrays, or they do not fit the graph.
    """
    arrays, _ = read_inputs(path)
    if side.manifest is not None and side.graph is not None:
        arrays, _ = fitted(side.manifest, side.graph, arrays)
    return [Sample(path.name, arrays)]


def vector_samples(side: Side) -> list[Sample]:
    """The inputs of a bundle's test vectors for the graph; made-up ones where there are none."""
    found = []
    if side.bundle is not None and side.graph is not None:
        for vector in side.bundle.manifest.vectors:
            if vector.graph == side.graph.name:
                arrays = read_vector(side.bundle.read(vector.file), vector.file)
                inputs = {n.removeprefix("input."): x for n, x in arrays.items() if n.startswith("input.")}
                found.append(Sample(vector.file, inputs))
    return found or [made_up_sample(side)]


def made_up_sample(side: Side) -> Sample:
    """Noise in the range that the manifest gives, 0 to 1 else, at 256x256.

    Raises:
        StillflowError: an input that is not float32 or float16.
    """
    rng = np.random.default_rng(SEED)
    ranges = {t.name: t.range for t in side.graph.inputs} if side.graph else {}
    inputs = {}
    for spec in side.session(side.data).inputs:
        if spec.dtype not in ("float32", "float16"):
            raise StillflowError(
                f"cannot make up inputs for {side.label}",
                f"'{spec.name}' is {spec.dtype}, and only floats can be made up",
                "give real ones with --inputs",
            )
        shape = [side_ if isinstance(side_, int) else SIDE for side_ in spec.shape]
        low, high = ranges.get(spec.name) or (0.0, 1.0)
        inputs[spec.name] = rng.uniform(low, high, shape).astype(spec.dtype)
    return Sample(f"noise {SIDE}x{SIDE}", inputs)


def photo_samples(side: Side, photos: Sequence[Path]) -> Iterator[Sample]:
    """Inputs made of photos, at the graph's working size.

    Our flow and generator graphs get what the runtime would give them; another graph may have one input, the photo.

    Raises:
        StillflowError: a photo cannot be read, the side is no bundle's, or the graph takes more than a photo.
    """
    graph, manifest = side.graph, side.manifest
    what = f"cannot make inputs of {side.label} from photos"
    if graph is None or manifest is None:
        raise StillflowError(what, "a file does not say what its inputs mean", "give them with --inputs")
    long_side = manifest.long_side(graph) or 640
    names = {tensor.name for tensor in graph.inputs}
    if graph.name == "flow" and names == {"photo", "hints"}:
        yield from flow_samples(photos, (), long_side=long_side)
    elif graph.name == "generator" and names == {"field"}:
        yield from generator_samples(photos, (), long_side=long_side)
    elif len(graph.inputs) == 1 and graph.inputs[0].shape[1:2] == (3,):
        (tensor,) = graph.inputs
        low, high = tensor.range or (0.0, 1.0)
        for picture in pictures(photos, (), multiple=manifest.multiple(graph), long_side=long_side):
            planes = np.ascontiguousarray(picture.pixels.transpose(2, 0, 1)[None])
            yield Sample(picture.name, {tensor.name: (low + (high - low) * planes).astype(np.float32)})
    else:
        takes = ", ".join(sorted(names))
        raise StillflowError(what, f"it takes {takes}", "give them with --inputs, or use the test vectors")


def check_pair(a: Side, b: Side) -> None:
    """Refuse two graphs that cannot be given the same inputs, or give other outputs.

    Raises:
        StillflowError: with the names of both.
    """
    first, second = a.session(a.data, 1), b.session(b.data, 1)
    for kind, left, right in (
        ("take other inputs", first.inputs, second.inputs),
        ("give other outputs", first.outputs, second.outputs),
    ):
        ours, theirs = sorted(s.name for s in left), sorted(s.name for s in right)
        if ours != theirs:
            raise StillflowError(
                f"cannot compare {a.label} with {b.label}",
                f"they {kind}: {', '.join(ours)} and {', '.join(theirs)}",
                "compare two forms of one graph",
            )
