# SPDX-License-Identifier: Apache-2.0
"""The manifest of a bundle, as types: what ``manifest.json`` may say, and what it may not.

Bytes that came from anywhere are turned into a `Manifest` that is safe to act on, or into one
StillflowError. docs/bundle-schema-1.1.json is generated from these types.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

import msgspec

from stillflow.bundle.interfaces import interface_problems
from stillflow.errors import StillflowError

SCHEMA_VERSION = "1.1"
"""Written into new bundles. Readers refuse another major number and ignore fields of newer minors."""

MAX_MANIFEST_BYTES = 4 << 20
"""The default bundle's manifest takes about 10 kB; 4 MiB is far beyond any honest one."""

MAX_FILE_BYTES = (1 << 31) - 1
"""An ONNX file is one protobuf message, and those end at 2 GiB."""

END = r"$(?!\n)"
"""End of a pattern: in Python a bare $ also matches before a line break at the end."""

PATH_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*" + END
"""Relative, forward slashes, no part that starts with a dot: so no '..', no drive, no hidden file."""

FieldPath = Annotated[str, msgspec.Meta(pattern=PATH_PATTERN, max_length=200)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}" + END)]
Name = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_][A-Za-z0-9_.+-]*" + END, max_length=100)]
Text = Annotated[str, msgspec.Meta(max_length=20_000)]
Side = Annotated[int, msgspec.Meta(ge=1, le=65_536)]
NotNegative = Annotated[float, msgspec.Meta(ge=0.0)]
Dimension = (
    Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
    | Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]*(/[0-9]+)?" + END, max_length=40)]
)
Dtype = Literal["float32", "float16", "uint8", "int32", "int64"]
Precision = Literal["fp32", "fp16", "int8"]

LOOP_RULES = ("cross_fade", "symmetric_splat")
"""Rules this runtime can play. A bundle with another one is refused, since it would be played wrong."""

OUTPUT_CHOICES: dict[str, dict[str, str | None]] = {
    "velocity_unguided": {"network": "flow", "scene_flow": "scene_flow"},
    "velocity_guided": {"network": "flow", "rbf": None, "scene_flow": "scene_flow"},
    "matte": {"network": "flow"},
    "plate": {"network": "generator", "push_pull": None, "decoder": "decoder"},
    "blend": {"network": "generator", "variance_preserving": None, "symmetric_splat": "encoder"},
}
"""For each output, who may make it, and which graph that takes (None: a closed form)."""


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """One input or output of a graph.

    Attributes:
        name: as in the ONNX file.
        dtype: of the samples.
        shape: numbers are fixed; words are named dimensions, and one name has one value in a run;
            "height/2" is half of the dimension "height".
        range: smallest and largest meaningful value; None when there is no limit.
        layout: order of the dimensions, such as "NCHW".
        meaning: what the values are, with their unit.
        channels: a name for each channel.
    """

    name: Name
    dtype: Dtype
    shape: Annotated[tuple[Dimension, ...], msgspec.Meta(max_length=8)]
    range: tuple[float, float] | None = None
    layout: Annotated[str, msgspec.Meta(max_length=16)] = "NCHW"
    meaning: Text = ""
    channels: Annotated[tuple[Text, ...], msgspec.Meta(max_length=4096)] = ()


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """The same graph at another precision: same inputs and outputs, other arithmetic inside."""

    precision: Precision
    file: FieldPath
    sha256: Sha256


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """One network, as an ONNX file of plain layers.

    Attributes, since schema 1.1:
        multiple: height and width must divide by it; None: ``Sizes.multiple``.
        long_side: longest side in pixels that it is meant to be run at; None: as ``Manifest.long_side`` says.
        halo: pixels around a tile that its output depends on, so that it can be run in tiles; None: it cannot.
    """

    name: Name
    what: Text
    file: FieldPath
    sha256: Sha256
    opset: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    precision: Precision = "fp32"
    variants: Annotated[tuple[Variant, ...], msgspec.Meta(max_length=16)] = ()
    inputs: Annotated[tuple[Tensor, ...], msgspec.Meta(min_length=1, max_length=64)]
    outputs: Annotated[tuple[Tensor, ...], msgspec.Meta(min_length=1, max_length=64)]
    multiple: Annotated[int, msgspec.Meta(ge=1, le=4096)] | None = None
    long_side: Side | None = None
    halo: Annotated[int, msgspec.Meta(ge=0, le=65_536)] | None = None

    @property
    def all_variants(self) -> tuple[Variant, ...]:
        """The main file and the others, as one list."""
        return (Variant(precision=self.precision, file=self.file, sha256=self.sha256), *self.variants)

    def at(self, precision: str) -> Variant | None:
        """The file that holds this graph at a precision, or None."""
        return next((v for v in self.all_variants if v.precision == precision), None)


class Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """A value passes when abs(got - expected) <= absolute + relative * abs(expected)."""

    absolute: NotNegative
    relative: NotNegative = 0.0


class Vector(msgspec.Struct, frozen=True, kw_only=True):
    """Inputs with their expected outputs, so that any host can test itself.

    The file is an uncompressed .npz with arrays "input.NAME" and "output.NAME".
    ``tolerance`` goes precision -> output name -> Tolerance.
    """

    graph: Name
    file: FieldPath
    sha256: Sha256
    what: Text = ""
    tolerance: dict[str, dict[str, Tolerance]]


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured when the bundle was made."""

    kind: Name
    graph: Name | None = None
    what: Text = ""
    file: FieldPath
    sha256: Sha256


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """Where the weights of a graph came from."""

    graph: Name
    source: Text
    licence: Text
    sha256: Sha256 | None = None


class Licence(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of one part of the bundle: an SPDX expression, who holds the rights, and the text."""

    covers: Text
    spdx: Annotated[str, msgspec.Meta(max_length=200)]
    holder: Text = ""
    file: FieldPath | None = None


class Loop(msgspec.Struct, frozen=True, kw_only=True):
    """How a Scene made with this bundle is played; docs/bundle.md has the formulas.

    Attributes, since schema 1.1, for the rule symmetric_splat:
        weight_floor: smallest logarithm of a splat weight, relative to the largest (-20); None: no limit.
        edge_share: smallest share that either direction keeps (1/600 in layered generators).
        alpha_weight: what a layered generator's fluid alpha is thrown by: "share", the exponential of the alpha's own
            share, or "features", the weight of the features.
    """

    rule: Annotated[str, msgspec.Meta(max_length=100)] = "cross_fade"
    field_scale: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    trace_doublings: Annotated[int, msgspec.Meta(ge=0, le=16)] = 4
    blend_basis: Annotated[tuple[Text, ...], msgspec.Meta(max_length=16)] = ("sin(pi*u)", "sin(2*pi*u)")
    weight_floor: Annotated[float, msgspec.Meta(le=0.0)] | None = None
    edge_share: Annotated[float, msgspec.Meta(ge=0.0, lt=0.5)] = 0.0
    alpha_weight: Literal["share", "features"] = "share"


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Working sizes in pixels: the longer side of what each network sees, and what sides divide by."""

    flow_long_side: Side
    generator_long_side: Side
    multiple: Side = 32


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the bundle."""

    path: FieldPath
    bytes: Annotated[int, msgspec.Meta(ge=0, le=MAX_FILE_BYTES)]
    sha256: Sha256


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All that a bundle says about itself. ``files`` lists every file but the manifest."""

    schema_version: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,6}\.[0-9]{1,6}" + END)]
    name: Name
    what: Text
    creator: Text
    licences: Annotated[tuple[Licence, ...], msgspec.Meta(min_length=1, max_length=256)]
    weights: Annotated[tuple[Weights, ...], msgspec.Meta(max_length=64)] = ()
    graphs: Annotated[tuple[Graph, ...], msgspec.Meta(min_length=1, max_length=64)]
    vectors: Annotated[tuple[Vector, ...], msgspec.Meta(max_length=1024)] = ()
    receipts: Annotated[tuple[Receipt, ...], msgspec.Meta(max_length=1024)] = ()
    loop: Loop = msgspec.field(default_factory=Loop)
    sizes: Sizes
    default_precision: Precision = "fp32"
    outputs: dict[str, str]
    files: Annotated[tuple[File, ...], msgspec.Meta(max_length=4096)]

    def graph(self, name: str) -> Graph | None:
        """The graph of that name, or None."""
        return next((g for g in self.graphs if g.name == name), None)

    def multiple(self, graph: Graph) -> int:
        """What the height and the width of a graph's images must divide by."""
        return graph.multiple or self.sizes.multiple

    def long_side(self, graph: Graph) -> int | None:
        """Longest side in pixels that a graph is meant to be run at; None: the photo's own."""
        known = {"flow": self.sizes.flow_long_side, "generator": self.sizes.generator_long_side}
        return graph.long_side or known.get(graph.name)

    def file(self, path: str) -> File | None:
        """The entry of that file, or None."""
        return next((f for f in self.files if f.path == path), None)


class _Version(msgspec.Struct):
    """Read before all else, so that a newer bundle is called newer and not malformed."""

    schema_version: str


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Read and judge the bytes of a manifest.json.

    Args:
        data: the file's bytes, not trusted.
        where: name of the bundle for messages.

    Raises:
        StillflowError: not JSON, too large, too deep, wrong types, a newer major version, an unknown
            loop rule, or parts that contradict each other.
    """
    what = f"cannot open the bundle {where}"
    fix = "use a bundle that `stillflow-export bundle` wrote, or ask whoever made this one for a sound copy"
    if len(data) > MAX_MANIFEST_BYTES:
        raise StillflowError(what, f"its manifest.json is larger than {MAX_MANIFEST_BYTES} bytes", fix)
    try:
        version = msgspec.json.decode(data, type=_Version).schema_version
        major = version.split(".")[0]
        if major.isdecimal() and major != SCHEMA_VERSION.split(".")[0]:
            raise StillflowError(
                what,
                f"it has schema version {version[:20]}, this stillflow reads {SCHEMA_VERSION.split('.')[0]}.x",
                "upgrade with `pip install --upgrade stillflow`, or export the bundle again for this version",
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    # msgspec raises RecursionError on brackets nested deeper than the interpreter's stack allows.
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StillflowError(what, f"its manifest.json is not valid: {str(error)[:300]}", fix) from error
    for problem in _contradictions(manifest):
        raise StillflowError(what, f"its manifest.json contradicts itself: {problem}", fix)
    if manifest.loop.rule not in LOOP_RULES:
        raise StillflowError(
            what,
            f"its loop rule is '{manifest.loop.rule}' and this stillflow knows {', '.join(LOOP_RULES)}",
            "upgrade with `pip install --upgrade stillflow`",
        )
    return manifest


def _contradictions(manifest: Manifest) -> Iterator[str]:
    """Yield what types alone cannot forbid, as phrases."""
    seen: set[str] = set()
    for file in manifest.files:
        # Folded, since 'A.onnx' and 'a.onnx' are one file on macOS and Windows.
        if file.path.casefold() in seen or file.path.casefold() == "manifest.json":
            yield f"the file {file.path} is listed twice or is the manifest itself"
        seen.add(file.path.casefold())
    hashes = {file.path: file.sha256 for file in manifest.files}
    wanted: list[tuple[str, str | None]] = []
    names: set[str] = set()
    for graph in manifest.graphs:
        if graph.name in names:
            yield f"two graphs are named {graph.name}"
        names.add(graph.name)
        wanted += [(v.file, v.sha256) for v in graph.all_variants]
        precisions = [v.precision for v in graph.all_variants]
        if len(set(precisions)) != len(precisions):
            yield f"the graph {graph.name} has two files of one precision"
        for side in (graph.inputs, graph.outputs):
            if len({t.name for t in side}) != len(side):
                yield f"the graph {graph.name} has two inputs or two outputs of one name"
    wanted += [(v.file, v.sha256) for v in manifest.vectors]
    wanted += [(r.file, r.sha256) for r in manifest.receipts]
    wanted += [(licence.file, None) for licence in manifest.licences if licence.file is not None]
    for path, digest in wanted:
        if path not in hashes:
            yield f"{path} is used but not listed under files"
        elif digest is not None and hashes[path] != digest:
            yield f"{path} has two different sha256"
    for kind, entries in (("vectors", manifest.vectors), ("weights", manifest.weights)):
        for entry in entries:
            if entry.graph not in names:
                yield f"{kind} speak of a graph {entry.graph} that is not there"
    yield from interface_problems(manifest)
    for output, choices in OUTPUT_CHOICES.items():
        chosen = manifest.outputs.get(output)
        if chosen not in choices:
            yield f"outputs.{output} is {chosen!r}, it may be {' or '.join(choices)}"
        elif choices[chosen] is not None and choices[chosen] not in names:
            yield f"outputs.{output} is made by the graph {choices[chosen]}, which is not there"
    for graph in manifest.graphs:
        if graph.at(manifest.default_precision) is None:
            yield f"the graph {graph.name} has no file of the default precision {manifest.default_precision}"


def encode_manifest(manifest: Manifest) -> bytes:
    """Write a manifest as indented JSON with a final newline; the inverse of `parse_manifest`."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def json_schema() -> bytes:
    """JSON Schema (2020-12) of `Manifest`, indented, as committed in docs/bundle-schema-1.1.json."""
    schema: dict[str, Any] = msgspec.json.schema(Manifest)
    outputs = {name: {"enum": list(choices)} for name, choices in OUTPUT_CHOICES.items()}
    definition = schema["$defs"]["Manifest"]["properties"]["outputs"]
    definition.update(properties=outputs, required=list(outputs))
    schema["$defs"]["Loop"]["properties"]["rule"]["enum"] = list(LOOP_RULES)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"stillflow bundle manifest, schema {SCHEMA_VERSION}",
    }
    return json.dumps(head | schema, indent=2, sort_keys=False).encode() + b"\n"


PRECISIONS: tuple[str, ...] = get_args(Precision)
"""All precisions a graph can have."""
