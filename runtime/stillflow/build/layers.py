# SPDX-License-Identifier: Apache-2.0
"""What an engine is made of: the typed network it was built from, and what the engine itself says of that."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from stillflow.errors import StillflowError

COMPUTE = ("CONVOLUTION", "DECONVOLUTION", "MATRIX_MULTIPLY")
"""Layer types whose type of numbers decides what a precision is worth."""

_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "INT8": "int8",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "BOOL": "bool",
    "FP8": "float8",
}
_NODE = re.compile(rb"\[ONNX Layer: ([^\]\0]{1,300})\]")
"""How the libraries write into an engine which ONNX node a piece of it came from (verbosity DETAILED)."""

Layer = dict[str, Any]


def dtype_name(dtype: Any) -> str:
    """NumPy's name of one of the library's data types."""
    name = str(dtype).rsplit(".", 1)[-1]
    return _DTYPES.get(name, name.lower())


def list_layers(network: Any) -> list[Layer]:
    """List a network's layers: name, type, the ONNX nodes behind it, and its outputs with type and shape.

    In a strongly typed network the types are those of the engine: the builder may fuse, not retype.
    """
    layers = []
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        outputs = [layer.get_output(i) for i in range(layer.num_outputs)]
        layers.append(
            {
                "name": layer.name,
                "type": str(layer.type).rsplit(".", 1)[-1],
                "onnx": layer.metadata,
                "outputs": [
                    {"name": o.name, "dtype": dtype_name(o.dtype), "shape": _shape(o)} for o in outputs
                ],
            }
        )
    return layers


def _shape(tensor: Any) -> list[int]:
    try:
        return [int(side) for side in tensor.shape]
    except ValueError:  # the rank itself is not known before the network runs
        return []


def count_types(layers: list[Layer]) -> dict[str, int]:
    """Count layers by type and data type, such as {"CONVOLUTION float16": 30}, the most frequent first."""
    kinds = Counter(f"{layer['type']} {layer['outputs'][0]['dtype']}" for layer in layers if layer["outputs"])
    return dict(kinds.most_common())


def check_precision(graph: str, precision: str, layers: list[Layer]) -> None:
    """Hold the network to the precision that was asked for.

    Raises:
        StillflowError: an fp32 engine would compute in float16, an fp16 engine nowhere would, or an int8
            engine has nothing quantised.
    """
    found = {layer["outputs"][0]["dtype"] for layer in layers if layer["type"] in COMPUTE}
    quantised = any(layer["type"] in ("QUANTIZE", "DEQUANTIZE") for layer in layers)
    why = None
    if precision == "fp32" and found & {"float16", "bfloat16", "int8"}:
        why = f"its convolutions compute in {', '.join(sorted(found))}"
    elif precision == "fp16" and found and "float16" not in found:
        why = f"none of its convolutions computes in float16, all in {', '.join(sorted(found))}"
    elif precision == "int8" and not quantised:
        why = "nothing in it is quantised"
    if why is not None:
        raise StillflowError(
            f"cannot build the graph {graph} at {precision}",
            why,
            "export the bundle again: the precision lies in the ONNX file",
        )


def named_nodes(engine: bytes | memoryview) -> list[str]:
    """ONNX nodes that the bytes of an engine name, sorted.

    This reads the engine and not the network it was made from, and needs no GPU. Tried on TensorRT-RTX 1.7;
    the format is not documented, so an empty list says nothing.
    """
    return sorted({found.decode("utf-8", "replace") for found in _NODE.findall(engine)})


def describe(
    library: str, version: str, layers: list[Layer], engine: bytes | memoryview, inspector: str | None
) -> dict[str, Any]:
    """Collect what layers.json holds.

    Args:
        library: that built it.
        version: of the library.
        layers: of `list_layers`.
        engine: its bytes.
        inspector: the engine inspector's JSON; None where the engine cannot be loaded.
    """
    return {
        "library": library,
        "library_version": version,
        "inspected": "network" if inspector is None else "engine",
        "counts": count_types(layers),
        "layers": layers,
        "onnx_nodes_in_engine": named_nodes(engine),
        "inspector": None if inspector is None else _parsed(inspector),
    }


def _parsed(inspector: str) -> Any:
    try:
        return json.loads(inspector)
    except ValueError:  # then as it is: an engine is not worth less for what its inspector says
        return inspector
